// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Memory of the host that compiled code may be given: 64-byte aligned. A buffer owns it and grows only. Large
// pieces come from mmap, so that what is never touched costs address space alone, and ask for huge pages.

#ifndef LARIAT_RUNTIME_BASE_ALIGNEDBUFFER_H
#define LARIAT_RUNTIME_BASE_ALIGNEDBUFFER_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Runtime/Base/Status.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace lariat::runtime {

using abi::kAlignment;
using abi::roundUp;

/// a * b, or nothing where that is negative or more than an int64_t holds.
inline bool multiply(int64_t a, int64_t b, int64_t &product) {
  return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, &product);
}

/// Memory of at least `bytes`, which becomes how many there are; null where there is none. With `zeros` it holds zeros,
/// else anything.
std::byte *allocateAligned(int64_t &bytes, bool zeros = false);
/// Takes back what allocateAligned gave, all of it.
void releaseAligned(std::byte *memory, int64_t bytes);

class AlignedBuffer {
public:
  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer &&other) noexcept
      : memory(std::exchange(other.memory, nullptr)), bytes(std::exchange(other.bytes, 0)) {}
  AlignedBuffer &operator=(AlignedBuffer &&other) noexcept {
    std::swap(memory, other.memory);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~AlignedBuffer() { release(); }

  /// Makes room for `wanted` bytes. The old content is gone if the buffer has to grow; new memory may hold anything.
  /// `what` stands in the message.
  Status reserve(int64_t wanted, std::string_view what);
  void release();

  std::byte *data() const { return memory; }
  int64_t size() const { return bytes; }

private:
  std::byte *memory = nullptr;
  int64_t bytes = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_ALIGNEDBUFFER_H
