// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiled code checks nothing, so every number that reaches it is checked here: ids index the embedding, positions and
// depths index caches and weights.

#include "lariat/Requests/Checks.h"

#include "lariat/Requests/Numbers.h"
#include "lariat/Requests/Options.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace lariat::requests;
using lariat::runtime::makeError;

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

/// Ids and lengths of one sequence that is to get `numNew` more tokens.
static Status verifySequence(const RequestFacts &facts, std::span<const int64_t> ids, int64_t sequence,
                             int64_t numNew) {
  if (ids.empty())
    return makeError("sequence ", sequence, " has no tokens, expected at least one");
  for (size_t index = 0; index < ids.size(); ++index)
    if (ids[index] < 0 || ids[index] >= facts.vocab)
      return makeError("token ", index, " of sequence ", sequence, " is ", ids[index], ", expected 0 to ",
                       facts.vocab - 1);
  auto numRows = static_cast<int64_t>(ids.size());
  // The last new token is never fed back, so it needs no position.
  if (numRows <= facts.context && numNew <= facts.context - numRows + 1)
    return Status::success();
  std::string more = numNew ? " and asks for " + std::to_string(numNew) + " more" : "";
  return makeError("sequence ", sequence, " has ", numRows, " tokens", more, ", but the context of the model is ",
                   facts.context);
}

