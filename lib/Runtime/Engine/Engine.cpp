// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The life of requests: queue, start, pages given back, end; and which rows a tick runs. Calls of compiled code are in
// Ticks.cpp.

#include "Running.h"

#include <algorithm>
#include <chrono>

using namespace lariat;
using namespace lariat::runtime;

/// Rows in common that are worth waiting for.
static constexpr int64_t kRowsWorthWaiting = abi::kPageEntries;

Engine::Engine(std::shared_ptr<Model> model, EngineOptions options, std::optional<StepFunctions> steps,
               const Function *forward)
    : model(std::move(model)), options(std::move(options)), steps(std::move(steps)), forward(forward),
      scheduler(this->options.order, this->options.maxRows) {
  if (this->options.keepsProfile)
    profiler.emplace();
}

Engine::~Engine() { clearPrefixes(); }

void Engine::clearPrefixes() { model->dropRetained(this); }

Expected<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<Model> model, EngineOptions options) {
  if (options.maxRows < 1 || options.chunkRows < 1)
    return makeError("a tick of ", options.maxRows, " rows and chunks of ", options.chunkRows,
                     " rows, expected at least 1");
  Expected<const Function *> forward =
      model->findFunction({.name = "forward", .mode = options.mode, .missing = options.missing});
  if (!forward)
    return forward.takeError();
  // A loop that cannot be split runs whole, and then rows of different depths wait for each other.
  std::optional<StepFunctions> steps;
  if (options.loop != LoopRun::Whole)
    if (Expected<StepFunctions> found = StepFunctions::find(*model, options.mode, options.missing))
      steps = *found;
  std::unique_ptr<Engine> engine(new Engine(std::move(model), std::move(options), steps, *forward));
  if (engine->steps)
    engine->records.prepare(*engine->steps, /*numSeats=*/0);
  return engine;
}

/// Rows are the request's own where their order is not free, of a model with states, and of a loop that is bound otherwise.
std::optional<PrefixKey> Engine::makeKey(const EngineRequest &request) const {
  const Manifest &manifest = model->getManifest();
  bool isFree = request.promptOrder == RowOrder::Free && request.generatedOrder == RowOrder::Free;
  if (!options.prefixCache || !isFree || !manifest.states.empty() || request.depthAt)
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
  if (request < 0 || request >= numSubmitted)
    return makeError("request ", request, " is not one of the ", numSubmitted, " that were submitted");
  cancelled.push_back(request);
  return Status::success();
}

int64_t Engine::getNumUnfinished() const {
  std::lock_guard lock(mutex);
  return numUnfinished;
}

void Engine::takeMail() {
  tokens.clear();
  ends.clear();
  std::vector<int64_t> leaving;
  {
    std::lock_guard lock(mutex);
    for (auto &[number, request] : submitted)
      waiting.push_back(std::make_unique<Running>(number, std::move(request), makeKey(request)));
    submitted.clear();
    leaving.swap(cancelled);
  }
  for (int64_t number : leaving) {
    if (auto it = running.find(number); it != running.end())
      finish(*it->second, Finish::Stopped, {});
    for (const std::unique_ptr<Running> &one : waiting)
      if (one->number == number)
        finish(*one, Finish::Stopped, {});
  }
  reap();
}

//===----------------------------------------------------------------------===//
// Start and end
//===----------------------------------------------------------------------===//

int64_t Engine::countChunk(const Running &one) const {
  const EngineRequest &request = one.request;
  auto rest = static_cast<int64_t>(one.tokens.size()) - one.next;
  int64_t restOfPrompt = static_cast<int64_t>(request.prompt.size()) - one.next;
  if (one.getNextOrder() != RowOrder::Free)
    return restOfPrompt > 0 && request.promptOrder == RowOrder::Atomic ? restOfPrompt : 1;
  bool othersGenerate = running.size() > 1;
  int64_t count = std::min(rest, othersGenerate ? std::min(options.chunkRows, options.maxRows) : options.maxRows);
  if (request.generatedOrder != RowOrder::Free && restOfPrompt > 0)
    count = std::min(count, restOfPrompt);
  return one.next < request.prefix ? std::clamp(count, std::min(rest, request.prefix), rest) : count;
}

bool Engine::mayAddChunk(const Running &one) const {
  bool hasDraft = one.numDrafted > 0 && !one.isEnd(one.tokens.back());
  if (one.ending != Finish::Unfinished || (one.numDone != one.seats.size() && !hasDraft) ||
      one.next >= static_cast<int64_t>(one.tokens.size()))
    return false;
  // Rows that owe entries may write over what a row sees, unless the order is free.
  auto isSettled = [](const FlightRow &row) { return row.phase == Phase::Settled; };
  return one.getNextOrder() == RowOrder::Free || std::ranges::all_of(scheduler.getRows(one.number), isSettled);
}

