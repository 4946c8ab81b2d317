// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Facts of a model as a manifest says them.

#include "lariat/Compiler/ModelManifest.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/ScopedPrinter.h"

using namespace mlir;
using namespace lariat;

template <typename T>
static std::optional<T> nonZero(T value) {
  return value ? std::optional(value) : std::nullopt;
}

static std::optional<std::string> nonEmpty(const std::string &text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

static std::optional<double> toNumber(FloatAttr value) {
  return value ? std::optional(value.getValueAsDouble()) : std::nullopt;
}

llvm::Expected<abi::ElementType> lariat::findElementType(Type type) {
  std::string name = llvm::to_string(type);
  if (std::optional<abi::ElementType> found = abi::findNamed<abi::ElementType>(name))
    return *found;
  return makeError("has elements of type " + name + ", expected " + abi::listNames<abi::ElementType>());
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

/// The most loop steps that a request may ask for; none where there is no limit.
static std::optional<int64_t> getMaxLoops(const ModelFacts &facts) {
  LoopsAttr loops = facts.loops;
  if (!facts.hasFreeLoops())
    return std::max(loops.getDefaultSteps(), loops.getStepsWithExit());
  return nonZero(loops.getMaxSteps());
}

/// Slots that a cache can ever have; none where that grows with the loop steps.
static std::optional<int64_t> getMaxSlots(const CacheFacts &cache, const ModelFacts &facts) {
  if (std::optional<int64_t> most = getMaxLoops(facts))
    return cache.getNumSlots(*most);
  constexpr int64_t many = 1 << 20;
  int64_t slots = cache.getNumSlots(many);
  return slots == cache.getNumSlots(2 * many) ? std::optional(slots) : std::nullopt;
}

/// Which slot rows of the prompt or generated ones write, and their order where depths share one.
static abi::SlotRule describeSlotRule(KVPolicyAttrInterface policy) {
  abi::SlotRule rule = policy.getSlotRule();
  return {rule.kind, std::max<int64_t>(rule.slots, 1), rule.order};
}

/// Sets the missing mode of a cache where rows can be missing from it, and those that a request may ask for.
static void describeMissing(const CacheFacts &facts, const ModelFacts &model, manifest::Cache &described) {
  if (!facts.distinguishesMissing())
    return;
  KVPolicyAttrInterface policy = CacheOp(facts.op).getPolicy();
  MissingMode declared = *policy.getMissingMode();
  SmallVector<MissingMode> modes = model.getAllowedMissing();
  described.missing = toArtefact(declared);
  for (MissingMode mode : modes)
    described.allowed.push_back(toArtefact(mode));
  if (!llvm::is_contained(modes, declared))
    modes.push_back(declared);
  // Two rows, one of which stops before depth 1, leave more than three entries only where the mode fills in one.
  for (MissingMode mode : modes)
    if (policy.withMissing(mode).getLiveEntries({2, 1}) > 3)
      described.filling.push_back(toArtefact(mode));
}

static llvm::Expected<manifest::Cache> describeCache(const CacheFacts &facts, const ModelFacts &model) {
  CacheOp cache = facts.op;
  int64_t loops = model.loops.getDefaultSteps();
  KVPolicyAttrInterface policy = cache.getPolicy();
  llvm::Expected<abi::ElementType> type = findElementType(cache.getType());
  if (!type)
    return makeError("cache @" + cache.getSymName() + " " + toString(type.takeError()));
  manifest::Cache described{.name = cache.getSymName().str(),
                            .layers = static_cast<int64_t>(cache.getLayers()),
                            .heads = static_cast<int64_t>(cache.getHeads()),
                            .dim = static_cast<int64_t>(cache.getDim()),
                            .type = *type,
                            .looped = facts.isLooped,
                            .anySlot = facts.writesAnySlot,
                            .depthFactor = facts.depthFactor,
                            .depths = cache.getDepths(),
                            .slotsAtMost = getMaxSlots(facts, model),
                            .prompt = describeSlotRule(policy.getForRows(/*generated=*/false)),
                            .generated = describeSlotRule(policy.getForRows(/*generated=*/true)),
                            .policy = llvm::to_string(Attribute(policy)),
                            .declared = std::nullopt,
                            .missing = std::nullopt,
                            .allowed = {},
                            .filling = {},
                            .order = toArtefact(facts.getOrder(loops, /*generated=*/false)),
                            .generatedOrder = toArtefact(facts.getOrder(loops, /*generated=*/true)),
                            .slots = facts.getNumSlots(loops),
                            .formula = policy.getFormula(),
                            .bytesPerToken = facts.getBytes(/*rows=*/1, loops)};
  if (facts.declared)
    described.declared = llvm::to_string(Attribute(facts.declared));
  describeMissing(facts, model, described);
  return described;
}

static llvm::Expected<manifest::State> describeState(const StateFacts &facts) {
  StateOp state = facts.op;
  llvm::Expected<abi::ElementType> type = findElementType(state.getType());
  if (!type)
    return makeError("state @" + state.getSymName() + " " + toString(type.takeError()));
  return manifest::State{.name = state.getSymName().str(),
                         .layers = static_cast<int64_t>(state.getLayers()),
                         .width = static_cast<int64_t>(state.getWidth()),
                         .type = *type,
                         .depthFactor = facts.depthFactor};
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

static manifest::TraitsSection describeTraits(const ModelFacts &facts) {
  manifest::TraitsSection traits{.mixesCallRows = facts.mixesCallRows,
                                 .hasTopK = facts.hasTopK,
                                 .hasPrefixMask = facts.hasPrefixMask,
                                 .computeRefusal = nonEmpty(facts.computeRefusal),
                                 .cutReason = nonEmpty(facts.cutReason),
                                 .depthWeights = {}};
  for (WeightOp weight : facts.getCheckedWeights())
    traits.depthWeights.push_back({weight.getSymName().str(), static_cast<int64_t>(*weight.getDepths())});
  return traits;
}

static std::vector<std::string> listModes(const ModelFacts &facts) {
  if (!facts.isDecoder())
    return {"encode"};
  std::vector<std::string> modes{std::string(abi::getName(abi::RunMode::Score))};
  if (facts.canGenerate())
    modes.emplace_back(abi::getName(abi::RunMode::Generate));
  return modes;
}

llvm::Expected<manifest::Manifest> lariat::describeModel(const ModelFacts &facts) {
  ModelAttr model = facts.model;
  LoopsAttr loops = facts.loops;
  manifest::Manifest manifest;
  manifest.model = {.family = model.getFamily().str(),
                    .kind = facts.isDecoder() ? abi::ModelKind::Decoder : abi::ModelKind::Encoder,
                    .vocab = model.getVocab(),
                    .context = model.getContextSize(),
                    .eos = {model.getEos().begin(), model.getEos().end()},
                    .shape = std::nullopt};
  if (model.getShape())
    manifest.model.shape = model.getShape().str();
  manifest.loops = {.defaultSteps = loops.getDefaultSteps(),
                    .minSteps = loops.getMinSteps(),
                    .maxSteps = loops.getMaxSteps(),
                    .stepsWithExit = nonZero(loops.getStepsWithExit())};
  if (ExitAttr rule = facts.exit)
    manifest.exit = {.rule = rule.getRule().str(),
                     .never = toNumber(rule.getNever()),
                     .low = toNumber(rule.getLow()),
                     .high = toNumber(rule.getHigh()),
                     .declared = toNumber(rule.getDeclared()),
                     .usual = toNumber(rule.getUsual())};
  manifest.traits = describeTraits(facts);
  manifest.modes = listModes(facts);
  for (const CacheFacts &cache : facts.caches) {
    llvm::Expected<manifest::Cache> described = describeCache(cache, facts);
    if (!described)
      return described.takeError();
    manifest.caches.push_back(std::move(*described));
  }
  for (const StateFacts &state : facts.states) {
    llvm::Expected<manifest::State> described = describeState(state);
    if (!described)
      return described.takeError();
    manifest.states.push_back(std::move(*described));
  }
  return manifest;
}
