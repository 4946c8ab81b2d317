// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Orders of rows.

#include "lariat/Requests/Facts.h"

#include <algorithm>

using namespace lariat::requests;

RowOrder CacheRule::getOrder(int64_t loops, bool generated) const {
  return looped ? (generated ? this->generated : prompt).getOrder(loops * depthFactor) : RowOrder::Free;
}

RowOrder RequestFacts::getOrder(int64_t loopSteps, bool generated) const {
  RowOrder order = cutReason.empty() ? RowOrder::Free : RowOrder::Atomic;
  for (const CacheRule &cache : caches)
    order = std::max(order, cache.getOrder(loopSteps, generated));
  return order;
}
