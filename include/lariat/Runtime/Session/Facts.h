// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What a manifest says about the requests that its model can answer.

#ifndef LARIAT_RUNTIME_SESSION_FACTS_H
#define LARIAT_RUNTIME_SESSION_FACTS_H

#include "lariat/Requests/Facts.h"
#include "lariat/Runtime/Load/Manifest.h"

namespace lariat::runtime {

/// What counting the entries of a cache needs.
struct CacheShape {
  int64_t layers = 1;
  std::optional<int64_t> slotsAtMost; ///< none: one per loop step
};

struct SessionFacts : requests::RequestFacts {
  std::vector<CacheShape> cacheShapes; ///< as `caches`

  /// Slots of a layer of a cache when loops run `loops` steps.
  int64_t getNumSlots(size_t cache, int64_t loops) const;
};

/// What a manifest says of the model's requests.
SessionFacts describeModel(const Manifest &manifest);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_FACTS_H
