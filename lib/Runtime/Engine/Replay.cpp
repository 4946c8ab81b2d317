// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans of a schedule instead of own ones. A schedule may come from a file, so each plan is compared with what is there
// before it is executed: whatever is in it, rows run as their laws allow or the replay ends.

#include "RequestState.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

bool Engine::isReplaying() const {
  return options.replay && refusal.empty() && numReplayed < options.replay->plans.size();
}

std::optional<TickPlan> Engine::replayPlan(bool continuesTick) {
  if (!refusal.empty())
    return std::nullopt;
  const std::vector<RecordedPlan> &plans = options.replay->plans;
  if (numReplayed > 0 && numReplayedCalls != plans[numReplayed - 1].calls.size()) {
    refuseReplay("a tick has fewer calls than were recorded");
    return std::nullopt;
  }
  if (numReplayed == plans.size()) {
    if (int64_t count = getNumUnfinished())
      refuseReplay(makeError("it has ended, with ", count, " requests that have not").message);
    return std::nullopt;
  }
  TickPlan plan = plans[numReplayed].plan;
  if (plan.continuesTick && !continuesTick)
    refuseReplay("a tick begins where one went on when it was recorded");
  if (plan.continuesTick != continuesTick)
    return std::nullopt; // the recorded tick was given up
  Status status = replayMail(plan.mail);
  if (!continuesTick) // as receiveRequests; who ends within a tick is forgotten when its plan has been executed
    releaseFinished();
  if (status.ok())
    status = completePlan(plan);
  if (status) {
    refuseReplay(status.text());
    return std::nullopt;
  }
  ++numReplayed;
  numReplayedCalls = 0;
  if (options.record)
    options.record->plans.push_back({.plan = plan});
  return plan;
}

