// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Answers requests. Scoring feeds all rows in one call, or a chunk of each sequence per call; generating feeds the
// prompts, then one row of each unfinished sequence per call.

#include "lariat/Reference/Session.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "lariat/Reference/Checks.h"
#include "lariat/Reference/Sample.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

llvm::Expected<std::unique_ptr<Session>> Session::open(StringRef path, StringRef weights) {
  DialectRegistry registry;
  registerDialects(registry);
  std::unique_ptr<Session> session(new Session(std::make_unique<MLIRContext>(registry)));
  bool isArtefact = llvm::sys::fs::is_directory(path);
  if (isArtefact && !weights.empty())
    return makeError("an artefact has weights of its own, so --weights does not apply to " + path);
  CompileOptions options;
  options.input = path.str();
  options.weights = weights.str();
  options.pipeline = "reference";
  llvm::Expected<Model> model =
      isArtefact ? readArtefact(path, session->context.get()) : readModel(options, session->context.get());
  if (!model)
    return model.takeError();
  session->model = std::move(*model);
  session->jit.emplace(session->model);
  return session;
}

llvm::Expected<std::unique_ptr<Runner>> Session::start(const Request &request, RunMode mode, Form form,
                                                       int64_t numPositions, std::vector<HostTensor> initialState,
                                                       std::vector<std::vector<int32_t>> capacity) {
  const ModelFacts &facts = model.facts;
  llvm::Expected<int64_t> loops = resolveLoops(facts, request);
  if (!loops)
    return loops.takeError();
  llvm::Expected<float> threshold = resolveThreshold(facts, request);
  if (!threshold)
    return threshold.takeError();
  llvm::Expected<std::optional<MissingMode>> missing = resolveMissing(facts, request);
  if (!missing)
    return missing.takeError();
  if (llvm::Error error = verifyOrder(facts, request, mode, *loops))
    return std::move(error);
  ReferenceOptions options;
  options.mode = mode;
  options.missing = *missing;
  options.derived = form != Form::Forward;
  llvm::Expected<const Executable *> executable = jit->get(options);
  if (!executable)
    return executable.takeError();
  llvm::Expected<RequestMemory> memory =
      RequestMemory::allocate(facts, {static_cast<int64_t>(request.sequences.size()), numPositions, *loops});
  if (!memory)
    return memory.takeError();
  RunSettings settings{*loops, *threshold, std::move(initialState), std::move(capacity)};
  if (form == Form::Forward)
    return createForwardRunner(model, **executable, std::move(settings), std::move(*memory));
  return createStepRunner(model, **executable, std::move(settings), std::move(*memory), form == Form::Staggered);
}

static int64_t getLongest(const Request &request) {
  size_t longest = 0;
  for (const std::vector<int64_t> &ids : request.sequences)
    longest = std::max(longest, ids.size());
  return static_cast<int64_t>(longest);
}

/// Row `position` of a sequence as part of the prompt.
static Row getPromptRow(const Request &request, int64_t sequence, int64_t position, bool wanted) {
  int64_t flags = (position < request.prefix ? kPrefix : 0) | (wanted ? kWanted : 0);
  return {sequence, position, static_cast<int32_t>(request.sequences[sequence][position]), flags};
}

//===----------------------------------------------------------------------===//
// Score and encode
//===----------------------------------------------------------------------===//

/// Appends rows `first` to `last` of `part` to a tensor that grows to `numRows` rows.
static void collectRows(HostTensor &whole, const HostTensor &part, int64_t first, int64_t last, int64_t at,
                        int64_t numRows) {
  if (part.getShape().empty() || first == last)
    return;
  if (whole.getShape().empty()) {
    SmallVector<int64_t> shape(part.getShape());
    shape.front() = numRows;
    whole = HostTensor(shape, sizeof(float));
  }
  auto from = llvm::to_vector(llvm::seq(first, last)), to = llvm::to_vector(llvm::seq(at, at + last - first));
  whole.put(part.take(from), to);
}

