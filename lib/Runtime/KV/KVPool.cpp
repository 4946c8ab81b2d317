// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An entry that is there is written again, so only positions that a slot does not have ask for pages.

#include "lariat/Runtime/KV/KVPool.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <new>
#include <set>

using namespace lariat;
using namespace lariat::runtime;

/// Less than this is not worth asking the system for its memory.
static constexpr int64_t kSmallBytes = int64_t(64) << 20;

KVPool::KVPool(DeviceMemory &device, std::vector<CacheSpec> caches, int64_t limit)
    : device(&device), facts(std::move(caches)) {
  budget.limit = limit;
  for (const CacheSpec &cache : facts)
    pages.push_back(std::make_unique<PagePool>(device, cache.name, cache.layout.getPageBytes(), budget));
}

void KVPool::releaseReserved() {
  for (const std::unique_ptr<PagePool> &pool : pages)
    pool->releaseReserved();
}

static int64_t toPages(int64_t entries) {
  return (std::max<int64_t>(entries, 0) + abi::kPageEntries - 1) / abi::kPageEntries;
}

int64_t CacheSpec::getNumSlots(int64_t numDepths) const {
  return followsLoops ? std::min(slotsAtMost, std::max<int64_t>(numDepths * depthFactor, 1)) : slotsAtMost;
}

/// The slots that a row may write, each once.
template <typename Visit>
static void visitSlots(const CacheSpec &facts, const int64_t *line, int64_t loops, Visit visit) {
  if (!facts.looped || facts.anySlot) {
    for (int64_t slot = 0, end = facts.getNumSlots(line[abi::kDepth] + loops); slot < end; ++slot)
      visit(slot);
    return;
  }
  const SlotRule &rule = line[abi::kFlags] & abi::kGenerated ? facts.generated : facts.prompt;
  int64_t before = -1;
  for (int64_t step = 0; step < rule.getNumSlots(loops * facts.depthFactor); ++step) {
    int64_t depth = line[abi::kDepth] + step, slot = rule.getSlot(depth);
    if (rule.writesAt(depth) && slot != before)
      visit(before = slot);
  }
}

int64_t KVPool::countPages(const CacheSpec &facts, const SequenceCache &cache, const PagePool &pool,
                           const int64_t *table, int64_t rows, int64_t loops) {
  std::vector<int64_t> fresh;         // entries by slot
  std::set<const std::byte *> copied; // shared pages that are written to
  for (const int64_t *line = table; line != table + rows * abi::kNumRowColumns; line += abi::kNumRowColumns)
    visitSlots(facts, line, loops, [&](int64_t slot) {
      if (slot < 0 || slot >= facts.slotsAtMost)
        return;
      const Table *known = cache.find(slot);
      int64_t index = known ? known->find(static_cast<int32_t>(line[abi::kPosition])) : -1;
      if (index >= 0) {
        if (const std::byte *page = known->getRef(index).page; pool.isShared(page))
          copied.insert(page);
        return;
      }
      fresh.resize(std::max<size_t>(fresh.size(), slot + 1));
      ++fresh[slot];
    });
  int64_t count = 0;
  for (int64_t slot = 0; slot < static_cast<int64_t>(fresh.size()); ++slot) {
    const Table *known = cache.find(slot);
    count += toPages(fresh[slot] - (known ? known->getRoom() : 0));
    if (fresh[slot] > 0 && known && known->copiesNext(pool))
      copied.insert(known->getRef(known->size()).page);
  }
  return count + static_cast<int64_t>(copied.size());
}

Status KVPool::verifyRoom(int64_t rows, int64_t loops) const {
  if (loops > kMaxSlots)
    return makeError(loops, " loop steps are asked for, expected at most ", kMaxSlots);
  int64_t total = 0;
  for (size_t cache = 0; cache < facts.size(); ++cache) {
    // As countPages, of rows that enter the loop and of an empty cache.
    const int64_t line[abi::kNumRowColumns] = {};
    int64_t numSlots = 0, bytes = 0;
    visitSlots(facts[cache], line, loops,
               [&](int64_t slot) { numSlots += slot >= 0 && slot < facts[cache].slotsAtMost; });
    if (facts[cache].transient || rows == 0)
      continue;
    bool fits = multiply(numSlots * toPages(rows), pages[cache]->getPageBytes(), bytes) && bytes <= INT64_MAX - total;
    total = fits ? total + bytes : INT64_MAX;
  }
  if (budget.limit == 0 && total <= kSmallBytes)
    return Status::success();
  // What other sequences hold may be given to this one.
  bool isLimited = budget.limit != 0;
  int64_t left = isLimited ? budget.limit : std::min(device->readAvailable(), INT64_MAX - budget.used) + budget.used;
  if (total <= left)
    return Status::success();
  return makeError(rows, " rows at ", loops, " loop steps need ", total, " bytes of keys and values, but ",
                   isLimited ? "the limit of pages is " : "the memory for them is ", left, " bytes");
}

Status KVPool::share(std::span<const SequenceCache> from, std::span<SequenceCache> to, int32_t position) {
  for (size_t cache = 0; cache < from.size(); ++cache)
    if (Status status = pages[cache]->reserve(from[cache].countCopies(position))) {
      releaseReserved();
      return status;
    }
  try {
    for (size_t cache = 0; cache < from.size(); ++cache)
      to[cache].share(from[cache], position, *pages[cache], facts[cache].layout);
  } catch (const std::bad_alloc &) {
    truncate(to, /*position=*/0);
    releaseReserved();
    return makeError("there is no memory for lists of pages");
  }
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
