// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows that start at depth 0 write slots 0, 1, ... of which the tables are known. Rows that start deeper write slots that
// only compiled code can name: those of one depth share a slot at each step, and nothing is assumed of the room there.

#include "lariat/Runtime/KV/KVPool.h"

#include <algorithm>

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

int64_t KVPool::countPages(const SequenceCache &cache, std::span<const DepthCount> depths, int64_t slotsPerRow) {
  int64_t count = 0;
  if (depths.size() == 1 && depths[0].depth == 0) {
    auto numTables = std::min<int64_t>(slotsPerRow, static_cast<int64_t>(cache.getTables().size()));
    count = (slotsPerRow - numTables) * toPages(depths[0].numRows);
    for (int64_t slot = 0; slot < numTables; ++slot) {
      const Table *table = cache.find(slot);
      count += toPages(depths[0].numRows - (table ? table->getRoom() : 0));
    }
    return count;
  }
  for (const DepthCount &rows : depths)
    count += slotsPerRow * toPages(rows.numRows);
  return count;
}
