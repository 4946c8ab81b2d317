// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The page pools of all caches of a model, and how many pages a call may need.

#ifndef LARIAT_RUNTIME_KV_KVPOOL_H
#define LARIAT_RUNTIME_KV_KVPOOL_H

#include "lariat/Runtime/KV/SequenceCache.h"

#include <memory>
#include <span>

namespace lariat::runtime {

/// What the pool knows of a cache.
struct CacheFacts {
  std::string name;
  PageLayout layout;
  int64_t slotsAtMost = 1;
  bool transient = false; ///< emptied whenever it is written to anew, and after a call
};

/// The rows of one sequence in a call, by the depth that they start at.
struct DepthCount {
  int64_t depth = 0, numRows = 0;
};

class KVPool {
public:
  /// `limit` in bytes of pages; 0: none.
  KVPool(std::vector<CacheFacts> caches, int64_t limit);

  int64_t getNumCaches() const { return static_cast<int64_t>(facts.size()); }
  const CacheFacts &getFacts(int64_t cache) const { return facts[cache]; }
  PagePool &getPages(int64_t cache) { return *pages[cache]; }
  const PageBudget &getBudget() const { return budget; }
  void releaseReserved();

  /// The most pages that rows may need which start at these depths and write `slotsPerRow` slots each.
  static int64_t countPages(const SequenceCache &cache, std::span<const DepthCount> depths, int64_t slotsPerRow,
                            int64_t slotsAtMost);

private:
  std::vector<CacheFacts> facts;
  PageBudget budget;
  std::vector<std::unique_ptr<PagePool>> pages;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_KVPOOL_H
