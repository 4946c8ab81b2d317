// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls of compiled code for the rows of a tick. A call that fails before code runs has changed nothing, so its rows are
// where they were and another choice can be made.

#include "Running.h"

#include <algorithm>
#include <chrono>

using namespace lariat;
using namespace lariat::runtime;

Engine::Batch Engine::buildBatch(std::span<const ScheduledRow> rows, bool atDepth) {
  // Stretches of one sequence, shallow ones first: rows of equal depth are neighbours, and weights by depth are read once.
  struct Stretch {
    std::span<const ScheduledRow> rows;
    std::span<const FlightRow> flown;
    std::pair<int64_t, int64_t> getStanding() const { return {flown[rows[0].place].depth, rows[0].sequence}; }
  };
  std::vector<Stretch> stretches;
  for (size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    while (end < rows.size() && rows[end].sequence == rows[begin].sequence)
      ++end;
    stretches.push_back({rows.subspan(begin, end - begin), scheduler.getRows(rows[begin].sequence)});
  }
  if (atDepth)
    std::ranges::sort(stretches, {}, &Stretch::getStanding);
  Batch batch;
  for (const Stretch &stretch : stretches) {
    Running &owner = *running.at(stretch.rows[0].sequence);
    batch.sequences.push_back(owner.sequence.get());
    batch.owners.push_back(&owner);
    for (const ScheduledRow &row : stretch.rows) {
      const FlightRow &flight = stretch.flown[row.place];
      batch.rows.push_back({.sequence = static_cast<int64_t>(batch.sequences.size()) - 1,
                            .position = flight.position,
                            .depth = atDepth ? flight.depth : 0,
                            .flags = owner.getFlags(flight.position)});
      batch.scheduled.push_back(row);
      batch.seats.push_back(owner.seats[row.place]);
      batch.inputs.push_back(
          {static_cast<int32_t>(owner.tokens[flight.position]), owner.request.loops, owner.request.threshold});
    }
  }
  return batch;
}

static Timing &getTiming(EngineCounts &counts, Called called) {
  switch (called) {
  case Called::Prelude:
    return counts.prelude;
  case Called::Core:
    return counts.core;
  case Called::Fill:
    return counts.fill;
  case Called::Coda:
    return counts.coda;
  case Called::Whole:
    break;
  }
  return counts.whole;
}

Engine::Outcome Engine::call(const Function &function, const Batch &batch, std::vector<InputArray> inputs,
                             int64_t loopSteps, Called called) {
  LaunchCounts launches;
  StopPoll poll([&] { return areCancelled(batch) || (stop && stop->ask()); });
  auto start = std::chrono::steady_clock::now();
  Status status = model->call({.function = &function,
                               .sequences = batch.sequences,
                               .rows = batch.rows,
                               .inputs = std::move(inputs),
                               .loops = loopSteps,
                               .launches = profiler ? &launches : nullptr,
                               .stop = &poll},
                              result);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Timing &timing = getTiming(counts, called);
  timing.seconds += seconds;
  if (status.ok()) {
    auto numRows = static_cast<int64_t>(batch.rows.size());
    int64_t ofPrompts =
        std::ranges::count_if(batch.rows, [](const Row &row) { return !(row.flags & abi::kGenerated); });
    timing.rows += numRows;
    ++timing.calls;
    timing.promptRows += ofPrompts;
    if (ofPrompts == 0 && called == Called::Core)
      costs.core.add(numRows, seconds);
    else if (ofPrompts == 0 && called == Called::Coda)
      costs.coda.add(numRows, seconds);
    if (profiler)
      profiler->addCall(called, batch.rows, seconds, launches);
    return Outcome::Done;
  }
  if (status.lacksPages()) {
    if (!dropAllDrafts())
      preempt(status.text());
    return Outcome::Again;
  }
  if (poll.isStopped() && !(stop && stop->isStopped())) { // by cancelling, which the next tick learns of too
    for (Running *owner : batch.owners)
      finish(*owner, Finish::Stopped, {});
    return Outcome::Again;
  }
  return fail(batch, status.text());
}

