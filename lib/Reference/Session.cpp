// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Answers requests. Scoring feeds all rows in one call, or a chunk of each sequence per call; generating feeds the
// prompts, then one row of each unfinished sequence per call.

#include "lariat/Reference/Session.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "lariat/Reference/Error.h"
#include "lariat/Reference/InitialState.h"
#include "lariat/Reference/Sample.h"
#include "lariat/Requests/Checks.h"
#include "lariat/Requests/Options.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"

#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;
using requests::Form;
using requests::GenerateRequest;
using requests::Request;
using requests::ScoreRequest;

/// What decides about requests: what the manifest says, and what @forward takes.
static requests::RequestFacts describe(const Model &model) {
  requests::RequestFacts facts = requests::describeRequests(model.manifest);
  facts.usesLoops = model.facts.forward.findInput("loops");
  if (const Port *state = model.facts.forward.findInput("initial_state"))
    facts.stateWidth = cast<RankedTensorType>(state->type).getDimSize(1);
  facts.capacityDepths = model.facts.getCapacityDepths();
  return facts;
}

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
  session->facts = describe(session->model);
  session->jit.emplace(session->model);
  return session;
}

llvm::Expected<std::unique_ptr<Runner>> Session::start(const Request &request, RunSettings settings, Form form,
                                                       int64_t numPositions) {
  Variant options;
  options.mode = settings.mode == "generate" ? RunMode::Generate : RunMode::Score;
  if (settings.missing)
    options.missing = symbolizeMissingMode(*settings.missing);
  options.derived = form != Form::Forward;
  llvm::Expected<const Executable *> executable = jit->get(options);
  if (!executable)
    return executable.takeError();
  auto numSequences = static_cast<int64_t>(request.sequences.size());
  llvm::Expected<RequestMemory> memory =
      RequestMemory::allocate(model.facts, {numSequences, numPositions, settings.loops});
  if (!memory)
    return memory.takeError();
  if (form == Form::Forward)
    return createForwardRunner(model, **executable, std::move(settings), std::move(*memory));
  return createStepRunner(model, **executable, std::move(settings), std::move(*memory), form == Form::Staggered);
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

llvm::Expected<std::vector<SequenceScores>> Session::runAll(const Request &request, RunSettings settings, Form form,
                                                            std::optional<int64_t> chunk) {
  auto calls = requests::planCalls(facts, request, settings, chunk, std::numeric_limits<int64_t>::max());
  auto runner = start(request, std::move(settings), form, requests::getLongest(request));
  if (!runner)
    return runner.takeError();
  std::vector<SequenceScores> scores(request.sequences.size());
  for (const requests::CallPlan &call : calls) {
    llvm::Expected<RowResults> results = (*runner)->feed(requests::listPromptRows(request, call));
    if (!results)
      return results.takeError();
    int64_t begin = 0;
    for (auto [sequence, first, last] : call) {
      int64_t end = begin + last - first, numRows = request.sequences[sequence].size();
      SequenceScores &score = scores[sequence];
      collectRows(score.logits, results->logits, begin, end, first, numRows);
      collectRows(score.hidden, results->hidden, begin, end, first, numRows);
      score.steps.insert(score.steps.end(), results->steps.begin() + begin, results->steps.begin() + end);
      begin = end;
    }
  }
  for (auto [sequence, score] : llvm::enumerate(scores))
    score.slots = (*runner)->countSlots(sequence);
  return scores;
}

llvm::Expected<std::vector<SequenceScores>> Session::score(const ScoreRequest &request, StringRef initialState) {
  if (runtime::Status status = requests::verifyScore(facts, request))
    return toError(status.takeError());
  std::vector<HostTensor> states;
  if (!initialState.empty()) {
    llvm::Expected<std::vector<HostTensor>> read = readInitialState(request, initialState, facts.stateWidth);
    if (!read)
      return read.takeError();
    states = std::move(*read);
  }
  runtime::Expected<std::vector<std::vector<int32_t>>> capacity = requests::resolveCapacity(facts, request);
  if (!capacity)
    return toError(capacity.takeError());
  runtime::Expected<requests::RowSettings> settings = requests::resolveSettings(facts, request, request.mode);
  if (!settings)
    return toError(settings.takeError());
  return runAll(request, {std::move(*settings), std::move(states), std::move(*capacity)}, request.form, request.chunk);
}

llvm::Expected<std::vector<SequenceScores>> Session::encode(const Request &request) {
  if (runtime::Status status = requests::verifyEncode(facts, request))
    return toError(status.takeError());
  runtime::Expected<requests::RowSettings> settings = requests::resolveSettings(facts, request, "score");
  if (!settings)
    return toError(settings.takeError());
  return runAll(request, {std::move(*settings), {}, {}}, Form::Forward, /*chunk=*/std::nullopt);
}

//===----------------------------------------------------------------------===//
// Generate
//===----------------------------------------------------------------------===//

/// The rows of the prompts that are to be fed together with those that choose; others are fed here, one of each
/// sequence at a time.
static llvm::Expected<std::vector<BatchRow>> startPrompts(Runner &runner, const GenerateRequest &request,
                                                          bool takesRowByRow) {
  std::vector<BatchRow> rows;
  std::vector<std::vector<BatchRow>> before;
  for (auto [sequence, ids] : llvm::enumerate(request.sequences))
    for (size_t position = 0; position < ids.size(); ++position) {
      bool wanted = position + 1 == ids.size();
      bool isFedBefore = !wanted && takesRowByRow && request.maxNewTokens > 0;
      before.resize(std::max(before.size(), isFedBefore ? position + 1 : 0));
      (isFedBefore ? before[position] : rows).push_back(requests::getPromptRow(request, sequence, position, wanted));
    }
  for (const std::vector<BatchRow> &call : before)
    if (llvm::Expected<RowResults> fed = runner.feed(call); !fed)
      return fed.takeError();
  return rows;
}

llvm::Expected<std::vector<SequenceTokens>> Session::generate(const GenerateRequest &request, TokenCallback onToken) {
  if (runtime::Status status = requests::verifyGenerate(facts, request))
    return toError(status.takeError());
  if (runtime::Status status = requests::verifyReference(request))
    return toError(status.takeError());
  runtime::Expected<requests::RowSettings> settings = requests::resolveSettings(facts, request, "generate");
  if (!settings)
    return toError(settings.takeError());
  bool takesRowByRow = facts.getOrder(settings->loops, /*generated=*/false) == requests::RowOrder::Sequential;
  auto runner = start(request, {std::move(*settings), {}, {}}, Form::Forward,
                      requests::getLongest(request) + request.maxNewTokens);
  if (!runner)
    return runner.takeError();

  const requests::SamplingOptions &sampling = request.sampling;
  std::vector<SequenceTokens> results(request.sequences.size());
  llvm::Expected<std::vector<BatchRow>> prompts = startPrompts(**runner, request, takesRowByRow);
  if (!prompts)
    return prompts.takeError();
  std::vector<BatchRow> rows = std::move(*prompts);
  for (int64_t step = 0; step < request.maxNewTokens && !rows.empty(); ++step) {
    llvm::Expected<RowResults> fed = (*runner)->feed(rows);
    if (!fed)
      return fed.takeError();
    std::vector<BatchRow> next;
    int64_t wanted = 0, vocab = facts.vocab; // the width of logits, by contract
    for (auto [index, row] : llvm::enumerate(rows)) {
      if (!(row.flags & kWanted))
        continue;
      ArrayRef<float> logits(fed->logits.data<float>() + wanted++ * vocab, vocab);
      std::optional<int64_t> token = chooseToken(logits, sampling.temperature, sampling.seed, row.position);
      if (!token)
        return makeError("the logits of position " + Twine(row.position) + " of sequence " + Twine(row.sequence) +
                         " are not numbers");
      SequenceTokens &result = results[row.sequence];
      result.tokens.push_back(*token);
      result.steps.push_back(fed->steps[index]);
      onToken(row.sequence, *token, fed->steps[index]);
      result.ended = (!request.ignoreEos && llvm::is_contained(facts.eos, *token)) ||
                     llvm::is_contained(request.stopTokens, *token);
      if (!result.ended)
        next.push_back({row.sequence, row.position + 1, static_cast<int32_t>(*token), kGenerated | kWanted});
    }
    rows = std::move(next);
  }
  for (auto [sequence, result] : llvm::enumerate(results))
    result.slots = (*runner)->countSlots(sequence);
  return results;
}
