// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opening, scoring and encoding. Rows are fed call by call as planned; results are put together per sequence.

#include "lariat/Runtime/Session/Session.h"

#include "lariat/Requests/Checks.h"
#include "lariat/Runtime/Session/BatchRunner.h"

#include <algorithm>
#include <cstring>
#include <limits>

using namespace lariat;
using namespace lariat::requests;
using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

/// @forward of any variant: all have the same inputs.
static const Function *findForward(const Manifest &manifest) {
  auto it = std::ranges::find(manifest.code->functions, "forward", &Function::name);
  return it == manifest.code->functions.end() ? nullptr : &*it;
}

Expected<std::unique_ptr<Session>> Session::open(const std::string &path, const SessionOptions &options) {
  if (options.maxRows < 1)
    return makeError("max_rows is ", options.maxRows, ", expected at least 1");
  Expected<std::unique_ptr<Model>> model = Model::open(path, options.open);
  if (!model)
    return model.takeError();
  const Manifest &manifest = (*model)->getManifest();
  requests::RequestFacts facts = requests::describeRequests(manifest);
  const Function *forward = findForward(manifest);
  if (!forward)
    return makeError(path, " has no function forward");
  const char *answer = facts.isDecoder() ? "logits" : "hidden";
  if (forward->findOutput(answer) < 0)
    return makeError(path, ": function forward has no output '", answer, "'");
  for (const Function &function : manifest.code->functions)
    for (const Port &port : function.outputs)
      if (port.name == "logits" && port.getNumElements() != facts.vocab)
        return makeError(path, ": 'logits' of function ", function.name, " have ", port.getNumElements(),
                         " columns, but the vocabulary of the model is ", facts.vocab);
  facts.usesLoops = forward->findInput("loops") >= 0;
  if (int64_t state = forward->findInput("initial_state"); state >= 0)
    facts.stateWidth = forward->inputs[state].getNumElements();
  if (int64_t capacity = forward->findInput("capacity"); capacity >= 0)
    facts.capacityDepths = forward->inputs[capacity].getNumElements();
  return std::unique_ptr<Session>(new Session(std::move(*model), std::move(facts), options));
}

Expected<RunSettings> Session::readSettings(const Request &request, const std::string &mode) const {
  Expected<RowSettings> settings = resolveSettings(facts, request, mode);
  if (!settings)
    return settings.takeError();
  // Rows that may exit need less than the formula says.
  if (request.loops && !settings->mayExit)
    if (Status status = model->verifyRoom(getLongest(request), settings->loops))
      return status.takeError();
  return RunSettings{std::move(*settings), {}, {}};
}

Expected<std::vector<SequenceScores>> Session::runAll(const Request &request, RunSettings settings, Form form,
                                                      std::optional<int64_t> chunk) {
  std::vector<CallPlan> calls = planCalls(facts, request, settings, chunk, maxRows);
  Expected<std::unique_ptr<BatchRunner>> runner =
      createBatchRunner(model, facts, std::move(settings), form, request.sequences.size());
  if (!runner)
    return runner.takeError();
  return feedAll(**runner, request, calls);
}

//===----------------------------------------------------------------------===//
// Scoring
//===----------------------------------------------------------------------===//

/// Copies lines `begin` to `end` of a call to rows from `at` on; the array has room for `numRows` rows.
static Status collectLines(FloatArray &whole, const FloatLines &lines, int64_t begin, int64_t end, int64_t at,
                           int64_t numRows) {
  if (!lines.data)
    return Status::success();
  int64_t lineBytes = lines.numColumns * static_cast<int64_t>(sizeof(float)), bytes = 0;
  if (whole.numColumns == 0) {
    if (!multiply(lineBytes, numRows, bytes))
      return makeError("the result of ", numRows, " rows is too large");
    if (Status status = whole.memory.reserve(bytes, "a result"))
      return status;
    whole.numRows = numRows;
    whole.numColumns = lines.numColumns;
  }
  for (int64_t line = begin; line < end; ++line, ++at)
    std::memcpy(whole.memory.data() + at * lineBytes, lines.data + line * lines.lineBytes, lineBytes);
  return Status::success();
}

