// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans. Everything here is const: a plan is decided from what is there, with the rows that the plan itself adds.

#include "RequestState.h"

#include <algorithm>
#include <cmath>

using namespace lariat;
using namespace lariat::runtime;

/// A request waits for a running one if they will share at least this many rows.
static constexpr int64_t kRowsWorthWaiting = abi::kPageEntries;

TickPlan Engine::decide(bool startsRequests) const {
  TickPlan plan;
  if (lacksPages) {
    plan.remedy = chooseRemedy();
    return plan;
  }
  std::vector<ActiveRequest> active;
  for (const auto &[number, one] : running)
    active.push_back({one.get(), one->getNumSettled()});
  if (startsRequests)
    planStarts(plan, active);
  planCalls(plan, active);
  return plan;
}

//===----------------------------------------------------------------------===//
// Requests that start, rows that join
//===----------------------------------------------------------------------===//

void Engine::planStarts(TickPlan &plan, std::vector<ActiveRequest> &active) const {
  int64_t numRows = scheduler.getNumRows();
  bool mayStart = !waitsForEnd || running.empty();
  for (size_t index = 0; index < waiting.size() && mayStart && numRows < options.maxRows; ++index) {
    const RequestState &one = *waiting[index];
    int64_t sharedRows = 0;
    if (std::optional<PlannedWait> wait = findWait(one, active, sharedRows)) {
      plan.waits.push_back(*wait);
      continue;
    }
    plan.starts.push_back({one.number, sharedRows});
    if (one.request.maxNewTokens == 0)
      continue;
    active.insert(std::ranges::upper_bound(active, one.number, {}, &ActiveRequest::getNumber), {&one, sharedRows});
    plan.chunks.push_back(makeChunk(one, sharedRows, active.size()));
    numRows += plan.chunks.back().count;
  }
  for (const auto &[number, one] : running)
    if (mayAddChunk(*one))
      plan.chunks.push_back(makeChunk(*one, one->next, active.size()));
  std::ranges::sort(plan.chunks, {}, &RowChunk::sequence);
}

std::optional<PlannedWait> Engine::findWait(const RequestState &one, std::span<const ActiveRequest> active,
                                            int64_t &sharedRows) const {
  if (!one.key)
    return std::nullopt;
  auto awaited = std::ranges::lower_bound(active, one.awaited, {}, &ActiveRequest::getNumber);
  if (awaited != active.end() && awaited->getNumber() == one.awaited && awaited->numSettled < one.awaitedRows)
    return PlannedWait{one.number, one.awaited, one.awaitedRows};
  sharedRows = model->countSettled(*one.key, one.getRows());
  std::optional<PlannedWait> wait;
  int64_t best = sharedRows + kRowsWorthWaiting;
  for (const ActiveRequest &source : active) {
    int64_t rows = source.one->key == one.key ? countSparedRows(*one.key, one.getRows(), source.one->getRows()) : 0;
    if (rows < best || source.numSettled >= rows)
      continue;
    best = rows;
    wait = PlannedWait{one.number, source.one->number, rows};
  }
  return wait;
}

RowChunk Engine::makeChunk(const RequestState &one, int64_t position, size_t numActive) const {
  const EngineRequest &request = one.request;
  RowOrder order = one.getOrder(position);
  auto rest = static_cast<int64_t>(one.tokens.size()) - position;
  int64_t restOfPrompt = static_cast<int64_t>(request.prompt.size()) - position, count = 1;
  if (order == RowOrder::Free) {
    bool othersGenerate = numActive > 1;
    count = std::min(rest, othersGenerate ? std::min(options.chunkRows, options.maxRows) : options.maxRows);
    if (request.generatedOrder != RowOrder::Free && restOfPrompt > 0)
      count = std::min(count, restOfPrompt);
    if (position < request.prefix)
      count = std::clamp(count, std::min(rest, request.prefix), rest);
  } else if (restOfPrompt > 0 && request.promptOrder == RowOrder::Atomic) {
    count = restOfPrompt;
  }
  return {.sequence = one.number,
          .position = position,
          .count = count,
          .isAtomic = count > 1 && (order == RowOrder::Atomic || position < request.prefix)};
}