bool Engine::areCancelled(const Batch &batch) const {
  std::lock_guard lock(mutex);
  return std::ranges::all_of(batch.owners, [&](const Running *owner) {
    return std::ranges::find(cancelled, owner->number) != cancelled.end();
  });
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

Engine::Outcome Engine::runWhole(const std::vector<ScheduledRow> &chosen) {
  Batch batch = buildBatch(chosen, /*atDepth=*/false);
  int64_t loops = 0;
  for (const RowInput &input : batch.inputs)
    loops = std::max(loops, input.loops);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  if (call(*forward, batch, std::move(*inputs), loops, Called::Whole) == Outcome::Again)
    return Outcome::Again;
  for (const ScheduledRow &row : batch.scheduled)
    scheduler.advance(row, /*depth=*/0, Phase::Settled);
  return takeResults(*forward, batch, Called::Whole);
}

Engine::Outcome Engine::runEntering(const std::vector<ScheduledRow> &chosen) {
  Batch batch = buildBatch(chosen, /*atDepth=*/false);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*steps->forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  if (call(*steps->prelude, batch, std::move(*inputs), /*loopSteps=*/0, Called::Prelude) == Outcome::Again)
    return Outcome::Again;
  records.putPrelude(result, batch.seats);
  for (size_t index = 0; index < batch.rows.size(); ++index)
    scheduler.advance(batch.scheduled[index], /*depth=*/0,
                      records.max[batch.seats[index]] > 0 ? Phase::Active : Phase::Settled);
  return Outcome::Done;
}

Engine::Outcome Engine::runFill(const std::vector<ScheduledRow> &chosen) {
  Batch batch = buildBatch(chosen, /*atDepth=*/true);
  if (call(*steps->fill, batch, records.takeStep(batch.seats), /*loopSteps=*/1, Called::Fill) == Outcome::Again)
    return Outcome::Again;
  for (size_t index = 0; index < batch.rows.size(); ++index) {
    int64_t next = batch.rows[index].depth + 1;
    scheduler.advance(batch.scheduled[index], next,
                      next < records.max[batch.seats[index]] ? Phase::Owing : Phase::Settled);
  }
  return Outcome::Done;
}

Engine::Outcome Engine::runCore(const std::vector<ScheduledRow> &chosen) {
  Batch batch = buildBatch(chosen, /*atDepth=*/true);
  if (call(*steps->core, batch, records.takeStep(batch.seats), /*loopSteps=*/1, Called::Core) == Outcome::Again)
    return Outcome::Again;
  for (size_t index = 0; index < steps->numCarried; ++index)
    records.carried[index].put(result.outputs[index], batch.seats);
  for (size_t index = 0; index < batch.rows.size(); ++index) {
    int64_t seat = batch.seats[index], next = batch.rows[index].depth + 1;
    bool kept = *result.outputs[steps->numCarried].line<uint8_t>(static_cast<int64_t>(index));
    bool stops = *result.outputs[steps->numCarried + 1].line<uint8_t>(static_cast<int64_t>(index));
    const EngineRequest &request = batch.owners[batch.rows[index].sequence]->request;
    bool isBound = request.depthAt && next >= request.depthAt(batch.rows[index].position);
    bool isLatched = steps->latch && records.carried[*steps->latch].at<uint8_t>(seat);
    records.steps[seat] = static_cast<int32_t>(kept ? next : next - 1);
    const ScheduledRow &row = batch.scheduled[index];
    if (profiler && kept)
      profiler->addStep(batch.rows[index], scheduler.getRows(row.sequence)[row.place].phase == Phase::Owing);
    Phase phase = Phase::Settled;
    if (kept && !stops && !isBound && next < records.max[seat])
      phase = isLatched ? Phase::Owing : Phase::Active;
    else if (steps->fill && next < records.max[seat])
      phase = Phase::Owing;
    scheduler.advance(batch.scheduled[index], next, phase);
  }
  return Outcome::Done;
}

static bool isOut(const FlightRow &row) { return row.phase == Phase::Owing || row.phase == Phase::Settled; }

size_t Engine::countFinal(const Running &one) const {
  std::span<const FlightRow> flight = scheduler.getRows(one.number);
  size_t count = one.numDone;
  while (count < flight.size() && isOut(flight[count]))
    ++count;
  // Rows of a chunk are final together, rows behind drafts one after the other.
  return one.numDrafted == 0 && count < flight.size() ? one.numDone : count;
}

Engine::Outcome Engine::runCoda() {
  std::vector<ScheduledRow> rows;
  for (const auto &[number, one] : running) {
    std::span<const FlightRow> flight = scheduler.getRows(number);
    size_t numFinal = countFinal(*one);
    for (size_t place = one->numDone; place < numFinal; ++place)
      rows.push_back({number, place});
    if (numFinal < flight.size() && (isOut(flight.back()) || flight.back().depth >= one->request.draftSteps) &&
        mayDraft(*one))
      rows.push_back({number, flight.size() - 1});
  }
  if (rows.empty())
    return Outcome::Done;
  Batch batch = buildBatch(rows, /*atDepth=*/false);
  Expected<std::vector<InputArray>> inputs = forwardInputs.build(*steps->forward, batch.inputs);
  if (!inputs)
    return fail(batch, inputs.text());
  records.takeCoda(batch.seats, *inputs);
  if (call(*steps->coda, batch, std::move(*inputs), /*loopSteps=*/0, Called::Coda) == Outcome::Again)
    return Outcome::Again;
  return takeResults(*steps->coda, batch, Called::Coda);
}

//===----------------------------------------------------------------------===//
// A tick
//===----------------------------------------------------------------------===//

bool Engine::runsWhole(const std::vector<ScheduledRow> &chosen) const {
  if (chosen.empty())
    return false;
  if (!steps)
    return true;
  if (options.loop == LoopRun::Steps || steps->latch || running.size() > 1 || !waiting.empty() ||
      running.begin()->second->request.depthAt)
    return false;
  if (mayDraft(*running.begin()->second))
    return false;
  return std::ranges::all_of(scheduler.getRows(chosen[0].sequence),
                             [](const FlightRow &row) { return row.phase == Phase::Entering; });
}

Engine::Outcome Engine::run(const std::vector<ScheduledRow> &chosen) {
  if (runsWhole(chosen))
    return runWhole(chosen);
  if (!steps)
    return Outcome::Done;
  // Without rows that may run there may still be chunks whose @coda lacked pages before.
  auto pick = [&](auto isWanted) {
    std::vector<ScheduledRow> rows;
    std::ranges::copy_if(chosen, std::back_inserter(rows), [&](const ScheduledRow &row) {
      return isWanted(scheduler.getRows(row.sequence)[row.place].phase);
    });
    return rows;
  };
  // Rows that run on behind a latch attend, so they share a call with rows that they see; fill appends only.
  std::vector<ScheduledRow> filling = pick([&](Phase phase) { return phase == Phase::Owing && !steps->latch; });
  std::vector<ScheduledRow> entering = pick([](Phase phase) { return phase == Phase::Entering; });
  if (!entering.empty() && runEntering(entering) == Outcome::Again)
    return Outcome::Again;
  if (!filling.empty() && runFill(filling) == Outcome::Again)
    return Outcome::Again;
  std::vector<ScheduledRow> active =
      pick([&](Phase phase) { return phase == Phase::Active || (phase == Phase::Owing && steps->latch); });
  if (!active.empty() && runCore(active) == Outcome::Again)
    return Outcome::Again;
  return runCoda();
}

Engine::Outcome Engine::fail(const Batch &batch, const std::string &why) {
  for (Running *owner : batch.owners)
    finish(*owner, Finish::Failed, why);
  return Outcome::Again;
}

Engine::Outcome Engine::takeResults(const Function &function, const Batch &batch, Called called) {
  int64_t logits = function.findOutput("logits"), rowSteps = function.findOutput("steps"), numWanted = 0;
  for (const Row &row : batch.rows)
    numWanted += (row.flags & abi::kWanted) != 0;
  if (logits < 0 || result.outputs[logits].numRows != numWanted)
    return fail(batch, "compiled code does not give logits of each row that wants them");
  for (Running *owner : batch.owners)
    owner->numDone = countFinal(*owner);
  auto numColumns = static_cast<size_t>(function.outputs[logits].getNumElements());
  for (int64_t index = 0, line = 0; index < static_cast<int64_t>(batch.rows.size()); ++index) {
    Running &owner = *batch.owners[batch.rows[index].sequence];
    bool isWanted = batch.rows[index].flags & abi::kWanted;
    std::span<const float> values;
    if (isWanted)
      values = {result.outputs[logits].line<float>(line++), numColumns};
    size_t place = batch.scheduled[index].place;
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

void Engine::choose(Running &one, std::span<const float> logits, int32_t rowSteps) {
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
