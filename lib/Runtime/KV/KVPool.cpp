// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row at depth d writes slot d, or the last slot where there are fewer: that holds for every policy that is built. One that
// writes less, such as `first`, is asked for a page too many where a table is full.

#include "lariat/Runtime/KV/KVPool.h"

#include <algorithm>
#include <map>

using namespace lariat;
using namespace lariat::runtime;

KVPool::KVPool(std::vector<CacheFacts> caches, int64_t limit) : facts(std::move(caches)) {
  budget.limit = limit;
  for (const CacheFacts &cache : facts)
    pages.push_back(std::make_unique<PagePool>(cache.name, cache.layout.getPageBytes(), budget));
}

void KVPool::releaseReserved() {
  for (const std::unique_ptr<PagePool> &pool : pages)
    pool->releaseReserved();
}

static int64_t toPages(int64_t entries) {
  return (std::max<int64_t>(entries, 0) + abi::kPageEntries - 1) / abi::kPageEntries;
}

int64_t KVPool::countPages(const SequenceCache &cache, std::span<const DepthCount> depths, int64_t slotsPerRow,
                           int64_t slotsAtMost) {
  std::map<int64_t, int64_t> rows;
  for (const DepthCount &count : depths)
    for (int64_t step = 0; step < slotsPerRow; ++step)
      rows[std::min(count.depth + step, slotsAtMost - 1)] += count.numRows;
  int64_t count = 0;
  for (auto [slot, numRows] : rows) {
    const Table *table = cache.find(slot);
    count += toPages(numRows - (table ? table->getRoom() : 0));
  }
  return count;
}
