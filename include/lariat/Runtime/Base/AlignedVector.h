// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. A vector that compiled code may read: 64-byte aligned, with memory for whole groups of
// kPageEntries elements, so that a read of the group that an element is in stays inside.

#ifndef LARIAT_RUNTIME_BASE_ALIGNEDVECTOR_H
#define LARIAT_RUNTIME_BASE_ALIGNEDVECTOR_H

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <cstdlib>
#include <new>
#include <vector>

namespace lariat::runtime {

template <typename T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <typename U>
  AlignedAllocator(const AlignedAllocator<U> &) {}

  T *allocate(size_t count) {
    constexpr size_t group = abi::kPageEntries;
    size_t bytes = (count + group - 1) / group * group * sizeof(T);
    void *memory = bytes / sizeof(T) < count ? nullptr : std::aligned_alloc(kAlignment, bytes);
    if (!memory)
      throw std::bad_alloc();
    return static_cast<T *>(memory);
  }
  void deallocate(T *memory, size_t) { std::free(memory); }
  bool operator==(const AlignedAllocator &) const = default;
};

template <typename T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_ALIGNEDVECTOR_H
