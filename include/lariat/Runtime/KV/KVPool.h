// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The page pools of all caches of a model, and how many pages a call may need.

#ifndef LARIAT_RUNTIME_KV_KVPOOL_H
#define LARIAT_RUNTIME_KV_KVPOOL_H

#include "lariat/Runtime/KV/SequenceCache.h"
#include "lariat/Runtime/Load/Manifest.h"

#include <memory>
#include <span>
#include <unordered_map>

namespace lariat::runtime {

/// Slots of a cache that sets no bound.
inline constexpr int64_t kMaxSlots = kMaxDepth + 1;

/// What the pool knows of a cache.
struct CacheSpec {
  std::string name;
  PageLayout layout;
  int64_t slotsAtMost = 1;
  bool transient = false; ///< emptied whenever it is written to anew, and after a call
  bool looped = true;     ///< else a row may write any slot
  SlotRule prompt = {}, generated = {};
  bool anySlot = false;      ///< a row may write other slots than those of its loop steps
  int64_t depthFactor = 1;   ///< depths per step of the outermost loop
  bool followsLoops = false; ///< there are no more slots than depths that rows reach

  /// Slots that there are where rows reach so many depths.
  int64_t getNumSlots(int64_t numDepths) const;
};

/// Counts entries of sequences in one cache; on a page that several of them hold, the most that one has there.
class EntryCount {
public:
  explicit EntryCount(const PagePool &pool) : pool(pool) {}

  void add(const SequenceCache &cache);
  int64_t get() const;

private:
  const PagePool &pool;
  int64_t numAlone = 0;
  std::unordered_map<const std::byte *, int64_t> onShared;
};

class KVPool {
public:
  /// `limit` in bytes of pages; 0: none. The device outlives the pool.
  KVPool(DeviceMemory &device, std::vector<CacheSpec> caches, int64_t limit);

  int64_t getNumCaches() const { return static_cast<int64_t>(facts.size()); }
  const CacheSpec &getFacts(int64_t cache) const { return facts[cache]; }
  PagePool &getPages(int64_t cache) { return *pages[cache]; }
  const PagePool &getPages(int64_t cache) const { return *pages[cache]; }
  const PageBudget &getBudget() const { return budget; }
  void releaseReserved();

  /// The most pages that rows of one sequence may need which run `loops` loop steps from their depths on: lines of a
  /// row table. Copies of shared pages count.
  static int64_t countPages(const CacheSpec &facts, const SequenceCache &cache, const PagePool &pool,
                            const int64_t *table, int64_t rows, int64_t loops);

  /// An error where so many rows of one sequence, which run so many loop steps, need more than the limit or, without
  /// one, than the memory that is left: what countPages would come to, before any of it is asked for.
  Status verifyRoom(int64_t rows, int64_t loops) const;

  /// As SequenceCache::share, for all caches of a sequence; an error, for want of pages, shares nothing.
  Status share(std::span<const SequenceCache> from, std::span<SequenceCache> to, int32_t position);
  /// Drops the entries of a sequence from `position` on; false, and nothing is dropped, where Table::canTruncate says
  /// so.
  bool truncate(std::span<SequenceCache> caches, int32_t position);

private:
  DeviceMemory *device;
  std::vector<CacheSpec> facts;
  PageBudget budget;
  std::vector<std::unique_ptr<PagePool>> pages;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_KVPOOL_H