void Engine::addChunk(Running &one) {
  int64_t count = countChunk(one);
  bool isAtomic = count > 1 && (one.getNextOrder() == RowOrder::Atomic || one.next < one.request.prefix);
  scheduler.add(one.number, one.next, count, isAtomic);
  for (int64_t row = 0; row < count; ++row) {
    if (freeSeats.empty()) {
      auto numSeats = static_cast<int64_t>(records.steps.size());
      freeSeats.push_back(numSeats);
      records.resize(numSeats + 1);
    }
    one.seats.push_back(freeSeats.back());
    freeSeats.pop_back();
  }
  one.next += count;
}

bool Engine::waitsForRows(Running &one) const {
  if (!one.key)
    return false;
  auto source = running.find(one.awaited);
  if (source != running.end() && source->second->getNumSettled() < one.awaitedRows)
    return true;
  int64_t best = model->countSettled(*one.key, one.getRows()) + kRowsWorthWaiting;
  one.awaited = -1;
  for (const auto &[number, other] : running) {
    int64_t rows = other->key == one.key ? countSparedRows(*one.key, one.getRows(), other->getRows()) : 0;
    if (rows >= best && other->getNumSettled() < rows) {
      one.awaited = number;
      one.awaitedRows = best = rows;
    }
  }
  return one.awaited >= 0;
}

void Engine::admit() {
  bool mayStart = !waitsForEnd || running.empty();
  for (size_t index = 0; index < waiting.size() && mayStart && scheduler.getNumRows() < options.maxRows;) {
    if (waitsForRows(*waiting[index])) {
      ++index;
      continue;
    }
    std::unique_ptr<Running> one = std::move(waiting[index]);
    waiting.erase(waiting.begin() + static_cast<int64_t>(index));
    waitsForEnd = false;
    if (one->request.maxNewTokens == 0) {
      finish(*one, Finish::Length, {});
      continue;
    }
    Expected<std::unique_ptr<Sequence>> sequence =
        one->key ? model->createSequence(*one->key, one->getRows()) : model->createSequence();
    if (!sequence) {
      finish(*one, Finish::Failed, sequence.text());
      continue;
    }
    one->sequence = std::move(*sequence);
    one->next = one->sequence->getLength();
    counts.reusedRows += one->next;
    one->started = numStarted++;
    Running &added = *(running[one->number] = std::move(one));
    addChunk(added);
  }
  for (auto &[number, one] : running)
    if (mayAddChunk(*one))
      addChunk(*one);
}

void Engine::retain(Running &one) {
  if (one.sequence && one.key)
    model->retain(std::move(one.sequence), this);
  one.sequence.reset();
}

void Engine::takeRows(Running &one) {
  scheduler.drop(one.number);
  freeSeats.insert(freeSeats.end(), one.seats.begin(), one.seats.end());
  one.seats.clear();
  one.numDone = 0;
}

void Engine::finish(Running &one, Finish how, std::string error) {
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

void Engine::reap() {
  for (auto &[number, one] : running) {
    size_t count = 0;
    std::span<const FlightRow> rows = scheduler.getRows(number);
    while (count < one->numDone && rows[count].phase == Phase::Settled)
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
  std::erase_if(waiting, [](const std::unique_ptr<Running> &one) { return one->finish != Finish::Unfinished; });
}

void Engine::preempt(const std::string &why) {
  auto last = std::ranges::max_element(running, {}, [](const auto &entry) {
    return entry.second->finish == Finish::Unfinished ? entry.second->started : -1;
  });
  auto numLeft =
      std::ranges::count_if(running, [](const auto &entry) { return entry.second->finish == Finish::Unfinished; });
  if (numLeft <= 1 || last->second->ending != Finish::Unfinished) {
    finish(*last->second, Finish::Failed, why);
    return;
  }
  std::unique_ptr<Running> one = std::move(last->second);
  running.erase(last);
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

std::vector<ScheduledRow> Engine::chooseRows() {
  std::vector<ScheduledRow> chosen = scheduler.choose();
  if (options.refills)
    return chosen;
  // Rows enter together, once the loop is empty.
  auto isEntering = [&](const ScheduledRow &row) {
    return scheduler.getRows(row.sequence)[row.place].phase == Phase::Entering;
  };
  if (!std::ranges::all_of(chosen, isEntering))
    std::erase_if(chosen, isEntering);
  return chosen;
}

void Engine::tick(StopPoll *poll) {
  stop = poll;
  auto start = std::chrono::steady_clock::now();
  takeMail();
  admit();
  for (bool isAgain = true; isAgain && !(stop && stop->isStopped());) {
    std::vector<ScheduledRow> chosen = chooseRows();
    isAgain = run(chosen) == Outcome::Again;
    if (profiler && !isAgain)
      profiler->addUse(sumUse(), static_cast<int64_t>(running.size()), static_cast<int64_t>(waiting.size()));
    scheduler.release();
    reap();
  }
  stop = nullptr;
  scheduler.endTick();
  ++counts.ticks;
  counts.pageBytesAtMost = std::max(counts.pageBytesAtMost, model->getPageBytes());
  std::ranges::sort(tokens, {}, &EngineToken::request);
  if (profiler)
    profiler->endTick(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                      static_cast<int64_t>(tokens.size()));
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