Expected<std::vector<SequenceScores>> Session::feedAll(BatchRunner &runner, const Request &request,
                                                       const std::vector<CallPlan> &calls) {
  std::vector<SequenceScores> scores(request.sequences.size());
  StopPoll stop(request.wantsStop);
  runner.setStop(request.wantsStop ? &stop : nullptr);
  for (const CallPlan &call : calls) {
    if (stop.ask())
      return makeError(kStoppedMessage);
    std::vector<BatchRow> rows = listPromptRows(request, call);
    Expected<RowResults> results = runner.feed(rows);
    if (!results)
      return results.takeError();
    int64_t begin = 0;
    for (const RowSpan &span : call) {
      SequenceScores &score = scores[span.sequence];
      int64_t end = begin + span.last - span.first;
      auto numRows = static_cast<int64_t>(request.sequences[span.sequence].size());
      if (Status status = collectLines(score.logits, results->logits, begin, end, span.first, numRows))
        return status.takeError();
      if (Status status = collectLines(score.hidden, results->hidden, begin, end, span.first, numRows))
        return status.takeError();
      score.steps.insert(score.steps.end(), results->steps.begin() + begin, results->steps.begin() + end);
      if (span.last == numRows) {
        score.caches = runner.countSlots(span.sequence);
        runner.release(span.sequence);
      }
      begin = end;
    }
  }
  return scores;
}

Expected<std::vector<SequenceScores>> Session::score(const ScoreRequest &request) {
  if (Status status = verifyScore(facts, request))
    return status.takeError();
  if (Status status = verifyInitialState(facts, request))
    return status.takeError();
  Expected<std::vector<std::vector<int32_t>>> capacity = resolveCapacity(facts, request);
  if (!capacity)
    return capacity.takeError();
  Expected<RunSettings> settings = readSettings(request, request.mode);
  if (!settings)
    return settings.takeError();
  settings->initialState = request.initialState.value_or(std::vector<StateArray>());
  settings->capacity = std::move(*capacity);
  return runAll(request, std::move(*settings), request.form, request.chunk);
}

Expected<std::vector<SequenceScores>> Session::encode(const Request &request) {
  if (Status status = verifyEncode(facts, request))
    return status.takeError();
  Expected<RunSettings> settings = readSettings(request, "score");
  if (!settings)
    return settings.takeError();
  return runAll(request, std::move(*settings), Form::Forward, /*chunk=*/std::nullopt);
}

Expected<std::unique_ptr<Engine>> Session::createEngine(EngineOptions options) const {
  if (Status status = verifyMissing(facts, options.missing))
    return status.takeError();
  return Engine::create(model, std::move(options));
}

Expected<std::vector<EngineRequest>> Session::prepare(GenerateRequest request) const {
  if (Status status = verifyGenerate(facts, request))
    return status.takeError();
  Expected<RunSettings> settings = readSettings(request, "generate");
  if (!settings)
    return settings.takeError();
  if (Status status = verifySpeculation(facts, request, settings->loops))
    return status.takeError();
  if (request.speculate)
    if (Expected<StepFunctions> steps = StepFunctions::find(*model, "generate", settings->missing); !steps)
      return makeError("the model cannot speculate, as its loop cannot be split: ", steps.text());
  std::vector<int64_t> endTokens = request.stopTokens;
  if (!request.ignoreEos)
    endTokens.insert(endTokens.end(), facts.eos.begin(), facts.eos.end());
  std::vector<EngineRequest> prepared;
  for (std::vector<int64_t> &prompt : request.sequences)
    prepared.push_back({.prompt = std::move(prompt),
                        .loops = settings->loops,
                        .threshold = settings->threshold,
                        .promptOrder = facts.getOrder(settings->loops, /*generated=*/false),
                        .generatedOrder = facts.getOrder(settings->loops, /*generated=*/true),
                        .prefix = request.prefix,
                        .maxNewTokens = request.maxNewTokens,
                        .sampling = request.sampling,
                        .endTokens = endTokens,
                        .draftSteps = request.speculate.value_or(0),
                        .drafts = request.drafts});
  return prepared;
}

Expected<std::unique_ptr<Generation>> Session::generate(GenerateRequest request) {
  StopQuestion wantsStop = request.wantsStop;
  EngineOptions options{.missing = request.missing,
                        .maxRows = maxRows,
                        .chunkRows = maxRows,
                        .order = order,
                        .loop = request.keepsProfile ? LoopRun::Steps : LoopRun::Auto,
                        .keepsProfile = request.keepsProfile};
  Expected<std::vector<EngineRequest>> prepared = prepare(std::move(request));
  if (!prepared)
    return prepared.takeError();
  Expected<std::unique_ptr<Engine>> engine = Engine::create(model, std::move(options));
  if (!engine)
    return engine.takeError();
  int64_t loops = prepared->empty() ? 1 : prepared->front().loops;
  size_t numSequences = prepared->size();
  (*engine)->submit(std::move(*prepared));
  std::unique_ptr<Generation> generation(
      new Generation(facts, loops, std::move(wantsStop), std::move(*engine), numSequences));
  generation->engine->receiveRequests();
  generation->collect();
  return generation;
}
