// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference schedule of derived functions. A row's values live here between ticks and are handed over by copy.

#include "lariat/Runtime/Session/StepRunner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

using namespace lariat;
using namespace lariat::runtime;

/// The numbers of a group's rows.
static std::vector<int64_t> listRows(int64_t begin, int64_t end) {
  std::vector<int64_t> indices(end - begin);
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Status StepRunner::start() {
  Expected<StepFunctions> found = StepFunctions::find(*model, settings.mode, settings.missing);
  if (!found)
    return found.takeError();
  functions = *found;
  return Status::success();
}

Status StepRunner::runFunction(const Function &function, const CallRows &callRows, std::vector<InputArray> inputs,
                               int64_t loopSteps) {
  CallRequest request{.function = &function,
                      .sequences = callRows.sequences,
                      .rows = callRows.rows,
                      .inputs = std::move(inputs),
                      .loops = loopSteps,
                      .stop = stop};
  if (stop && stop->askAt(std::chrono::steady_clock::now()))
    return makeError(kStoppedMessage);
  return model->call(request, result);
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

std::vector<StepRunner::Group> StepRunner::formGroups() const {
  std::vector<Group> groups;
  for (size_t index = 0; index < rows.size(); ++index) {
    bool isNew = groups.empty() || (staggered && rows[index].sequence != rows[index - 1].sequence);
    if (isNew)
      groups.push_back({.begin = static_cast<int64_t>(index), .end = 0});
    groups.back().end = static_cast<int64_t>(index) + 1;
  }
  return groups;
}

Status StepRunner::enter(Group &group) {
  Expected<std::vector<InputArray>> inputs = buildInputs(*functions.forward, rowsOf(group));
  if (!inputs)
    return inputs.takeError();
  if (Status status = runFunction(*functions.prelude, buildRows(rowsOf(group)), std::move(*inputs), /*loopSteps=*/0))
    return status;
  std::vector<int64_t> indices = listRows(group.begin, group.end);
  seats.putPrelude(result, indices);
  for (int64_t index : indices)
    runs[index] = seats.max[index] > 0;
  group.entered = true;
  group.finished = isFinished(group);
  return Status::success();
}

Status StepRunner::callStep(const Function &function, std::span<const int64_t> indices,
                            std::span<const int64_t> depths) {
  std::vector<BatchRow> step;
  for (int64_t index : indices)
    step.push_back(rows[index]);
  return runFunction(function, buildRows(step, depths), seats.takeStep(indices), /*loopSteps=*/1);
}

Status StepRunner::tick(std::vector<Group> &groups) {
  std::vector<int64_t> owing, owingDepths, active, activeDepths;
  for (const Group &group : groups) {
    if (!group.entered || group.finished)
      continue;
    for (int64_t index = group.begin; index < group.end; ++index) {
      if (group.depth >= seats.max[index])
        continue;
      (runs[index] ? active : owing).push_back(index);
      (runs[index] ? activeDepths : owingDepths).push_back(group.depth);
    }
  }
  if (functions.fill && !owing.empty())
    if (Status status = callStep(*functions.fill, owing, owingDepths))
      return status;
  if (!active.empty()) {
    if (Status status = callStep(*functions.core, active, activeDepths))
      return status;
    for (size_t index = 0; index < functions.numCarried; ++index)
      seats.carried[index].put(result.outputs[index], active);
    for (size_t place = 0; place < active.size(); ++place) {
      bool kept = *result.outputs[functions.numCarried].line<uint8_t>(static_cast<int64_t>(place));
      bool stops = *result.outputs[functions.numCarried + 1].line<uint8_t>(static_cast<int64_t>(place));
      int64_t index = active[place], next = activeDepths[place] + 1;
      seats.steps[index] = static_cast<int32_t>(kept ? next : next - 1);
      runs[index] = kept && !stops && next < seats.max[index];
    }
  }
  for (Group &group : groups)
    if (group.entered && !group.finished) {
      ++group.depth;
      group.finished = isFinished(group);
    }
  return Status::success();
}

bool StepRunner::isFinished(const Group &group) const {
  for (int64_t index = group.begin; index < group.end; ++index)
    if (runs[index] || (functions.fill && group.depth < seats.max[index]))
      return false;
  return true;
}

Status StepRunner::leave(Group &group) {
  Expected<std::vector<InputArray>> inputs = buildInputs(*functions.forward, rowsOf(group));
  if (!inputs)
    return inputs.takeError();
  std::vector<int64_t> indices = listRows(group.begin, group.end);
  seats.takeCoda(indices, *inputs);
  if (Status status = runFunction(*functions.coda, buildRows(rowsOf(group)), std::move(*inputs), /*loopSteps=*/0))
    return status;
  group.left = true;
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Feeding
//===----------------------------------------------------------------------===//

/// A copy of the lines of a group.
static void keepLines(const FloatLines &lines, std::vector<std::byte> &part) {
  if (lines.data)
    part.assign(lines.data, lines.data + lines.numRows * lines.lineBytes);
}

void StepRunner::collect(const Group &group) {
  RowResults results = sortResults(*functions.coda, result, group.end - group.begin);
  std::ranges::copy(results.steps, steps.begin() + group.begin);
  for (auto [kept, lines] : {std::pair(&logits, &results.logits), {&hidden, &results.hidden}}) {
    kept->lineBytes = lines->lineBytes;
    kept->numColumns = lines->numColumns;
    keepLines(*lines, kept->parts[group.begin]);
  }
}

Expected<RowResults> StepRunner::feed(std::span<const BatchRow> fed) {
  rows = fed;
  seats.prepare(functions, fed.size());
  runs.assign(fed.size(), false);
  steps.assign(fed.size(), 0);
  // Parts lie where their group begins, so that they are in the order of rows whoever leaves first.
  logits.parts.assign(fed.size(), {});
  hidden.parts.assign(fed.size(), {});
  std::vector<Group> groups = formGroups();
  size_t numLeft = 0;
  for (size_t time = 0; numLeft < groups.size(); ++time) {
    if (time < groups.size())
      if (Status status = enter(groups[time]))
        return status.takeError();
    if (Status status = tick(groups))
      return status.takeError();
    for (Group &group : groups) {
      if (!group.finished || group.left)
        continue;
      if (Status status = leave(group))
        return status.takeError();
      collect(group);
      ++numLeft;
    }
  }
  RowResults results;
  results.steps = steps;
  for (auto [kept, lines] : {std::pair(&logits, &results.logits), {&hidden, &results.hidden}}) {
    kept->whole.clear();
    for (const std::vector<std::byte> &part : kept->parts)
      kept->whole.insert(kept->whole.end(), part.begin(), part.end());
    if (!kept->whole.empty())
      *lines = {.data = kept->whole.data(),
                .numRows = static_cast<int64_t>(kept->whole.size()) / kept->lineBytes,
                .lineBytes = kept->lineBytes,
                .numColumns = kept->numColumns};
  }
  return results;
}