llvm::Expected<std::vector<SequenceScores>> Session::runAll(Runner &runner, const Request &request, int64_t chunk) {
  std::vector<SequenceScores> scores(request.sequences.size());
  int64_t longest = getLongest(request);
  if (runner.takesRowByRow())
    chunk = 1;
  for (int64_t first = 0; first < longest; first += chunk) {
    std::vector<Row> rows;
    for (auto [sequence, ids] : llvm::enumerate(request.sequences))
      for (int64_t position = first, end = std::min<int64_t>(ids.size(), first + chunk); position < end; ++position)
        rows.push_back(getPromptRow(request, sequence, position, /*wanted=*/true));
    llvm::Expected<RowResults> results = runner.feed(rows);
    if (!results)
      return results.takeError();
    for (int64_t begin = 0, end = 0, size = rows.size(); begin < size; begin = end) {
      int64_t sequence = rows[begin].sequence, numRows = request.sequences[sequence].size();
      while (end < size && rows[end].sequence == sequence)
        ++end;
      SequenceScores &score = scores[sequence];
      collectRows(score.logits, results->logits, begin, end, first, numRows);
      collectRows(score.hidden, results->hidden, begin, end, first, numRows);
      score.steps.insert(score.steps.end(), results->steps.begin() + begin, results->steps.begin() + end);
    }
  }
  for (auto [sequence, score] : llvm::enumerate(scores))
    score.slots = runner.countSlots(sequence);
  return scores;
}

/// Whether a request may be cut into calls.
static llvm::Error verifyChunk(const ModelFacts &facts, const ScoreRequest &request) {
  if (!request.chunk)
    return llvm::Error::success();
  if (*request.chunk < 1)
    return makeError("the chunk is " + Twine(*request.chunk) + " rows, expected at least 1");
  if (facts.mixesCallRows || (facts.hasTopK && request.mode == RunMode::Score))
    return makeError("a chunk is given, but rows of this model depend on all rows of a call");
  if (!facts.cutReason.empty())
    return makeError("a chunk is given, but results of this model depend on how a prompt is cut: " + facts.cutReason);
  if (request.prefix > *request.chunk)
    return makeError("the chunk is " + Twine(*request.chunk) + " rows, expected at least the " + Twine(request.prefix) +
                     " of the prefix");
  return llvm::Error::success();
}

llvm::Expected<std::vector<SequenceScores>> Session::score(const ScoreRequest &request) {
  const ModelFacts &facts = model.facts;
  if (!facts.isDecoder())
    return makeError("the model is an encoder, which answers encode, not score");
  if (request.mode == RunMode::Generate && !facts.canGenerate())
    return makeError("mode generate is asked for, but the model's top_k has no decode rule, so it scores only");
  if (llvm::Error error = verifySequences(facts, request, /*numNew=*/0))
    return std::move(error);
  if (llvm::Error error = verifyChunk(facts, request))
    return std::move(error);
  std::vector<HostTensor> initialState;
  if (request.initialState) {
    llvm::Expected<std::vector<HostTensor>> states = readInitialState(facts, request, *request.initialState);
    if (!states)
      return states.takeError();
    initialState = std::move(*states);
  }
  llvm::Expected<std::vector<std::vector<int32_t>>> capacity = resolveCapacity(facts, request);
  if (!capacity)
    return capacity.takeError();
  int64_t longest = getLongest(request);
  auto runner = start(request, request.mode, request.form, longest, std::move(initialState), std::move(*capacity));
  if (!runner)
    return runner.takeError();
  return runAll(**runner, request, request.chunk.value_or(longest));
}

llvm::Expected<std::vector<SequenceScores>> Session::encode(const Request &request) {
  if (model.facts.isDecoder())
    return makeError("the model is a decoder, which answers score and generate, not encode");
  if (llvm::Error error = verifySequences(model.facts, request, /*numNew=*/0))
    return std::move(error);
  int64_t longest = getLongest(request);
  auto runner = start(request, RunMode::Score, Form::Forward, longest, /*initialState=*/{});
  if (!runner)
    return runner.takeError();
  return runAll(**runner, request, longest);
}

