// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small buffers come from the C library, large ones from mmap: the bound is where a copy costs more than a system call.

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace lariat::runtime;

static constexpr int64_t kMapFrom = int64_t(1) << 20;
static constexpr int64_t kHugePage = int64_t(1) << 21;

/// A buffer of this size is mapped; the size of a buffer is all that is needed to free it.
static bool isMapped(int64_t bytes) { return bytes >= kMapFrom; }

static std::byte *map(int64_t bytes) {
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1,
                      /*offset=*/0);
  if (memory == MAP_FAILED)
    return nullptr;
  if (bytes >= 2 * kHugePage)
    madvise(memory, bytes, MADV_HUGEPAGE); // a wish: small pages serve too
  return static_cast<std::byte *>(memory);
}

std::byte *lariat::runtime::allocateAligned(int64_t &bytes, bool zeros) {
  int64_t unit = isMapped(bytes) ? 4096 : kAlignment, size = 0;
  if (bytes < 0 || __builtin_add_overflow(std::max<int64_t>(bytes, 1), unit - 1, &size))
    return nullptr;
  size = size / unit * unit;
  auto *memory = isMapped(size) ? map(size) : static_cast<std::byte *>(std::aligned_alloc(kAlignment, size));
  if (!memory)
    return nullptr;
  if (zeros && !isMapped(size))
    std::memset(memory, 0, size);
  bytes = size;
  return memory;
}

void lariat::runtime::releaseAligned(std::byte *memory, int64_t bytes) {
  if (isMapped(bytes))
    munmap(memory, bytes);
  else
    std::free(memory);
}

Status AlignedBuffer::reserve(int64_t wanted, std::string_view what) {
  if (wanted <= bytes && memory)
    return Status::success();
  release();
  int64_t size = wanted;
  memory = allocateAligned(size);
  if (!memory)
    return makeError("there is no memory for ", what, ", which needs ", wanted, " bytes");
  bytes = size;
  return Status::success();
}

void AlignedBuffer::release() {
  if (memory)
    releaseAligned(memory, bytes);
  memory = nullptr;
  bytes = 0;
}