Status Engine::replayMail(const Mail &given) {
  if (given.clearsPrefixes)
    model->dropRetained(this);
  const std::vector<std::string> &requests = options.replay->requests;
  for (int64_t number : given.received) {
    std::optional<EngineRequest> request;
    {
      std::lock_guard lock(mutex);
      if (!submitted.empty() && submitted.front().first == number) {
        request = std::move(submitted.front().second);
        submitted.pop_front();
      }
    }
    if (!request)
      return makeError("it receives request ", number, ", which has not been submitted");
    receive(number, std::move(*request));
    const RequestState &one = *waiting.back();
    if (number >= static_cast<int64_t>(requests.size()) ||
        digestRequest(one.request, one.stepBounds) != requests[number])
      return makeError("request ", number, " is not the one that was recorded");
  }
  for (int64_t number : given.cancelled)
    stopRequest(number);
  mail = {};
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Whether a plan fits
//===----------------------------------------------------------------------===//

Status Engine::completePlan(TickPlan &plan) const {
  if (plan.remedy) {
    auto it = running.find(plan.remedy->request);
    bool isThere = it != running.end() && it->second->finish == Finish::Unfinished;
    bool mayBePreempted = isThere && it->second->ending == Finish::Unfinished;
    if (plan.remedy->kind == Remedy::Kind::TakeBackDrafts ||
        (plan.remedy->kind == Remedy::Kind::Preempt ? mayBePreempted : isThere))
      return Status::success();
    return makeError("request ", plan.remedy->request, " is to give its pages back, and does not run");
  }
  if (lacksPages)
    return makeError("a call lacks pages, and the plan behind it has no remedy");
  std::vector<ActiveRequest> active;
  if (Status status = verifyStarts(plan, active))
    return status;
  if (Status status = verifyChunks(plan, active))
    return status;
  return completeCalls(plan, active);
}

Status Engine::verifyStarts(const TickPlan &plan, std::vector<ActiveRequest> &active) const {
  for (const auto &[number, one] : running)
    active.push_back({one.get(), one->getNumSettled()});
  auto findWaiting = [&](int64_t number) -> const RequestState * {
    auto it = std::ranges::find(waiting, number, [](const std::unique_ptr<RequestState> &one) { return one->number; });
    return it == waiting.end() ? nullptr : it->get();
  };
  for (const PlannedStart &start : plan.starts) {
    const RequestState *one = findWaiting(start.request);
    auto place = std::ranges::lower_bound(active, start.request, {}, &ActiveRequest::getNumber);
    bool isNew = place == active.end() || place->getNumber() != start.request;
    bool fits = one && start.sharedRows >= 0 && start.sharedRows < static_cast<int64_t>(one->tokens.size());
    if (!isNew || !fits)
      return makeError("request ", start.request, " is to start with ", start.sharedRows,
                       " rows of others, and does not wait or has not as many");
    active.insert(place, {one, start.sharedRows});
  }
  for (const PlannedWait &wait : plan.waits)
    if (!findWaiting(wait.request) ||
        std::ranges::find(plan.starts, wait.request, &PlannedStart::request) != plan.starts.end())
      return makeError("request ", wait.request, " is to wait, and does not");
  return Status::success();
}

Status Engine::verifyChunks(const TickPlan &plan, std::span<const ActiveRequest> active) const {
  int64_t before = -1;
  for (const RowChunk &chunk : plan.chunks) {
    auto place = std::ranges::lower_bound(active, chunk.sequence, {}, &ActiveRequest::getNumber);
    bool isThere = chunk.sequence > before && place != active.end() && place->getNumber() == chunk.sequence;
    bool starts = isThere && !running.contains(chunk.sequence);
    bool fits = isThere && (starts ? chunk.position == place->numSettled && place->one->request.maxNewTokens > 0
                                   : mayAddChunk(*place->one) && chunk.position == place->one->next);
    if (!fits || chunk.count < 1 || chunk.count > static_cast<int64_t>(place->one->tokens.size()) - chunk.position)
      return makeError(chunk.count, " rows of request ", chunk.sequence, " are to join from position ", chunk.position,
                       " on, which are not its next ones");
    before = chunk.sequence;
  }
  return Status::success();
}

/// The same rows, whatever is said of their progress.
static bool areSame(const std::vector<ScheduledRow> &some, const std::vector<ScheduledRow> &others) {
  return std::ranges::equal(some, others, [](const ScheduledRow &one, const ScheduledRow &other) {
    return one.sequence == other.sequence && one.position == other.position && one.depth == other.depth;
  });
}

Status Engine::completeCalls(TickPlan &plan, std::span<const ActiveRequest> active) const {
  std::vector<ScheduledRow> asked = plan.whole;
  for (const std::vector<ScheduledRow> *rows : {&plan.fill, &plan.core})
    asked.insert(asked.end(), rows->begin(), rows->end());
  std::optional<std::vector<ScheduledRow>> rows = scheduler.find(asked, plan.chunks);
  if (!rows)
    return makeError("rows of a tick are not in flight as they were, or may not run together");
  TickPlan found;
  if (steps && plan.whole.empty())
    splitRows(*rows, found);
  else if (std::ranges::all_of(*rows, [](const ScheduledRow &row) { return row.progress == RowProgress::Entering; }))
    found.whole = *rows;
  if (!areSame(plan.whole, found.whole) || !areSame(plan.prelude, found.prelude) || !areSame(plan.fill, found.fill) ||
      !areSame(plan.core, found.core))
    return makeError("rows of a tick are to run functions that are not theirs");
  plan.whole = std::move(found.whole);
  plan.prelude = std::move(found.prelude);
  plan.fill = std::move(found.fill);
  plan.core = std::move(found.core);
  int64_t before = -1;
  for (const DraftLimit &limit : plan.drafts) {
    auto place = std::ranges::lower_bound(active, limit.request, {}, &ActiveRequest::getNumber);
    if (limit.request <= before || place == active.end() || place->getNumber() != limit.request ||
        !mayDraft(*place->one, plan))
      return makeError("request ", limit.request, " is to draft, and cannot");
    before = limit.request;
  }
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Calls and ends
//===----------------------------------------------------------------------===//

Expected<CallEnd> Engine::replayCall(CalledFunction called, const Batch &batch) {
  const std::vector<RecordedCall> &calls = options.replay->plans[numReplayed - 1].calls;
  if (numReplayedCalls == calls.size() || calls[numReplayedCalls].called != called ||
      !areSame(calls[numReplayedCalls].rows, batch.scheduled))
    return makeError("call ", numReplayedCalls, " of plan ", numReplayed - 1, " is another one than was recorded");
  return calls[numReplayedCalls++].end;
}

Engine::Outcome Engine::refuseReplay(const std::string &why) {
  refusal = "the schedule does not fit these requests: " + why;
  lacksPages.reset();
  for (auto &[number, one] : running)
    finish(*one, Finish::Failed, refusal);
  for (const std::unique_ptr<RequestState> &one : waiting)
    finish(*one, Finish::Failed, refusal);
  std::deque<std::pair<int64_t, EngineRequest>> coming;
  {
    std::lock_guard lock(mutex);
    coming.swap(submitted);
  }
  for (auto &[number, request] : coming)
    receive(number, std::move(request));
  return Outcome::Replan;
}
