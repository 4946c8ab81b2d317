// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A list of blocks per thread, filled from the front. A block is at least twice as large as the one before, so there
// are few, and after the first kernel there is nothing to ask the system for.

#include "lariat/Runtime/Memory/GenericMemory.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace lariat::runtime;

static constexpr int64_t kFirstBlock = int64_t(1) << 20;
static constexpr int64_t kMaxKept = int64_t(64) << 20;

namespace {

struct GenericMemory {
  std::vector<AlignedBuffer> blocks;
  int64_t used = 0; ///< bytes of the last block

  void *allocate(int64_t bytes) {
    int64_t size = roundUp(std::max<int64_t>(bytes, 1), kAlignment);
    if (blocks.empty() || blocks.back().size() - used < size) {
      int64_t doubled = blocks.empty() ? kFirstBlock : 2 * blocks.back().size();
      AlignedBuffer block;
      if (bytes < 0 || bytes > INT64_MAX - kAlignment || block.reserve(std::max(doubled, size), "a generic kernel")) {
        std::fprintf(stderr, "lariat: there is no memory for a generic kernel, which needs %lld bytes\n",
                     static_cast<long long>(bytes));
        std::abort();
      }
      blocks.push_back(std::move(block));
      used = 0;
    }
    void *result = blocks.back().data() + used;
    used += size;
    return result;
  }

  void release() {
    used = 0;
    if (blocks.empty())
      return;
    if (blocks.back().size() > kMaxKept)
      blocks.clear();
    else // the last is larger than all before it together
      blocks.erase(blocks.begin(), blocks.end() - 1);
  }
};

} // namespace

static GenericMemory &get() {
  static thread_local GenericMemory memory;
  return memory;
}

void *lariat::runtime::allocateGeneric(int64_t bytes) { return get().allocate(bytes); }
void lariat::runtime::releaseGeneric() { get().release(); }

int64_t lariat::runtime::getKeptGenericBytes() {
  int64_t bytes = 0;
  for (const AlignedBuffer &block : get().blocks)
    bytes += block.size();
  return bytes;
}
