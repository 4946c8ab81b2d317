// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From attributes and ops to plain numbers and words.

#include "lariat/Reference/Facts.h"

#include "lariat/Support/Error.h"

using namespace mlir;
using namespace lariat;

static requests::CacheRule describeCache(const CacheFacts &facts) {
  CacheOp cache = facts.op;
  std::optional<int64_t> depths;
  if (cache.getDepths())
    depths = static_cast<int64_t>(*cache.getDepths());
  return {.name = cache.getSymName().str(),
          .looped = facts.isLooped,
          .depthFactor = facts.depthFactor,
          .depths = depths,
          .prompt = cache.getPolicy().getForRows(/*generated=*/false).getSlotRule(),
          .generated = cache.getPolicy().getForRows(/*generated=*/true).getSlotRule()};
}

static requests::ExitRule describeExit(ExitAttr exit) {
  requests::ExitRule rule{.rule = exit.getRule().getValue().str(), .hasThreshold = exit.hasThreshold()};
  if (!rule.hasThreshold)
    return rule;
  rule.never = exit.getNever().getValueAsDouble();
  rule.low = exit.getLow().getValueAsDouble();
  rule.high = exit.getHigh().getValueAsDouble();
  if (exit.getDeclared())
    rule.declared = exit.getDeclared().getValueAsDouble();
  return rule;
}

requests::RequestFacts reference::describeRequests(const ModelFacts &facts) {
  requests::RequestFacts result;
  result.kind = facts.model.getKind().str();
  result.vocab = facts.model.getVocab();
  result.context = facts.model.getContextSize();
  llvm::append_range(result.eos, facts.model.getEos());
  result.loops = {facts.loops.getDefaultSteps(), facts.loops.getMinSteps(), facts.loops.getMaxSteps(),
                  facts.loops.getStepsWithExit()};
  if (facts.exit)
    result.exit = describeExit(facts.exit);
  for (const CacheFacts &cache : facts.caches)
    result.caches.push_back(describeCache(cache));
  for (WeightOp weight : facts.getCheckedWeights())
    result.depthWeights.push_back({weight.getSymName().str(), static_cast<int64_t>(*weight.getDepths())});
  for (MissingMode mode : facts.getAllowedMissing())
    result.allowedMissing.push_back(stringifyMissingMode(mode).str());
  result.computeRefusal = facts.computeRefusal;
  result.cutReason = facts.cutReason;
  result.mixesCallRows = facts.mixesCallRows;
  result.hasTopK = facts.hasTopK;
  result.hasPrefixMask = facts.hasPrefixMask;
  result.lacksDecodeRule = facts.lacksDecodeRule;
  result.hasStates = !facts.states.empty();
  result.usesLoops = facts.forward.findInput("loops");
  if (const Port *state = facts.forward.findInput("initial_state"))
    result.stateWidth = cast<RankedTensorType>(state->type).getDimSize(1);
  result.capacityDepths = facts.getCapacityDepths();
  return result;
}

llvm::Error reference::toError(runtime::Error error) { return makeError(error.message); }
