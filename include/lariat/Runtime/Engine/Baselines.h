// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For measurements only: engines as others build them, beside which an engine is measured, and requests whose exits are
// given. Behind include/lariat-c/Experimental.h.

#ifndef LARIAT_RUNTIME_ENGINE_BASELINES_H
#define LARIAT_RUNTIME_ENGINE_BASELINES_H

#include "lariat/Runtime/Engine/Engine.h"

namespace lariat::runtime {

struct Baseline {
  bool refills = true;    ///< false: rows enter only when the loop is empty, as in engines that batch by token
  bool splitsLoop = true; ///< false: rows that enter together run @forward, so that each waits for the deepest
};

class BaselinePolicy : public MeasuredPolicy {
public:
  BaselinePolicy(Order order, const Baseline &baseline) : MeasuredPolicy(order), baseline(baseline) {}

  /// Queues requests of which a row at position p runs at most bounds[p % bounds.size()] loop steps; none: no bound.
  /// Returns the number of the first. From any thread.
  int64_t submit(Engine &engine, std::vector<EngineRequest> requests, const std::vector<int64_t> &bounds);

  std::vector<ScheduledRow> choose(const Scheduler &scheduler, std::span<const RowChunk> added) const override;
  bool splitsLoop() const override { return baseline.splitsLoop; }
  std::vector<int64_t> getStepBounds(int64_t request) const override;

private:
  Baseline baseline;
  mutable std::mutex mutex; ///< of what follows; never taken while the engine's is held
  std::map<int64_t, std::vector<int64_t>> bounds;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_BASELINES_H