bool Engine::mayAddChunk(const RequestState &one) const {
  bool hasDraft = one.numDrafted > 0 && !one.isEnd(one.tokens.back());
  if (one.ending != Finish::Unfinished || (one.numDone != one.seats.size() && !hasDraft) ||
      one.next >= static_cast<int64_t>(one.tokens.size()))
    return false;
  // Rows that have entries to store may write over what a row sees, unless the order is free.
  auto isSettled = [](const FlightRow &row) { return row.progress == RowProgress::Settled; };
  return one.getOrder(one.next) == RowOrder::Free || std::ranges::all_of(scheduler.getRows(one.number), isSettled);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

void Engine::planCalls(TickPlan &plan, std::span<const ActiveRequest> active) const {
  std::vector<ScheduledRow> rows = policy->choose(scheduler, plan.chunks);
  if (runsWhole(plan, rows, active)) {
    plan.whole = std::move(rows);
  } else if (steps) {
    splitRows(rows, plan);
    planDrafts(plan, active);
  }
}

void Engine::splitRows(const std::vector<ScheduledRow> &rows, TickPlan &plan) const {
  for (const ScheduledRow &row : rows) {
    // Rows that run on behind a latch attend, so they share a call with rows that they see; fill appends only.
    (row.progress == RowProgress::StoringKV && !steps->latch ? plan.fill : plan.core).push_back(row);
    if (row.progress == RowProgress::Entering)
      plan.prelude.push_back(row);
  }
}

/// The chunk of a plan that a request gets, if any.
static const RowChunk *findChunk(const TickPlan &plan, int64_t request) {
  auto chunk = std::ranges::lower_bound(plan.chunks, request, {}, &RowChunk::sequence);
  return chunk != plan.chunks.end() && chunk->sequence == request ? &*chunk : nullptr;
}

/// Rows that join by a plan.
static int64_t countAdded(const TickPlan &plan) {
  int64_t count = 0;
  for (const RowChunk &chunk : plan.chunks)
    count += chunk.count;
  return count;
}

bool Engine::runsWhole(const TickPlan &plan, const std::vector<ScheduledRow> &rows,
                       std::span<const ActiveRequest> active) const {
  if (rows.empty() || !steps)
    return !rows.empty();
  bool isAlone = active.size() == 1 && waiting.size() == plan.starts.size();
  if (options.loop == LoopRun::Steps || steps->latch || !isAlone)
    return false;
  const RequestState &one = *active.front().one;
  if (!one.stepBounds.empty() || (mayDraft(one, plan) && one.numDrafted < getMaxDrafts(one, plan, countAdded(plan))))
    return false;
  return std::ranges::all_of(scheduler.getRows(one.number),
                             [](const FlightRow &row) { return row.progress == RowProgress::Entering; });
}

//===----------------------------------------------------------------------===//
// Drafts
//===----------------------------------------------------------------------===//

bool Engine::mayDraft(const RequestState &one, const TickPlan &plan) const {
  const RowChunk *chunk = findChunk(plan, one.number);
  size_t numRows = scheduler.getRows(one.number).size() + (chunk ? chunk->count : 0);
  bool isHeld = waitsForEnd && plan.starts.empty();
  if (!steps || one.request.draftSteps == 0 || numRows == 0 || isHeld || one.ending != Finish::Unfinished)
    return false;
  // A row of a chunk does not, nor does a row again, and the last token that is wanted has no row.
  bool isAlone = one.numDrafted > 0 || numRows == one.numDone + 1;
  bool isLast = (chunk ? chunk->position + chunk->count : one.next) == static_cast<int64_t>(one.tokens.size());
  return isAlone && isLast && one.getNumGenerated() + one.numDrafted + 1 < one.request.maxNewTokens;
}

int64_t Engine::getMaxDrafts(const RequestState &one, const TickPlan &plan, int64_t numAdded) const {
  const EngineRequest &request = one.request;
  if (request.drafts)
    return *request.drafts;
  DraftSteps draft{request.draftSteps, request.loops};
  const RowChunk *chunk = findChunk(plan, one.number);
  int64_t own = static_cast<int64_t>(one.seats.size() - one.numDone) + (chunk ? chunk->count : 0);
  int64_t others = std::clamp<int64_t>(scheduler.getNumRows() + numAdded - own, 0, options.maxRows);
  auto most = static_cast<int64_t>(std::ceil(draft.getRows()));
  return policy->draftsFor({.draft = draft,
                            .acceptance = one.acceptance.get(),
                            .numGenerated = one.getNumGenerated(),
                            .mostRows = std::clamp<int64_t>(most, 1, std::max<int64_t>(1, options.maxRows - others)),
                            .otherRows = others});
}

void Engine::planDrafts(TickPlan &plan, std::span<const ActiveRequest> active) const {
  int64_t numAdded = countAdded(plan);
  for (const auto &[one, numSettled] : active)
    if (mayDraft(*one, plan))
      if (int64_t most = getMaxDrafts(*one, plan, numAdded); most > 0)
        plan.drafts.push_back({one->number, most});
}

//===----------------------------------------------------------------------===//
// Without pages
//===----------------------------------------------------------------------===//

Remedy Engine::chooseRemedy() const {
  if (std::ranges::any_of(running, [](const auto &entry) { return entry.second->numDrafted > 0; }))
    return {.kind = Remedy::Kind::TakeBackDrafts};
  auto isUnfinished = [](const auto &entry) { return entry.second->finish == Finish::Unfinished; };
  auto last = std::ranges::max_element(
      running, {}, [&](const auto &entry) { return isUnfinished(entry) ? entry.second->started : -1; });
  bool isOnly = std::ranges::count_if(running, isUnfinished) <= 1;
  if (isOnly || last->second->ending != Finish::Unfinished)
    return {.kind = Remedy::Kind::Fail, .request = last->first, .why = *lacksPages};
  return {.kind = Remedy::Kind::Preempt, .request = last->first};
}
