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

int64_t KVPool::countPages(const SequenceCache &cache, const PagePool &pool, std::span<const DepthCount> depths,
                           int64_t slotsPerRow, int64_t slotsAtMost) {
  std::map<int64_t, int64_t> rows;
  for (const DepthCount &count : depths)
    for (int64_t step = 0; step < slotsPerRow; ++step)
      rows[std::min(count.depth + step, slotsAtMost - 1)] += count.numRows;
  int64_t count = 0;
  for (auto [slot, numRows] : rows) {
    const Table *table = cache.find(slot);
    count += toPages(numRows - (table ? table->getRoom() : 0)) + (table && table->copiesNext(pool));
  }
  return count;
}

Status KVPool::share(std::span<const SequenceCache> from, std::span<SequenceCache> to, int32_t position) {
  for (size_t cache = 0; cache < from.size(); ++cache)
    if (Status status = pages[cache]->reserve(from[cache].countCopies(position))) {
      releaseReserved();
      return status;
    }
  for (size_t cache = 0; cache < from.size(); ++cache)
    to[cache].share(from[cache], position, *pages[cache], facts[cache].layout);
  return Status::success();
}

bool KVPool::truncate(std::span<SequenceCache> caches, int32_t position) {
  for (size_t cache = 0; cache < caches.size(); ++cache)
    if (!caches[cache].canTruncate(position, *pages[cache]))
      return false;
  for (size_t cache = 0; cache < caches.size(); ++cache)
    caches[cache].truncate(position, *pages[cache], facts[cache].layout);
  return true;
}

void EntryCount::add(const SequenceCache &cache) {
  for (const std::unique_ptr<Table> &table : cache.getTables())
    for (int64_t begin = 0, size = table ? table->size() : 0; begin < size; begin += abi::kPageEntries) {
      const std::byte *page = table->getRef(begin).page;
      int64_t count = std::min(size - begin, abi::kPageEntries);
      if (!pool.isShared(page))
        numAlone += count;
      else if (int64_t &most = onShared[page]; most < count)
        most = count;
    }
}

int64_t EntryCount::get() const {
  int64_t count = numAlone;
  for (auto [page, most] : onShared)
    count += most;
  return count;
}
