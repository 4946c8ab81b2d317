// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a session needs of a manifest, which was checked when it was read.

#include "lariat/Runtime/Session/Facts.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

int64_t SessionFacts::getNumSlots(size_t cache, int64_t loops) const {
  const requests::CacheRule &rule = caches[cache];
  std::optional<int64_t> most = cacheShapes[cache].slotsAtMost;
  int64_t reached = loops * rule.depthFactor;
  int64_t slots = rule.depths ? most.value_or(*rule.depths) : std::min(reached, most.value_or(reached));
  return std::max<int64_t>(slots, 1);
}

static requests::ExitRule describeExit(const manifest::ExitSection &exit) {
  if (!exit.never)
    return {.rule = exit.rule, .hasThreshold = false};
  return {.rule = exit.rule, .never = *exit.never, .low = *exit.low, .high = *exit.high, .declared = exit.declared};
}

SessionFacts lariat::runtime::describeModel(const Manifest &manifest) {
  const manifest::TraitsSection &traits = manifest.traits;
  SessionFacts facts;
  facts.kind = abi::getName(manifest.model.kind);
  facts.vocab = manifest.model.vocab;
  facts.context = manifest.model.context;
  facts.eos = manifest.model.eos;
  facts.loops = {manifest.loops.defaultSteps, manifest.loops.minSteps, manifest.loops.maxSteps,
                 manifest.loops.stepsWithExit.value_or(0)};
  if (manifest.exit)
    facts.exit = describeExit(*manifest.exit);
  for (const DepthWeight &weight : traits.depthWeights)
    facts.depthWeights.push_back({weight.name, weight.depths});
  facts.computeRefusal = traits.computeRefusal.value_or("");
  facts.cutReason = traits.cutReason.value_or("");
  facts.mixesCallRows = traits.mixesCallRows;
  facts.hasTopK = traits.hasTopK;
  facts.hasPrefixMask = traits.hasPrefixMask;
  facts.hasStates = !manifest.states.empty();
  facts.lacksDecodeRule = facts.isDecoder() && std::ranges::find(manifest.modes, "generate") == manifest.modes.end();
  for (const Cache &cache : manifest.caches) {
    if (!cache.allowed.empty())
      facts.allowedMissing.clear();
    for (abi::MissingMode mode : cache.allowed)
      facts.allowedMissing.emplace_back(abi::getName(mode));
    facts.caches.push_back({.name = cache.name,
                            .looped = cache.looped,
                            .depthFactor = cache.depthFactor,
                            .depths = cache.depths,
                            .prompt = cache.prompt,
                            .generated = cache.generated});
    facts.cacheShapes.push_back({cache.layers, cache.slotsAtMost});
  }
  return facts;
}
