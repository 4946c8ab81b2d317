// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiled code checks nothing, so every number that reaches it is checked here: ids index the embedding, positions and
// depths index caches and weights.

#include "lariat/Reference/Checks.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

llvm::Error lariat::reference::verifySequences(const ModelFacts &facts, const Request &request, int64_t numNew) {
  int64_t vocab = facts.model.getVocab(), context = facts.model.getContextSize();
  if (request.sequences.empty())
    return makeError("the batch has no sequences, expected at least one");
  for (auto [sequence, ids] : llvm::enumerate(request.sequences)) {
    if (ids.empty())
      return makeError("sequence " + Twine(sequence) + " has no tokens, expected at least one");
    for (auto [index, id] : llvm::enumerate(ids))
      if (id < 0 || id >= vocab)
        return makeError("token " + Twine(index) + " of sequence " + Twine(sequence) + " is " + Twine(id) +
                         ", expected 0 to " + Twine(vocab - 1));
    auto numRows = static_cast<int64_t>(ids.size());
    // The last new token is never fed back, so it needs no position.
    if (numRows > context || numNew > context - numRows + 1)
      return makeError("sequence " + Twine(sequence) + " has " + Twine(numRows) + " tokens" +
                       (numNew ? " and asks for " + std::to_string(numNew) + " more" : std::string()) +
                       ", but the context of the model is " + Twine(context));
  }
  if (request.prefix < 0)
    return makeError("the prefix is " + Twine(request.prefix) + ", expected 0 or more");
  if (request.prefix > 0 && !facts.hasPrefixMask)
    return makeError("a prefix of " + Twine(request.prefix) + " rows is given, but the model has no prefix mask");
  return llvm::Error::success();
}

/// Depth-indexed memory and weights that the loop reaches must have that many depths.
static llvm::Error verifyDepths(const ModelFacts &facts, int64_t loops) {
  for (const CacheFacts &cacheFacts : facts.caches) {
    CacheOp cache = cacheFacts.op;
    if (cacheFacts.isLooped && cache.getDepths() &&
        loops * cacheFacts.depthFactor > static_cast<int64_t>(*cache.getDepths()))
      return makeError(Twine(loops) + " loop steps are asked for, but cache @" + cache.getSymName() + " has " +
                       Twine(*cache.getDepths()) + " depths");
  }
  for (WeightOp weight : facts.depthWeights)
    if (weight.getBeyond() == Beyond::Error && loops > static_cast<int64_t>(*weight.getDepths()))
      return makeError(Twine(loops) + " loop steps are asked for, but weight @" + weight.getSymName() + " has " +
                       Twine(*weight.getDepths()) + " depths");
  return llvm::Error::success();
}

/// What a request and its model come to: the threshold that decides, or none where no row may exit.
static std::optional<double> getThreshold(const ModelFacts &facts, const Request &request) {
  if (request.noExit || request.threshold || !facts.exit || !facts.exit.getDeclared())
    return request.threshold;
  double declared = facts.exit.getDeclared().getValueAsDouble();
  return declared == facts.exit.getNever().getValueAsDouble() ? std::nullopt : std::optional(declared);
}

llvm::Expected<int64_t> lariat::reference::resolveLoops(const ModelFacts &facts, const Request &request) {
  LoopsAttr range = facts.loops;
  int64_t loops = range.getDefaultSteps();
  if (getThreshold(facts, request) && range.getStepsWithExit())
    loops = range.getStepsWithExit();
  if (request.loops) {
    loops = *request.loops;
    if (!facts.hasFreeLoops() && loops != range.getDefaultSteps())
      return makeError(Twine(loops) +
                       " loop steps are asked for, but the loop count of this model is not free: it is " +
                       Twine(range.getDefaultSteps()));
    if (loops < range.getMinSteps() || (range.getMaxSteps() && loops > range.getMaxSteps()))
      return makeError(Twine(loops) + " loop steps are asked for, but the model takes " + Twine(range.getMinSteps()) +
                       (range.getMaxSteps() ? " to " + std::to_string(range.getMaxSteps()) : std::string(" or more")));
  }
  if (facts.forward.findInput("loops"))
    if (llvm::Error error = verifyDepths(facts, loops))
      return std::move(error);
  return loops;
}

llvm::Expected<float> lariat::reference::resolveThreshold(const ModelFacts &facts, const Request &request) {
  ExitAttr exit = facts.exit;
  if (request.threshold && request.noExit)
    return makeError("an exit threshold is given, and exits are switched off: expected one of both");
  if (request.threshold && !exit)
    return makeError("an exit threshold is given, but the model declares no exit rule");
  if (!exit)
    return 0.0f;
  if (!exit.hasThreshold()) {
    if (request.threshold)
      return makeError("an exit threshold is given, but the rule '" + exit.getRule().getValue() + "' takes none");
    if (request.noExit)
      return makeError("exits are switched off, but rows stop by the rule '" + exit.getRule().getValue() +
                       "' in every request");
    return 0.0f;
  }
  double threshold = getThreshold(facts, request).value_or(exit.getNever().getValueAsDouble());
  double low = exit.getLow().getValueAsDouble(), high = exit.getHigh().getValueAsDouble();
  if (!std::isfinite(threshold) || threshold < low || threshold > high)
    return makeError(llvm::formatv("the exit threshold is {0}, but the rule '{1}' takes {2} to {3}",
                                   llvm::json::Value(threshold), exit.getRule().getValue(), llvm::json::Value(low),
                                   llvm::json::Value(high))
                         .str());
  return static_cast<float>(threshold);
}

