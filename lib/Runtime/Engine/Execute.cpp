// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a plan says, done. A call that fails before code runs has changed nothing, so its rows are where they were and
// another plan can be made.

#include "RequestState.h"

#include <algorithm>
#include <chrono>

using namespace lariat;
using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// A plan
//===----------------------------------------------------------------------===//

Engine::Outcome Engine::execute(const TickPlan &plan) {
  if (plan.remedy) {
    apply(*plan.remedy);
    return Outcome::Replan;
  }
  if (startRequests(plan) == Outcome::Replan)
    return Outcome::Replan;
  if (addSeats(plan.chunks) == Outcome::Replan)
    return Outcome::Replan;
  for (const RowChunk &chunk : plan.chunks)
    addChunk(chunk);
  return runCalls(plan);
}

void Engine::apply(const Remedy &remedy) {
  lacksPages.reset();
  switch (remedy.kind) {
  case Remedy::Kind::TakeBackDrafts:
    dropAllDrafts();
    break;
  case Remedy::Kind::Preempt:
    preempt(remedy.request);
    break;
  case Remedy::Kind::Fail:
    finish(*running.at(remedy.request), Finish::Failed, remedy.why);
    break;
  }
}

Engine::Outcome Engine::startRequests(const TickPlan &plan) {
  auto find = [&](int64_t number) {
    return std::ranges::find(waiting, number, [](const std::unique_ptr<RequestState> &one) { return one->number; });
  };
  for (const PlannedWait &wait : plan.waits) {
    RequestState &one = **find(wait.request);
    one.awaited = wait.source;
    one.awaitedRows = wait.rows;
  }
  bool isAsPlanned = true;
  for (const PlannedStart &planned : plan.starts) {
    auto place = find(planned.request);
    std::unique_ptr<RequestState> one = std::move(*place);
    waiting.erase(place);
    waitsForEnd = false;
    if (one->request.maxNewTokens == 0) {
      finish(*one, Finish::Length, {});
      continue;
    }
    // No more than planned, also where others have got further since.
    PhasedTokens rows = one->getRows();
    rows.tokens = rows.tokens.first(std::min<size_t>(rows.tokens.size(), planned.sharedRows + 1));
    Expected<std::unique_ptr<Sequence>> sequence =
        one->key ? model->createSequence(*one->key, rows) : model->createSequence();
    if (!sequence) {
      finish(*one, Finish::Failed, sequence.text());
      isAsPlanned = false;
      continue;
    }
    one->sequence = std::move(*sequence);
    one->awaited = -1;
    one->next = one->sequence->getLength();
    counts.reusedRows += one->next;
    one->started = numStarted++;
    isAsPlanned &= one->next == planned.sharedRows;
    running[one->number] = std::move(one);
  }
  return agreeOnStarts(isAsPlanned);
}

Engine::Outcome Engine::agreeOnStarts(bool isAsPlanned) {
  startsAgain = !isAsPlanned;
  if (options.replay && startsAgain != options.replay->plans[numReplayed - 1].endsAtStarts)
    return refuseReplay("a request cannot start with the rows of others that it had");
  if (isAsPlanned)
    return Outcome::Done;
  if (options.record)
    options.record->plans.back().endsAtStarts = true;
  return Outcome::Replan;
}

Engine::Outcome Engine::addSeats(std::span<const RowChunk> chunks) {
  size_t numWanted = 0, numSeats = records.steps.size();
  for (const RowChunk &chunk : chunks)
    numWanted += chunk.count;
  if (numWanted <= freeSeats.size())
    return Outcome::Done;
  size_t numAll = numSeats + numWanted - freeSeats.size();
  if (Status status = records.resize(numAll)) {
    for (const RowChunk &chunk : chunks)
      finish(*running.at(chunk.sequence), Finish::Failed, status.text());
    return Outcome::Replan;
  }
  for (; numSeats < numAll; ++numSeats)
    freeSeats.push_back(static_cast<int64_t>(numSeats));
  return Outcome::Done;
}