//===----------------------------------------------------------------------===//
// Generate
//===----------------------------------------------------------------------===//

static llvm::Error verifyGenerate(const ModelFacts &facts, const GenerateRequest &request) {
  if (!facts.isDecoder())
    return makeError("the model is an encoder, which answers encode, not generate");
  if (facts.lacksDecodeRule)
    return makeError("the model cannot generate: its top_k has no decode rule");
  if (facts.mixesCallRows)
    return makeError(
        "the model cannot generate: it attends or reduces among the rows of one call, not through a cache");
  if (request.maxNewTokens < 0)
    return makeError("max_new_tokens is " + Twine(request.maxNewTokens) + ", expected 0 or more");
  if (!std::isfinite(request.temperature) || request.temperature < 0)
    return makeError(
        llvm::formatv("the temperature is {0}, expected 0 or more", llvm::json::Value(request.temperature)).str());
  return verifySequences(facts, request, request.maxNewTokens);
}

/// The rows of the prompts that are to be fed together with those that choose; others are fed here, one of each sequence
/// at a time.
static llvm::Expected<std::vector<Row>> startPrompts(Runner &runner, const GenerateRequest &request) {
  std::vector<Row> rows;
  std::vector<std::vector<Row>> before;
  for (auto [sequence, ids] : llvm::enumerate(request.sequences))
    for (size_t position = 0; position < ids.size(); ++position) {
      bool wanted = position + 1 == ids.size();
      bool isFedBefore = !wanted && runner.takesRowByRow() && request.maxNewTokens > 0;
      before.resize(std::max(before.size(), isFedBefore ? position + 1 : 0));
      (isFedBefore ? before[position] : rows).push_back(getPromptRow(request, sequence, position, wanted));
    }
  for (const std::vector<Row> &call : before)
    if (llvm::Expected<RowResults> fed = runner.feed(call); !fed)
      return fed.takeError();
  return rows;
}

llvm::Expected<std::vector<SequenceTokens>> Session::generate(const GenerateRequest &request, TokenCallback onToken) {
  const ModelFacts &facts = model.facts;
  if (llvm::Error error = verifyGenerate(facts, request))
    return std::move(error);
  auto runner = start(request, RunMode::Generate, Form::Forward, getLongest(request) + request.maxNewTokens,
                      /*initialState=*/{});
  if (!runner)
    return runner.takeError();

  std::vector<SequenceTokens> results(request.sequences.size());
  llvm::Expected<std::vector<Row>> prompts = startPrompts(**runner, request);
  if (!prompts)
    return prompts.takeError();
  std::vector<Row> rows = std::move(*prompts);
  for (int64_t step = 0; step < request.maxNewTokens && !rows.empty(); ++step) {
    llvm::Expected<RowResults> fed = (*runner)->feed(rows);
    if (!fed)
      return fed.takeError();
    std::vector<Row> next;
    int64_t wanted = 0, vocab = facts.model.getVocab(); // the width of logits, by contract
    for (auto [index, row] : llvm::enumerate(rows)) {
      if (!(row.flags & kWanted))
        continue;
      ArrayRef<float> logits(fed->logits.data<float>() + wanted++ * vocab, vocab);
      std::optional<int64_t> token = chooseToken(logits, request.temperature, request.seed, row.position);
      if (!token)
        return makeError("the logits of position " + Twine(row.position) + " of sequence " + Twine(row.sequence) +
                         " are not numbers");
      SequenceTokens &result = results[row.sequence];
      result.tokens.push_back(*token);
      result.steps.push_back(fed->steps[index]);
      onToken(row.sequence, *token, fed->steps[index]);
      result.ended = !request.ignoreEos && llvm::is_contained(facts.model.getEos(), *token);
      if (!result.ended)
        next.push_back({row.sequence, row.position + 1, static_cast<int32_t>(*token), kGenerated | kWanted});
    }
    rows = std::move(next);
  }
  for (auto [sequence, result] : llvm::enumerate(results))
    result.slots = (*runner)->countSlots(sequence);
  return results;
}
