// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Who is in the loop, who has entries to store, and who may leave.

#include "lariat/Requests/Steps.h"

#include <algorithm>

using namespace lariat::requests;
using lariat::runtime::Status;

namespace {

/// Rows that run through the loop together.
struct Group {
  int64_t begin, end; ///< in the rows that were fed
  int64_t depth = 0;
  bool entered = false, finished = false, left = false;
};

class Schedule {
public:
  Schedule(std::span<const BatchRow> rows, bool staggered, StepCalls &calls);
  Status run();

private:
  Status enter(Group &group);
  Status tick();
  Status runActive(std::span<const int64_t> active, std::span<const int64_t> depths);
  Status leaveAll();
  bool isFinished(const Group &group) const;

  StepCalls &calls;
  std::vector<Group> groups;
  size_t numLeft = 0;
  // Indexed by row.
  std::vector<int64_t> maxSteps;
  std::vector<int32_t> steps;
  std::vector<bool> isActive;
};

} // namespace

Schedule::Schedule(std::span<const BatchRow> rows, bool staggered, StepCalls &calls)
    : calls(calls), maxSteps(rows.size()), steps(rows.size()), isActive(rows.size()) {
  for (size_t index = 0; index < rows.size(); ++index) {
    bool isNew = groups.empty() || (staggered && rows[index].sequence != rows[index - 1].sequence);
    if (isNew)
      groups.push_back({.begin = static_cast<int64_t>(index), .end = 0});
    groups.back().end = static_cast<int64_t>(index) + 1;
  }
}

Status Schedule::enter(Group &group) {
  std::span<int64_t> most = std::span(maxSteps).subspan(group.begin, group.end - group.begin);
  if (Status status = calls.enter(group.begin, group.end, most))
    return status;
  for (int64_t row = group.begin; row < group.end; ++row)
    isActive[row] = maxSteps[row] > 0;
  group.entered = true;
  group.finished = isFinished(group);
  return Status::success();
}

bool Schedule::isFinished(const Group &group) const {
  for (int64_t row = group.begin; row < group.end; ++row)
    if (isActive[row] || (calls.hasFill() && group.depth < maxSteps[row]))
      return false;
  return true;
}

Status Schedule::runActive(std::span<const int64_t> active, std::span<const int64_t> depths) {
  std::vector<StepOutcome> outcomes(active.size());
  if (Status status = calls.core(active, depths, outcomes))
    return status;
  for (size_t place = 0; place < active.size(); ++place) {
    int64_t row = active[place], next = depths[place] + 1;
    auto [kept, stops] = outcomes[place];
    steps[row] = static_cast<int32_t>(kept ? next : next - 1);
    isActive[row] = kept && !stops && next < maxSteps[row];
  }
  return Status::success();
}

Status Schedule::tick() {
  std::vector<int64_t> storing, storingDepths, active, activeDepths;
  for (const Group &group : groups) {
    if (!group.entered || group.finished)
      continue;
    for (int64_t row = group.begin; row < group.end; ++row) {
      if (group.depth >= maxSteps[row])
        continue;
      (isActive[row] ? active : storing).push_back(row);
      (isActive[row] ? activeDepths : storingDepths).push_back(group.depth);
    }
  }
  if (calls.hasFill() && !storing.empty())
    if (Status status = calls.fill(storing, storingDepths))
      return status;
  if (!active.empty())
    if (Status status = runActive(active, activeDepths))
      return status;
  for (Group &group : groups)
    if (group.entered && !group.finished) {
      ++group.depth;
      group.finished = isFinished(group);
    }
  return Status::success();
}

Status Schedule::leaveAll() {
  for (Group &group : groups) {
    if (!group.finished || group.left)
      continue;
    if (Status status =
            calls.leave(group.begin, group.end, std::span(steps).subspan(group.begin, group.end - group.begin)))
      return status;
    group.left = true;
    ++numLeft;
  }
  return Status::success();
}

Status Schedule::run() {
  for (size_t time = 0; numLeft < groups.size(); ++time) {
    if (time < groups.size())
      if (Status status = enter(groups[time]))
        return status;
    if (Status status = tick())
      return status;
    if (Status status = leaveAll())
      return status;
  }
  return Status::success();
}

Status lariat::requests::runSteps(std::span<const BatchRow> rows, bool staggered, StepCalls &calls) {
  return Schedule(rows, staggered, calls).run();
}