void Engine::addChunk(const RowChunk &chunk) {
  RequestState &one = *running.at(chunk.sequence);
  scheduler.add(chunk);
  for (int64_t row = 0; row < chunk.count; ++row) {
    one.seats.push_back(freeSeats.back());
    freeSeats.pop_back();
  }
  one.next += chunk.count;
}

Engine::Outcome Engine::runCalls(const TickPlan &plan) {
  if (!plan.whole.empty())
    return runWhole(plan.whole);
  if (!plan.prelude.empty() && runPrelude(plan.prelude) == Outcome::Replan)
    return Outcome::Replan;
  if (!plan.fill.empty() && runFill(plan.fill) == Outcome::Replan)
    return Outcome::Replan;
  std::vector<ScheduledRow> inLoop;
  std::ranges::copy_if(plan.core, std::back_inserter(inLoop), [&](const ScheduledRow &row) {
    return scheduler.getRow(row.sequence, row.position).progress != RowProgress::Settled;
  });
  if (!inLoop.empty() && runCore(inLoop) == Outcome::Replan)
    return Outcome::Replan;
  // Also without rows that may run: there may still be chunks whose @coda lacked pages before.
  return steps ? runCoda(plan.drafts) : Outcome::Done;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

Engine::Batch Engine::buildBatch(std::span<const ScheduledRow> rows, bool atDepth) {
  // Stretches of one sequence, shallow ones first: rows of equal depth are neighbours, and weights by depth are read
  // once.
  struct Stretch {
    std::span<const ScheduledRow> rows;
    std::pair<int64_t, int64_t> getStanding() const { return {rows[0].depth, rows[0].sequence}; }
  };
  std::vector<Stretch> stretches;
  for (size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    while (end < rows.size() && rows[end].sequence == rows[begin].sequence)
      ++end;
    stretches.push_back({rows.subspan(begin, end - begin)});
  }
  if (atDepth)
    std::ranges::sort(stretches, {}, &Stretch::getStanding);
  Batch batch;
  for (const Stretch &stretch : stretches) {
    RequestState &owner = *running.at(stretch.rows[0].sequence);
    batch.sequences.push_back(owner.sequence.get());
    batch.owners.push_back(&owner);
    for (const ScheduledRow &row : stretch.rows) {
      batch.rows.push_back({.sequence = static_cast<int64_t>(batch.sequences.size()) - 1,
                            .position = row.position,
                            .depth = atDepth ? row.depth : 0,
                            .flags = owner.getFlags(row.position)});
      batch.scheduled.push_back(row);
      batch.seats.push_back(owner.seats[owner.getPlace(row.position)]);
      batch.inputs.push_back(
          {static_cast<int32_t>(owner.tokens[row.position]), owner.request.loops, owner.request.threshold});
    }
  }
  return batch;
}

static Timing &getTiming(EngineCounts &counts, CalledFunction called) {
  switch (called) {
  case CalledFunction::Prelude:
    return counts.prelude;
  case CalledFunction::Core:
    return counts.core;
  case CalledFunction::Fill:
    return counts.fill;
  case CalledFunction::Coda:
    return counts.coda;
  case CalledFunction::Whole:
    break;
  }
  return counts.whole;
}

void Engine::countCall(CalledFunction called, const Batch &batch, double seconds, const LaunchCounts &launches) {
  CallFacts facts{.called = called, .rows = static_cast<int64_t>(batch.rows.size()), .seconds = seconds};
  facts.promptRows = std::ranges::count_if(batch.rows, [](const Row &row) { return !(row.flags & abi::kGenerated); });
  Timing &timing = getTiming(counts, called);
  timing.rows += facts.rows;
  ++timing.calls;
  timing.promptRows += facts.promptRows;
  policy->addCall(facts);
  if (profiler)
    profiler->addCall(called, batch.rows, seconds, launches);
}

CallEnd Engine::runCode(CalledFunction called, const Function &function, const Batch &batch,
                        std::vector<InputArray> inputs, int64_t loopSteps, bool givesUp) {
  LaunchCounts launches;
  StopPoll poll([&] { return givesUp || areCancelled(batch) || (stop && stop->ask()); });
  if (givesUp)
    poll.ask(); // else the question comes after a while
  auto start = std::chrono::steady_clock::now();
  Status status = model->call({.function = &function,
                               .sequences = batch.sequences,
                               .rows = batch.rows,
                               .inputs = std::move(inputs),
                               .loops = loopSteps,
                               .keepsOutputs = called != CalledFunction::Whole && called != CalledFunction::Coda,
                               .launches = profiler ? &launches : nullptr,
                               .stop = &poll},
                              result);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  getTiming(counts, called).seconds += seconds;
  if (status.ok()) {
    countCall(called, batch, seconds, launches);
    return {};
  }
  // Who was cancelled is learned by the next tick too.
  bool isCancelled = poll.isStopped() && !(stop && stop->isStopped());
  return {status.lacksPages() ? CallEnd::Kind::LacksPages
          : isCancelled       ? CallEnd::Kind::Cancelled
                              : CallEnd::Kind::Failed,
          status.text()};
}

Engine::Outcome Engine::call(CalledFunction called, const Function &function, const Batch &batch,
                             std::vector<InputArray> inputs, int64_t loopSteps) {
  CallEnd recorded;
  if (options.replay) {
    Expected<CallEnd> found = replayCall(called, batch);
    if (!found)
      return refuseReplay(found.text());
    recorded = *found;
  }
  // Calls that did not succeed are made again too: what is retained has made way for them, and nobody begins with the
  // rows of a sequence that was in one that was given up.
  bool givesUp = recorded.kind == CallEnd::Kind::Cancelled || recorded.kind == CallEnd::Kind::Failed;
  CallEnd end = runCode(called, function, batch, std::move(inputs), loopSteps, givesUp);
  if (givesUp)
    end = recorded;
  bool isDone = end.kind == CallEnd::Kind::Done, lacks = end.kind == CallEnd::Kind::LacksPages;
  if (options.replay && (isDone || lacks) && end.kind != recorded.kind)
    return refuseReplay(lacks ? "there were pages for a call that lacks them now: " + end.why
                              : "there are pages for a call that lacked them: " + recorded.why);
  if (options.record)
    options.record->plans.back().calls.push_back({called, batch.scheduled, end});
  switch (end.kind) {
  case CallEnd::Kind::Done:
    return Outcome::Done;
  case CallEnd::Kind::LacksPages:
    lacksPages = end.why;
    return Outcome::Replan;
  case CallEnd::Kind::Cancelled:
    for (RequestState *owner : batch.owners)
      finish(*owner, Finish::Stopped, {});
    return Outcome::Replan;
  case CallEnd::Kind::Failed:
    break;
  }
  return fail(batch, end.why);
}

bool Engine::areCancelled(const Batch &batch) const {
  std::lock_guard lock(mutex);
  return std::ranges::all_of(batch.owners, [&](const RequestState *owner) {
    return std::ranges::find(cancelled, owner->number) != cancelled.end();
  });
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

Engine::Outcome Engine::runWhole(const std::vector<ScheduledRow> &rows) {
  Batch batch = buildBatch(rows, /*atDepth=*/false);
  int64_t loops = 0;
  for (const RowInput &input : batch.inputs)
    loops = std::max(loops, input.loops);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  if (call(CalledFunction::Whole, *forward, batch, std::move(*inputs), loops) == Outcome::Replan)
    return Outcome::Replan;
  for (const ScheduledRow &row : batch.scheduled)
    scheduler.advance(row.sequence, row.position, /*depth=*/0, RowProgress::Settled);
  return takeResults(*forward, batch, CalledFunction::Whole);
}

Engine::Outcome Engine::runPrelude(const std::vector<ScheduledRow> &rows) {
  Batch batch = buildBatch(rows, /*atDepth=*/false);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*steps->forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  if (call(CalledFunction::Prelude, *steps->prelude, batch, std::move(*inputs), /*loopSteps=*/0) == Outcome::Replan)
    return Outcome::Replan;
  records.putPrelude(result, batch.seats);
  for (size_t index = 0; index < batch.rows.size(); ++index)
    scheduler.advance(batch.scheduled[index].sequence, batch.rows[index].position, /*depth=*/0,
                      records.max[batch.seats[index]] > 0 ? RowProgress::Active : RowProgress::Settled);
  return Outcome::Done;
}

Engine::Outcome Engine::runFill(const std::vector<ScheduledRow> &rows) {
  Batch batch = buildBatch(rows, /*atDepth=*/true);
  if (call(CalledFunction::Fill, *steps->fill, batch, records.takeStep(batch.seats), /*loopSteps=*/1) ==
      Outcome::Replan)
    return Outcome::Replan;
  for (size_t index = 0; index < batch.rows.size(); ++index) {
    int64_t next = batch.rows[index].depth + 1;
    scheduler.advance(batch.scheduled[index].sequence, batch.rows[index].position, next,
                      next < records.max[batch.seats[index]] ? RowProgress::StoringKV : RowProgress::Settled);
  }
  return Outcome::Done;
}

Engine::Outcome Engine::runCore(const std::vector<ScheduledRow> &rows) {
  Batch batch = buildBatch(rows, /*atDepth=*/true);
  if (call(CalledFunction::Core, *steps->core, batch, records.takeStep(batch.seats), /*loopSteps=*/1) ==
      Outcome::Replan)
    return Outcome::Replan;
  for (size_t index = 0; index < steps->numCarried; ++index)
    records.carried[index].put(result.outputs[index], batch.seats);
  for (size_t index = 0; index < batch.rows.size(); ++index) {
    int64_t seat = batch.seats[index], next = batch.rows[index].depth + 1;
    bool kept = *result.outputs[steps->numCarried].line<uint8_t>(static_cast<int64_t>(index));
    bool stops = *result.outputs[steps->numCarried + 1].line<uint8_t>(static_cast<int64_t>(index));
    bool isBound = batch.owners[batch.rows[index].sequence]->isBound(batch.rows[index].position, next);
    bool isLatched = steps->latch && *result.outputs[*steps->latch].line<uint8_t>(static_cast<int64_t>(index));
    records.steps[seat] = static_cast<int32_t>(kept ? next : next - 1);
    const ScheduledRow &row = batch.scheduled[index];
    if (profiler && kept)
      profiler->addStep(batch.rows[index], row.progress == RowProgress::StoringKV);
    RowProgress progress = RowProgress::Settled;
    if (kept && !stops && !isBound && next < records.max[seat])
      progress = isLatched ? RowProgress::StoringKV : RowProgress::Active;
    else if (steps->fill && next < records.max[seat])
      progress = RowProgress::StoringKV;
    scheduler.advance(row.sequence, row.position, next, progress);
  }
  return Outcome::Done;
}

size_t Engine::countFinal(const RequestState &one) const {
  std::span<const FlightRow> flight = scheduler.getRows(one.number);
  size_t count = one.numDone;
  while (count < flight.size() && isOut(flight[count]))
    ++count;
  // Rows of a chunk are final together, rows behind drafts one after the other.
  return one.numDrafted == 0 && count < flight.size() ? one.numDone : count;
}

Engine::Outcome Engine::runCoda(std::span<const DraftLimit> drafts) {
  std::vector<ScheduledRow> rows;
  auto limit = drafts.begin();
  for (const auto &[number, one] : running) {
    std::span<const FlightRow> flight = scheduler.getRows(number);
    size_t numFinal = countFinal(*one);
    auto add = [&](const FlightRow &row) { rows.push_back({number, row.position, row.depth, row.progress}); };
    for (size_t place = one->numDone; place < numFinal; ++place)
      add(flight[place]);
    while (limit != drafts.end() && limit->request < number)
      ++limit;
    if (limit == drafts.end() || limit->request != number || numFinal == flight.size())
      continue;
    // What is final by now will be verified by the same call.
    int64_t numAhead = one->numDrafted - static_cast<int64_t>(numFinal - one->numDone);
    bool hasRunDraftSteps = isOut(flight.back()) || flight.back().depth >= one->request.draftSteps;
    if (hasRunDraftSteps && numAhead < limit->most)
      add(flight.back());
  }
  if (rows.empty())
    return Outcome::Done;
  Batch batch = buildBatch(rows, /*atDepth=*/false);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*steps->forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  records.takeCoda(batch.seats, *inputs);
  if (call(CalledFunction::Coda, *steps->coda, batch, std::move(*inputs), /*loopSteps=*/0) == Outcome::Replan)
    return Outcome::Replan;
  return takeResults(*steps->coda, batch, CalledFunction::Coda);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Engine::Outcome Engine::fail(const Batch &batch, const std::string &why) {
  for (RequestState *owner : batch.owners)
    finish(*owner, Finish::Failed, why);
  return Outcome::Replan;
}

Engine::Outcome Engine::takeResults(const Function &function, const Batch &batch, CalledFunction called) {
  int64_t logits = function.findOutput("logits"), rowSteps = function.findOutput("steps"), numWanted = 0;
  for (const Row &row : batch.rows)
    numWanted += (row.flags & abi::kWanted) != 0;
  if (logits < 0 || result.outputs[logits].numRows != numWanted)
    return fail(batch, "compiled code does not give logits of each row that wants them");
  for (RequestState *owner : batch.owners)
    owner->numDone = countFinal(*owner);
  auto numColumns = static_cast<size_t>(function.outputs[logits].getNumElements());
  for (int64_t index = 0, line = 0; index < static_cast<int64_t>(batch.rows.size()); ++index) {
    RequestState &owner = *batch.owners[batch.rows[index].sequence];
    bool isWanted = batch.rows[index].flags & abi::kWanted;
    std::span<const float> values;
    if (isWanted)
      values = {result.outputs[logits].line<float>(line++), numColumns};
    size_t place = owner.getPlace(batch.rows[index].position);
    if (owner.finish != Finish::Unfinished || place >= owner.seats.size())
      continue; // behind a row that failed or whose draft was taken back
    int32_t taken =
        rowSteps >= 0 ? *result.outputs[rowSteps].line<int32_t>(index) : static_cast<int32_t>(owner.request.loops);
    bool isFinal = place < owner.numDone;
    if (profiler && isFinal)
      profiler->addResult(batch.rows[index], taken, called);
    if (isWanted && isFinal)
      choose(owner, values, taken);
    else if (isWanted)
      draft(owner, values);
  }
  return Outcome::Done;
}

void Engine::choose(RequestState &one, std::span<const float> logits, int32_t rowSteps) {
  int64_t position = static_cast<int64_t>(one.tokens.size()) - one.numDrafted - 1;
  std::optional<Choice> choice = one.sampler.choose(logits, position);
  if (!choice) {
    finish(one, Finish::Failed,
           makeError("the logits of position ", position, " of sequence ", one.number, " are not numbers").message);
    return;
  }
  int64_t token = choice->token;
  one.sampler.addGenerated(token);
  if (one.numDrafted > 0)
    verify(one, token);
  else
    one.tokens.push_back(token);
  tokens.push_back({one.number, std::move(*choice), rowSteps});
  if (one.isEnd(token))
    one.ending = Finish::Eos;
  else if (one.getNumGenerated() == one.request.maxNewTokens)
    one.ending = Finish::Length;
}