llvm::Expected<std::optional<MissingMode>> lariat::reference::resolveMissing(const ModelFacts &facts,
                                                                             const Request &request) {
  if (!request.missing)
    return std::nullopt;
  SmallVector<MissingMode> allowed = facts.getAllowedMissing();
  std::optional<MissingMode> mode = symbolizeMissingMode(*request.missing);
  if (mode && llvm::is_contained(allowed, *mode))
    return mode;
  if (mode == MissingMode::Compute)
    return makeError("the missing mode 'compute' is not one the model allows: " + facts.computeRefusal);
  std::string list;
  for (MissingMode word : allowed)
    list += (list.empty() ? "" : ", ") + stringifyMissingMode(word).str();
  return makeError("the missing mode '" + *request.missing +
                   "' is not one the model allows: " + (list.empty() ? "it has no choice" : list));
}

llvm::Error lariat::reference::verifyOrder(const ModelFacts &facts, const Request &request, RunMode mode,
                                           int64_t loops) {
  if (facts.getOrder(loops, /*generated=*/false) != RowOrder::Sequential)
    return llvm::Error::success();
  if (facts.mixesCallRows || (facts.hasTopK && mode == RunMode::Score))
    return makeError("the order of the model is sequential, but rows of a call depend on each other");
  if (request.prefix > 1)
    return makeError("the order of the model is sequential, so a prefix of " + Twine(request.prefix) +
                     " rows cannot see each other in both directions");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

/// A share whose product with a number of rows is a number.
static llvm::Error verifyShare(const Share &share, size_t depth) {
  if (share.numerator > 0 && share.numerator <= share.denominator &&
      share.denominator <= std::numeric_limits<int32_t>::max())
    return llvm::Error::success();
  return makeError("the capacity of depth " + Twine(depth) + " is " + Twine(share.numerator) + "/" +
                   Twine(share.denominator) + ", expected a share above 0 and at most 1 with a denominator below 2^31");
}

llvm::Expected<std::vector<std::vector<int32_t>>> lariat::reference::resolveCapacity(const ModelFacts &facts,
                                                                                     const ScoreRequest &request) {
  std::vector<std::vector<int32_t>> counts;
  if (!request.capacity)
    return counts;
  auto numShares = static_cast<int64_t>(request.capacity->size()), numDepths = facts.getCapacityDepths();
  if (numDepths == 0)
    return makeError("a capacity is given, but the model has no router that takes one");
  if (request.mode == RunMode::Generate)
    return makeError("a capacity is given, but in mode generate the decode rule decides, not a capacity");
  if (numShares != numDepths)
    return makeError("a capacity of " + Twine(numShares) + " shares is given, but the router of the model has " +
                     Twine(numDepths) + " depths");
  for (auto [depth, share] : llvm::enumerate(*request.capacity))
    if (llvm::Error error = verifyShare(share, depth))
      return std::move(error);
  for (const std::vector<int64_t> &ids : request.sequences) {
    auto numRows = static_cast<int64_t>(ids.size());
    std::vector<int32_t> &kept = counts.emplace_back();
    for (const Share &share : *request.capacity)
      kept.push_back(static_cast<int32_t>(std::max<int64_t>(1, numRows * share.numerator / share.denominator)));
  }
  return counts;
}

//===----------------------------------------------------------------------===//
// Initial state
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<HostTensor>> lariat::reference::readInitialState(const ModelFacts &facts,
                                                                            const Request &request, StringRef path) {
  const Port *port = facts.forward.findInput("initial_state");
  if (!port)
    return makeError("an initial state is given, but the model takes none");
  llvm::Expected<std::unique_ptr<SafetensorsFile>> file = SafetensorsFile::open(path);
  if (!file)
    return file.takeError();
  int64_t width = cast<RankedTensorType>(port->type).getDimSize(1);
  bool single = request.sequences.size() == 1 && (*file)->getTensors().size() == 1;
  std::vector<HostTensor> states;
  for (auto [sequence, ids] : llvm::enumerate(request.sequences)) {
    std::string name = "state." + std::to_string(sequence);
    const StoredTensor *tensor = single ? &(*file)->getTensors().front() : (*file)->find(name);
    if (!tensor)
      return makeError(path + " has no tensor '" + name + "' for sequence " + Twine(sequence));
    SmallVector<int64_t> expected{static_cast<int64_t>(ids.size()), width};
    if (ArrayRef<int64_t>(tensor->shape) != ArrayRef<int64_t>(expected))
      return makeError(path + ": tensor '" + tensor->name + "' has shape " + formatShape(tensor->shape) +
                       ", expected " + formatShape(expected));
    if (tensor->type != "F32")
      return makeError(path + ": tensor '" + tensor->name + "' has type " + tensor->type + ", expected F32");
    HostTensor &state = states.emplace_back(expected, sizeof(float));
    std::memcpy(state.data<char>(), tensor->bytes.data(), tensor->bytes.size());
  }
  return states;
}