/// Sequences, ids, context (with `numNew` more rows), prefix.
static Status verifySequences(const RequestFacts &facts, const Request &request, int64_t numNew) {
  if (request.sequences.empty())
    return makeError("the batch has no sequences, expected at least one");
  int64_t sequence = 0;
  for (const std::vector<int64_t> &ids : request.sequences)
    if (Status status = verifySequence(facts, ids, sequence++, numNew))
      return status;
  if (request.prefix < 0)
    return makeError("the prefix is ", request.prefix, ", expected 0 or more");
  if (request.prefix > 0 && !facts.hasPrefixMask)
    return makeError("a prefix of ", request.prefix, " rows is given, but the model has no prefix mask");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Whether a request may be cut into calls.
static Status verifyChunk(const RequestFacts &facts, const ScoreRequest &request) {
  if (!request.chunk)
    return Status::success();
  if (*request.chunk < 1)
    return makeError("the chunk is ", *request.chunk, " rows, expected at least 1");
  if (facts.dependsOnCall(request.mode))
    return makeError("a chunk is given, but rows of this model depend on all rows of a call");
  if (!facts.cutReason.empty())
    return makeError("a chunk is given, but results of this model depend on how a prompt is cut: ", facts.cutReason);
  if (request.prefix > *request.chunk)
    return makeError("the chunk is ", *request.chunk, " rows, expected at least the ", request.prefix,
                     " of the prefix");
  return Status::success();
}

Status lariat::requests::verifyScore(const RequestFacts &facts, const ScoreRequest &request) {
  if (request.mode != "score" && request.mode != "generate")
    return makeError("'mode' of the request is '", request.mode, "', expected score or generate");
  if (!facts.isDecoder())
    return makeError("the model is an encoder, which answers encode, not score");
  if (request.mode == "generate" && !facts.canGenerate())
    return makeError("mode generate is asked for, but the model's top_k has no decode rule, so it scores only");
  if (Status status = verifySequences(facts, request, /*numNew=*/0))
    return status;
  return verifyChunk(facts, request);
}

Status lariat::requests::verifyEncode(const RequestFacts &facts, const Request &request) {
  if (facts.isDecoder())
    return makeError("the model is a decoder, which answers score and generate, not encode");
  return verifySequences(facts, request, /*numNew=*/0);
}

Status lariat::requests::verifyGenerate(const RequestFacts &facts, const GenerateRequest &request) {
  if (!facts.isDecoder())
    return makeError("the model is an encoder, which answers encode, not generate");
  if (facts.lacksDecodeRule)
    return makeError("the model cannot generate: its top_k has no decode rule");
  if (facts.mixesCallRows)
    return makeError(
        "the model cannot generate: it attends or reduces among the rows of one call, not through a cache");
  if (request.maxNewTokens < 0)
    return makeError("max_new_tokens is ", request.maxNewTokens, ", expected 0 or more");
  if (Status status = verifySampling(request.sampling, facts.vocab))
    return status;
  for (int64_t token : request.stopTokens)
    if (token < 0 || token >= facts.vocab)
      return makeError("a stop token is ", token, ", expected 0 to ", facts.vocab - 1);
  return verifySequences(facts, request, request.maxNewTokens);
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

/// Depth-indexed memory and weights that the loop reaches must have that many depths.
static Status verifyDepths(const RequestFacts &facts, int64_t loops) {
  for (const CacheRule &cache : facts.caches)
    if (cache.looped && cache.depths && loops * cache.depthFactor > *cache.depths)
      return makeError(loops, " loop steps are asked for, but cache @", cache.name, " has ", *cache.depths, " depths");
  for (const DepthWeight &weight : facts.depthWeights)
    if (loops > weight.depths)
      return makeError(loops, " loop steps are asked for, but weight @", weight.name, " has ", weight.depths,
                       " depths");
  return Status::success();
}

/// What a request and its model come to: the threshold that decides, or none where no row may exit.
static std::optional<double> getThreshold(const RequestFacts &facts, const Request &request) {
  if (request.noExit || request.threshold || !facts.exit)
    return request.threshold;
  const ExitRule &exit = *facts.exit;
  return !exit.hasThreshold || exit.declared == exit.never ? std::nullopt : exit.declared;
}

Expected<int64_t> lariat::requests::resolveLoops(const RequestFacts &facts, const Request &request) {
  const LoopRange &range = facts.loops;
  int64_t loops = range.defaultSteps;
  if (getThreshold(facts, request) && range.stepsWithExit)
    loops = range.stepsWithExit;
  if (request.loops) {
    loops = *request.loops;
    if (!range.isFree() && loops != range.defaultSteps)
      return makeError(loops, " loop steps are asked for, but the loop count of this model is not free: it is ",
                       range.defaultSteps);
    if (loops < range.minSteps || (range.maxSteps && loops > range.maxSteps))
      return makeError(loops, " loop steps are asked for, but the model takes ", range.minSteps,
                       range.maxSteps ? " to " + std::to_string(range.maxSteps) : std::string(" or more"));
  }
  if (facts.usesLoops)
    if (Status status = verifyDepths(facts, loops))
      return status.takeError();
  return loops;
}

Expected<float> lariat::requests::resolveThreshold(const RequestFacts &facts, const Request &request) {
  const std::optional<ExitRule> &exit = facts.exit;
  if (request.threshold && request.noExit)
    return makeError("an exit threshold is given, and exits are switched off: expected one of both");
  if (request.threshold && !exit)
    return makeError("an exit threshold is given, but the model declares no exit rule");
  if (!exit)
    return 0.0f;
  if (!exit->hasThreshold) {
    if (request.threshold)
      return makeError("an exit threshold is given, but the rule '", exit->rule, "' takes none");
    if (request.noExit)
      return makeError("exits are switched off, but rows stop by the rule '", exit->rule, "' in every request");
    return 0.0f;
  }
  double threshold = getThreshold(facts, request).value_or(exit->never);
  if (!std::isfinite(threshold) || threshold < exit->low || threshold > exit->high)
    return makeError("the exit threshold is ", formatNumber(threshold), ", but the rule '", exit->rule, "' takes ",
                     formatNumber(exit->low), " to ", formatNumber(exit->high));
  return static_cast<float>(threshold);
}

Status lariat::requests::verifyMissing(const RequestFacts &facts, const std::optional<std::string> &missing) {
  const std::vector<std::string> &allowed = facts.allowedMissing;
  if (!missing || std::ranges::find(allowed, *missing) != allowed.end())
    return Status::success();
  if (*missing == "compute" && !facts.computeRefusal.empty())
    return makeError("the missing mode 'compute' is not one the model allows: ", facts.computeRefusal);
  std::string list;
  for (const std::string &word : allowed)
    list += (list.empty() ? "" : ", ") + word;
  return makeError("the missing mode '", *missing,
                   "' is not one the model allows: ", list.empty() ? "it has no choice" : list);
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// Whether rows may run one by one, where the order of the model at so many loop steps asks for it.
static Status verifyOrder(const RequestFacts &facts, const Request &request, const std::string &mode, int64_t loops) {
  if (facts.getOrder(loops, /*generated=*/false) != RowOrder::Sequential)
    return Status::success();
  if (facts.dependsOnCall(mode))
    return makeError("the order of the model is sequential, but rows of a call depend on each other");
  if (request.prefix > 1)
    return makeError("the order of the model is sequential, so a prefix of ", request.prefix,
                     " rows cannot see each other in both directions");
  return Status::success();
}

Expected<RowSettings> lariat::requests::resolveSettings(const RequestFacts &facts, const Request &request,
                                                        const std::string &mode) {
  Expected<int64_t> loops = resolveLoops(facts, request);
  if (!loops)
    return loops.takeError();
  Expected<float> threshold = resolveThreshold(facts, request);
  if (!threshold)
    return threshold.takeError();
  if (Status status = verifyMissing(facts, request.missing))
    return status.takeError();
  if (Status status = verifyOrder(facts, request, mode, *loops))
    return status.takeError();
  bool mayExit = facts.exit && *threshold != static_cast<float>(facts.exit->never);
  return RowSettings{mode, request.missing, *loops, *threshold, mayExit};
}

Status lariat::requests::verifySpeculation(const RequestFacts &facts, const GenerateRequest &request, int64_t loops) {
  if (!request.speculate) {
    if (request.drafts)
      return makeError("drafts of ", *request.drafts, " tokens are asked for without speculation");
    return Status::success();
  }
  if (loops < 2)
    return makeError("the model cannot speculate: its rows run ", loops, " loop steps, expected 2 or more");
  if (*request.speculate < 1 || *request.speculate >= loops)
    return makeError("speculation after ", *request.speculate, " loop steps is asked for, expected 1 to ", loops - 1,
                     ", as rows run ", loops);
  if (request.drafts && *request.drafts < 1)
    return makeError("drafts of ", *request.drafts, " tokens are asked for, expected at least 1");
  if (!facts.cutReason.empty())
    return makeError("the model cannot speculate: its results depend on which rows run together: ", facts.cutReason);
  for (const CacheRule &cache : facts.caches)
    for (bool generated : {false, true})
      if (RowOrder order = cache.getOrder(loops, generated); order != RowOrder::Free)
        return makeError("sequential policies cannot speculate, nor atomic ones: cache @", cache.name, " has order ",
                         abi::getName(order), " at ", loops, " loop steps, expected free");
  if (facts.hasStates)
    return makeError("the model cannot speculate: it has states, which cannot be taken back");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

/// A share whose product with a number of rows is a number.
static Status verifyShare(const Share &share, size_t depth) {
  if (share.numerator > 0 && share.numerator <= share.denominator &&
      share.denominator <= std::numeric_limits<int32_t>::max())
    return Status::success();
  return makeError("the capacity of depth ", depth, " is ", share.numerator, "/", share.denominator,
                   ", expected a share above 0 and at most 1 with a denominator below 2^31");
}

Expected<std::vector<std::vector<int32_t>>> lariat::requests::resolveCapacity(const RequestFacts &facts,
                                                                              const ScoreRequest &request) {
  std::vector<std::vector<int32_t>> counts;
  if (!request.capacity)
    return counts;
  const std::vector<Share> &shares = *request.capacity;
  int64_t numDepths = facts.capacityDepths;
  if (numDepths == 0)
    return makeError("a capacity is given, but the model has no router that takes one");
  if (request.mode == "generate")
    return makeError("a capacity is given, but in mode generate the decode rule decides, not a capacity");
  if (static_cast<int64_t>(shares.size()) != numDepths)
    return makeError("a capacity of ", shares.size(), " shares is given, but the router of the model has ", numDepths,
                     " depths");
  for (size_t depth = 0; depth < shares.size(); ++depth)
    if (Status status = verifyShare(shares[depth], depth))
      return status.takeError();
  for (const std::vector<int64_t> &ids : request.sequences) {
    auto numRows = static_cast<int64_t>(ids.size());
    std::vector<int32_t> &kept = counts.emplace_back();
    for (const Share &share : shares)
      kept.push_back(static_cast<int32_t>(std::max<int64_t>(1, numRows * share.numerator / share.denominator)));
  }
  return counts;
}

//===----------------------------------------------------------------------===//
// Initial state
//===----------------------------------------------------------------------===//

Status lariat::requests::verifyInitialState(const RequestFacts &facts, const ScoreRequest &request) {
  if (!request.initialState)
    return Status::success();
  int64_t width = facts.stateWidth;
  if (width == 0)
    return makeError("an initial state is given, but the model takes none");
  if (request.initialState->size() != request.sequences.size())
    return makeError("initial states are given for ", request.initialState->size(), " sequences, but the batch has ",
                     request.sequences.size());
  for (size_t sequence = 0; sequence < request.sequences.size(); ++sequence) {
    const StateArray &state = (*request.initialState)[sequence];
    size_t numRows = request.sequences[sequence].size();
    if (!state.data || state.numRows != static_cast<int64_t>(numRows) || state.width != width)
      return makeError("the initial state of sequence ", sequence, " has shape [", state.numRows, ", ", state.width,
                       "], expected [", numRows, ", ", width, "]");
  }
  return Status::success();
}
