// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fills call after call. A bidirectional prefix is never cut: its rows see each other.

#include "lariat/Requests/Plan.h"

#include "lariat/Artefact/Abi.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::requests;

namespace {

/// The calls so far; the last one may have room.
class Planner {
public:
  explicit Planner(int64_t maxRows) : maxRows(maxRows) {}

  /// Rows that still fit into the last call.
  int64_t getRoom() const { return calls.empty() ? 0 : maxRows - numRows; }
  /// Puts a span into the last call where it fits, else into a new one.
  void add(RowSpan span) {
    int64_t count = span.last - span.first;
    if (count > getRoom())
      startCall();
    calls.back().push_back(span);
    numRows += count;
  }
  void startCall() {
    calls.emplace_back();
    numRows = 0;
  }

  std::vector<CallPlan> calls;

private:
  int64_t maxRows, numRows = 0;
};

} // namespace

static int64_t getLength(const Request &request, size_t sequence) {
  return static_cast<int64_t>(request.sequences[sequence].size());
}

int64_t lariat::requests::getLongest(const Request &request) {
  int64_t longest = 0;
  for (size_t sequence = 0; sequence < request.sequences.size(); ++sequence)
    longest = std::max(longest, getLength(request, sequence));
  return longest;
}

/// A chunk of each sequence, then the next one.
static void planChunks(const Request &request, int64_t chunk, Planner &planner) {
  int64_t longest = getLongest(request);
  // Not `first += chunk`, which may be more than a number holds.
  for (int64_t first = 0; first < longest; first = chunk < longest - first ? first + chunk : longest) {
    planner.startCall();
    for (size_t sequence = 0; sequence < request.sequences.size(); ++sequence)
      if (int64_t rest = getLength(request, sequence) - first; rest > 0)
        planner.add({static_cast<int64_t>(sequence), first, first + std::min(rest, chunk)});
  }
}

/// Cuts a sequence where a call is full.
static void planPieces(const Request &request, int64_t sequence, int64_t maxRows, Planner &planner) {
  int64_t length = getLength(request, sequence);
  for (int64_t first = 0; first < length;) {
    int64_t least = first == 0 ? std::clamp<int64_t>(request.prefix, 1, length) : 1;
    int64_t room = planner.getRoom() >= least ? planner.getRoom() : maxRows;
    int64_t count = std::min(std::max(room, least), length - first);
    planner.add({sequence, first, first + count});
    first += count;
  }
}

std::vector<CallPlan> lariat::requests::planCalls(const Request &request, const PlanOptions &options) {
  Planner planner(options.maxRows);
  if (options.chunk) {
    planChunks(request, *options.chunk, planner);
    std::erase_if(planner.calls, [](const CallPlan &call) { return call.empty(); });
    return std::move(planner.calls);
  }
  for (size_t sequence = 0; sequence < request.sequences.size(); ++sequence) {
    if (options.mayCut)
      planPieces(request, static_cast<int64_t>(sequence), options.maxRows, planner);
    else
      planner.add({static_cast<int64_t>(sequence), 0, getLength(request, sequence)});
  }
  return std::move(planner.calls);
}

std::vector<CallPlan> lariat::requests::planCalls(const RequestFacts &facts, const Request &request,
                                                  const RowSettings &settings, std::optional<int64_t> chunk,
                                                  int64_t maxRows) {
  RowOrder order = facts.getOrder(settings.loops, /*generated=*/false);
  if (order == RowOrder::Sequential)
    chunk = 1;
  return planCalls(request, {maxRows, chunk, order == RowOrder::Free && !facts.dependsOnCall(settings.mode)});
}

BatchRow lariat::requests::getPromptRow(const Request &request, int64_t sequence, int64_t position, bool wanted) {
  int64_t flags = (position < request.prefix ? abi::kPrefix : 0) | (wanted ? abi::kWanted : 0);
  return {sequence, position, static_cast<int32_t>(request.sequences[sequence][position]), flags};
}

std::vector<BatchRow> lariat::requests::listPromptRows(const Request &request, const CallPlan &plan) {
  std::vector<BatchRow> rows;
  for (const RowSpan &span : plan)
    for (int64_t position = span.first; position < span.last; ++position)
      rows.push_back(getPromptRow(request, span.sequence, position, /*wanted=*/true));
  return rows;
}
