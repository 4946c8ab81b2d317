// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Baselines differ from production in which rows run, so they are policies.

#include "lariat/Runtime/Engine/Baselines.h"

#include <algorithm>

using namespace lariat::runtime;

int64_t BaselinePolicy::submit(Engine &engine, std::vector<EngineRequest> requests, const std::vector<int64_t> &given) {
  // The engine asks for bounds once it receives a request, and waits here until they are known.
  std::lock_guard lock(mutex);
  auto count = static_cast<int64_t>(requests.size());
  int64_t first = engine.submit(std::move(requests));
  for (int64_t request = first; !given.empty() && request < first + count; ++request)
    bounds[request] = given;
  return first;
}

std::vector<int64_t> BaselinePolicy::getStepBounds(int64_t request) const {
  std::lock_guard lock(mutex);
  auto found = bounds.find(request);
  return found == bounds.end() ? std::vector<int64_t>() : found->second;
}

std::vector<ScheduledRow> BaselinePolicy::choose(const Scheduler &scheduler, std::span<const RowChunk> added) const {
  std::vector<ScheduledRow> chosen = MeasuredPolicy::choose(scheduler, added);
  auto isEntering = [](const ScheduledRow &row) { return row.progress == RowProgress::Entering; };
  if (!baseline.refills && !std::ranges::all_of(chosen, isEntering))
    std::erase_if(chosen, isEntering);
  return chosen;
}
