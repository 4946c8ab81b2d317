// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Facts from a manifest, and what follows from them.

#include "lariat/Requests/Facts.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::requests;

RowOrder CacheRule::getOrder(int64_t loops, bool generated) const {
  return looped ? (generated ? this->generated : prompt).getOrder(loops * depthFactor) : RowOrder::Free;
}

int64_t CacheRule::getNumSlots(int64_t loops) const {
  int64_t reached = loops * depthFactor;
  int64_t slots = depths ? slotsAtMost.value_or(*depths) : std::min(reached, slotsAtMost.value_or(reached));
  return std::max<int64_t>(slots, 1);
}

RowOrder RequestFacts::getOrder(int64_t loopSteps, bool generated) const {
  RowOrder order = cutReason.empty() ? RowOrder::Free : RowOrder::Atomic;
  for (const CacheRule &cache : caches)
    order = std::max(order, cache.getOrder(loopSteps, generated));
  return order;
}

static ExitRule describeExit(const manifest::ExitSection &exit) {
  if (!exit.never)
    return {.rule = exit.rule, .hasThreshold = false};
  return {.rule = exit.rule, .never = *exit.never, .low = *exit.low, .high = *exit.high, .declared = exit.declared};
}

RequestFacts requests::describeRequests(const manifest::Manifest &manifest) {
  const manifest::TraitsSection &traits = manifest.traits;
  RequestFacts facts;
  facts.kind = abi::getName(manifest.model.kind);
  facts.vocab = manifest.model.vocab;
  facts.context = manifest.model.context;
  facts.eos = manifest.model.eos;
  facts.loops = {manifest.loops.defaultSteps, manifest.loops.minSteps, manifest.loops.maxSteps,
                 manifest.loops.stepsWithExit.value_or(0)};
  if (manifest.exit)
    facts.exit = describeExit(*manifest.exit);
  facts.depthWeights = traits.depthWeights;
  facts.computeRefusal = traits.computeRefusal.value_or("");
  facts.cutReason = traits.cutReason.value_or("");
  facts.mixesCallRows = traits.mixesCallRows;
  facts.hasTopK = traits.hasTopK;
  facts.hasPrefixMask = traits.hasPrefixMask;
  facts.hasStates = !manifest.states.empty();
  facts.lacksDecodeRule =
      facts.isDecoder() &&
      std::ranges::find(manifest.modes, abi::getName(abi::RunMode::Generate)) == manifest.modes.end();
  for (const manifest::Cache &cache : manifest.caches) {
    if (!cache.allowed.empty())
      facts.allowedMissing.clear();
    for (abi::MissingMode mode : cache.allowed)
      facts.allowedMissing.emplace_back(abi::getName(mode));
    facts.caches.push_back({.name = cache.name,
                            .looped = cache.looped,
                            .depthFactor = cache.depthFactor,
                            .depths = cache.depths,
                            .prompt = cache.prompt,
                            .generated = cache.generated,
                            .layers = cache.layers,
                            .slotsAtMost = cache.slotsAtMost});
  }
  return facts;
}
