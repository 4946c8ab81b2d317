// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The life of requests: queue, pages given back, end; and ticks. What they do is decided in Decide.cpp and executed in
// Execute.cpp.

#include "RequestState.h"

#include <algorithm>
#include <chrono>
#include <utility>

using namespace lariat;
using namespace lariat::runtime;

Engine::Engine(std::shared_ptr<Model> model, EngineOptions options, std::optional<StepFunctions> steps,
               const Function *forward)
    : model(std::move(model)), options(std::move(options)), policy(this->options.policy), steps(std::move(steps)),
      forward(forward), scheduler(this->options.maxRows) {
  if (this->options.keepsProfile)
    profiler.emplace();
}

Engine::~Engine() { model->dropRetained(this); }

void Engine::clearPrefixes() {
  if (isReplaying())
    return;
  mail.clearsPrefixes = true;
  model->dropRetained(this);
}

/// Says what a recording is of, and compares what is replayed.
static Status prepareSchedules(const EngineOptions &options, const Model &model, bool splitsLoop) {
  Schedule own{
      .model = model.getManifest().digest, .mode = options.mode, .missing = options.missing, .splitsLoop = splitsLoop};
  if (options.replay) {
    const Schedule &given = *options.replay;
    if (given.model != own.model)
      return makeError("the schedule was recorded with another model, expected that with the checksum ", own.model);
    if (given.mode != own.mode || given.missing != own.missing || given.splitsLoop != own.splitsLoop)
      return makeError("the schedule was recorded with another mode, missing mode or way to run the loop");
  }
  if (options.record)
    *options.record = std::move(own);
  return Status::success();
}

Expected<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<Model> model, EngineOptions options) {
  if (options.maxRows < 1 || options.chunkRows < 1)
    return makeError("a tick of ", options.maxRows, " rows and chunks of ", options.chunkRows,
                     " rows, expected at least 1");
  Expected<const Function *> forward =
      model->findFunction({.name = "forward", .mode = options.mode, .missing = options.missing});
  if (!forward)
    return forward.takeError();
  if (!options.policy)
    options.policy = std::make_shared<MeasuredPolicy>(options.order);
  // A loop that cannot be split runs whole, and then rows of different depths wait for each other.
  std::optional<StepFunctions> steps;
  if (options.policy->splitsLoop())
    if (Expected<StepFunctions> found = StepFunctions::find(*model, options.mode, options.missing))
      steps = *found;
  if (Status status = prepareSchedules(options, *model, steps.has_value()))
    return status.takeError();
  std::unique_ptr<Engine> engine(new Engine(std::move(model), std::move(options), steps, *forward));
  if (engine->steps)
    if (Status status = engine->records.prepare(engine->model->getDeviceMemory(), *engine->steps, /*numSeats=*/0))
      return status.takeError();
  return engine;
}

/// The key under which a request shares rows. None if the order of its rows is not free, the model has states, or a
/// policy bounds its loop steps.
std::optional<PrefixKey> Engine::makeKey(const EngineRequest &request, bool isBound) const {
  const Manifest &manifest = model->getManifest();
  bool isFree = request.promptOrder == RowOrder::Free && request.generatedOrder == RowOrder::Free;
  if (!options.prefixCache || !isFree || !manifest.states.empty() || isBound)
    return std::nullopt;
  return PrefixKey{.model = manifest.digest,
                   .isa = model->getIsa(),
                   .mode = options.mode,
                   .missing = options.missing,
                   .loops = request.loops,
                   .threshold = request.threshold,
                   .prefix = request.prefix};
}

//===----------------------------------------------------------------------===//
// From other threads
//===----------------------------------------------------------------------===//

int64_t Engine::submit(EngineRequest request) {
  std::vector<EngineRequest> requests;
  requests.push_back(std::move(request));
  return submit(std::move(requests));
}

int64_t Engine::submit(std::vector<EngineRequest> requests) {
  std::lock_guard lock(mutex);
  int64_t first = numSubmitted;
  for (EngineRequest &request : requests)
    submitted.emplace_back(numSubmitted++, std::move(request));
  numUnfinished += static_cast<int64_t>(requests.size());
  return first;
}

Status Engine::cancel(int64_t request) {
  std::lock_guard lock(mutex);
  if (options.replay)
    return makeError("request ", request, " cannot be cancelled: the engine replays a schedule");
  if (request < 0 || request >= numSubmitted)
    return makeError("request ", request, " is not one of the ", numSubmitted, " that were submitted");
  cancelled.push_back(request);
  return Status::success();
}

int64_t Engine::getNumUnfinished() const {
  std::lock_guard lock(mutex);
  return numUnfinished;
}

void Engine::receiveRequests() {
  tokens.clear();
  ends.clear();
  if (options.replay && refusal.empty())
    return;
  std::deque<std::pair<int64_t, EngineRequest>> coming;
  std::vector<int64_t> leaving;
  {
    std::lock_guard lock(mutex);
    coming.swap(submitted);
    leaving.swap(cancelled);
  }
  for (auto &[number, request] : coming)
    receive(number, std::move(request));
  for (int64_t number : leaving)
    stopRequest(number);
  releaseFinished();
}

void Engine::receive(int64_t number, EngineRequest request) {
  std::vector<int64_t> bounds = policy->getStepBounds(number);
  if (options.record)
    options.record->requests.push_back(digestRequest(request, bounds));
  mail.received.push_back(number);
  std::optional<PrefixKey> key = makeKey(request, !bounds.empty());
  waiting.push_back(std::make_unique<RequestState>(number, std::move(request), std::move(key), std::move(bounds)));
  if (!refusal.empty())
    finish(*waiting.back(), Finish::Failed, refusal);
}

void Engine::stopRequest(int64_t number) {
  mail.cancelled.push_back(number);
  if (auto it = running.find(number); it != running.end())
    finish(*it->second, Finish::Stopped, {});
  for (const std::unique_ptr<RequestState> &one : waiting)
    if (one->number == number)
      finish(*one, Finish::Stopped, {});
}

//===----------------------------------------------------------------------===//
// End
//===----------------------------------------------------------------------===//

void Engine::retain(RequestState &one) {
  if (one.sequence && one.key)
    model->retain(std::move(one.sequence), this);
  one.sequence.reset();
}

void Engine::takeRows(RequestState &one) {
  scheduler.drop(one.number);
  freeSeats.insert(freeSeats.end(), one.seats.begin(), one.seats.end());
  one.seats.clear();
  one.numDone = 0;
}

void Engine::finish(RequestState &one, Finish how, std::string error) {
  if (one.finish != Finish::Unfinished)
    return;
  if (one.ending != Finish::Unfinished) {
    how = one.ending;
    error.clear();
  }
  one.finish = how;
  takeRows(one);
  EngineEnd &end = ends.emplace_back(EngineEnd{one.number, how, std::move(error), {}});
  if (one.sequence)
    end.use = one.sequence->getUse();
  if (how != Finish::Failed)
    retain(one);
  one.sequence.reset();
  waitsForEnd = false;
  std::lock_guard lock(mutex);
  --numUnfinished;
}

void Engine::releaseFinished() {
  for (auto &[number, one] : running) {
    size_t count = 0;
    std::span<const FlightRow> rows = scheduler.getRows(number);
    while (count < one->numDone && rows[count].progress == RowProgress::Settled)
      ++count;
    if (count == 0)
      continue;
    if (one->key)
      one->sequence->settle(std::span(one->tokens).subspan(one->getNumSettled(), count));
    freeSeats.insert(freeSeats.end(), one->seats.begin(), one->seats.begin() + static_cast<int64_t>(count));
    one->seats.erase(one->seats.begin(), one->seats.begin() + static_cast<int64_t>(count));
    one->numDone -= count;
    scheduler.leave(number, count);
  }
  for (auto &[number, one] : running)
    if (one->ending != Finish::Unfinished && scheduler.getRows(number).empty())
      finish(*one, one->ending, {});
  std::erase_if(running, [](const auto &entry) { return entry.second->finish != Finish::Unfinished; });
  std::erase_if(waiting, [](const std::unique_ptr<RequestState> &one) { return one->finish != Finish::Unfinished; });
}

void Engine::preempt(int64_t request) {
  auto it = running.find(request);
  std::unique_ptr<RequestState> one = std::move(it->second);
  running.erase(it);
  takeRows(*one);
  retain(*one);
  one->next = 0;
  waiting.push_front(std::move(one));
  waitsForEnd = true;
  ++counts.preemptions;
}

//===----------------------------------------------------------------------===//
// Ticks
//===----------------------------------------------------------------------===//

void Engine::tick(StopPoll *poll) {
  stop = poll;
  auto start = std::chrono::steady_clock::now();
  receiveRequests();
  Outcome outcome = Outcome::Replan;
  for (bool isFirst = true; outcome == Outcome::Replan && !(stop && stop->isStopped()); isFirst = false) {
    std::optional<TickPlan> plan = makePlan(/*continuesTick=*/!isFirst);
    if (!plan)
      break;
    outcome = execute(*plan);
    if (profiler && outcome == Outcome::Done)
      profiler->addUse(sumUse(), static_cast<int64_t>(running.size()), static_cast<int64_t>(waiting.size()));
    if (!lacksPages)
      releaseFinished();
  }
  stop = nullptr;
  scheduler.endTick();
  ++counts.ticks;
  counts.peakPageBytes = std::max(counts.peakPageBytes, model->getPageBytes());
  std::ranges::sort(tokens, {}, &EngineToken::request);
  if (profiler)
    profiler->endTick(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                      static_cast<int64_t>(tokens.size()));
}

std::optional<TickPlan> Engine::makePlan(bool continuesTick) {
  if (options.replay)
    return replayPlan(continuesTick);
  TickPlan plan = decide(/*startsRequests=*/!continuesTick || startsAgain);
  plan.mail = std::exchange(mail, {});
  plan.continuesTick = continuesTick;
  // A tick without rows leaves nothing behind.
  if (options.record && (plan != TickPlan() || scheduler.getNumRows() > 0))
    options.record->plans.push_back({.plan = plan});
  return plan;
}

//===----------------------------------------------------------------------===//
// Profile
//===----------------------------------------------------------------------===//

std::vector<CacheUse> Engine::sumUse() const {
  std::vector<CacheUse> sum(model->getManifest().getNumCaches());
  for (const auto &[number, one] : running) {
    if (!one->sequence)
      continue;
    std::vector<CacheUse> use = one->sequence->getUse();
    for (size_t index = 0; index < use.size(); ++index)
      sum[index].add(use[index]);
  }
  return sum;
}

std::optional<EngineProfile> Engine::getProfile() const {
  if (!profiler)
    return std::nullopt;
  EngineProfile profile = profiler->getProfile(sumUse());
  profile.isa = model->getIsa();
  profile.numThreads = model->getNumThreads();
  profile.maxRows = options.maxRows;
  profile.preemptions = counts.preemptions;
  return profile;
}
