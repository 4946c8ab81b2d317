// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference schedule of derived functions. A row's values live here between ticks and are handed over by copy.

#include "lariat/Runtime/Session/StepRunner.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace lariat;
using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::vector<std::byte> SeatValues::take(std::span<const int64_t> rows) const {
  std::vector<std::byte> taken(rows.size() * valueBytes);
  for (size_t index = 0; index < rows.size(); ++index)
    std::memcpy(taken.data() + index * valueBytes, bytes.data() + rows[index] * valueBytes, valueBytes);
  return taken;
}

void SeatValues::put(const OutputArray &values, std::span<const int64_t> rows) {
  for (size_t index = 0; index < rows.size(); ++index)
    std::memcpy(bytes.data() + rows[index] * valueBytes, values.line<std::byte>(static_cast<int64_t>(index)),
                valueBytes);
}

void StepRunner::CallInputs::add(const SeatValues &values, std::span<const int64_t> rows) {
  memory.push_back(values.take(rows));
  arrays.push_back({.data = memory.back().data(), .numRows = static_cast<int64_t>(rows.size())});
}

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
  for (auto [name, function] : {std::pair("prelude", &prelude), {"core", &core}, {"coda", &coda}}) {
    Expected<const Function *> found =
        model->findFunction({.name = name, .mode = settings.mode, .missing = settings.missing, .derived = true});
    if (!found)
      return found.takeError();
    *function = *found;
  }
  // Only models whose stopped rows owe entries have it.
  if (Expected<const Function *> found =
          model->findFunction({.name = "fill", .mode = settings.mode, .missing = settings.missing, .derived = true}))
    fill = *found;
  Expected<const Function *> whole =
      model->findFunction({.name = "forward", .mode = settings.mode, .missing = settings.missing});
  if (!whole)
    return whole.takeError();
  forward = *whole;
  // Results of @core: carried values, then which rows are kept, and which of them stop. Its inputs: the rows, carried
  // values, invariants. Results of @prelude: which rows enter, carried values, invariants, most loop steps, coda's own.
  size_t numForward = forward->inputs.size(), numOutputs = core->outputs.size(), numInputs = core->inputs.size();
  bool fits = numOutputs >= 2 && numInputs + 1 >= numOutputs && prelude->inputs.size() == numForward;
  if (fits) {
    numCarried = numOutputs - 2;
    numInvariants = numInputs - 1 - numCarried;
    fits = prelude->outputs.size() >= 2 + numCarried + numInvariants && (!fill || fill->inputs.size() == numInputs);
  }
  if (fits) {
    numCoda = prelude->outputs.size() - 2 - numCarried - numInvariants;
    fits = coda->inputs.size() == numForward + 2 + numCarried + numCoda;
  }
  return fits ? Status::success() : makeError("the step functions of the artefact do not fit together");
}

void StepRunner::prepareSeats(size_t numRows) {
  size_t next = 0;
  auto make = [&] {
    int64_t bytes = prelude->outputs[next++].getValueBytes();
    return SeatValues{bytes, std::vector<std::byte>(bytes * numRows)};
  };
  seats = {};
  seats.enters = make();
  for (size_t index = 0; index < numCarried; ++index)
    seats.carried.push_back(make());
  for (size_t index = 0; index < numInvariants; ++index)
    seats.invariants.push_back(make());
  ++next; // the most loop steps
  for (size_t index = 0; index < numCoda; ++index)
    seats.coda.push_back(make());
  seats.max.resize(numRows);
  seats.active.resize(numRows);
  seats.steps.resize(numRows);
}

Status StepRunner::runFunction(const Function &function, const CallRows &callRows, std::vector<InputArray> inputs,
                               int64_t loopSteps) {
  CallRequest request{.function = &function,
                      .sequences = callRows.sequences,
                      .rows = callRows.rows,
                      .inputs = std::move(inputs),
                      .loops = loopSteps};
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
  Expected<std::vector<InputArray>> inputs = buildInputs(*forward, rowsOf(group));
  if (!inputs)
    return inputs.takeError();
  if (Status status = runFunction(*prelude, buildRows(rowsOf(group)), std::move(*inputs), /*loopSteps=*/0))
    return status;
  std::vector<int64_t> indices = listRows(group.begin, group.end);
  size_t next = 0;
  seats.enters.put(result.outputs[next++], indices);
  for (SeatValues &values : seats.carried)
    values.put(result.outputs[next++], indices);
  for (SeatValues &values : seats.invariants)
    values.put(result.outputs[next++], indices);
  const OutputArray &max = result.outputs[next++];
  for (SeatValues &values : seats.coda)
    values.put(result.outputs[next++], indices);
  for (int64_t index : indices) {
    bool enters = seats.enters.at<uint8_t>(index);
    seats.max[index] = enters ? *max.line<int64_t>(index - group.begin) : 0;
    seats.active[index] = seats.max[index] > 0;
  }
  group.entered = true;
  group.finished = isFinished(group);
  return Status::success();
}

Status StepRunner::callStep(const Function &function, std::span<const int64_t> indices,
                            std::span<const int64_t> depths) {
  std::vector<BatchRow> step;
  for (int64_t index : indices)
    step.push_back(rows[index]);
  CallInputs inputs;
  inputs.arrays.push_back({});
  for (const SeatValues &values : seats.carried)
    inputs.add(values, indices);
  for (const SeatValues &values : seats.invariants)
    inputs.add(values, indices);
  return runFunction(function, buildRows(step, depths), std::move(inputs.arrays), /*loopSteps=*/1);
}

Status StepRunner::tick(std::vector<Group> &groups) {
  std::vector<int64_t> owing, owingDepths, active, activeDepths;
  for (const Group &group : groups) {
    if (!group.entered || group.finished)
      continue;
    for (int64_t index = group.begin; index < group.end; ++index) {
      if (group.depth >= seats.max[index])
        continue;
      (seats.active[index] ? active : owing).push_back(index);
      (seats.active[index] ? activeDepths : owingDepths).push_back(group.depth);
    }
  }
  if (fill && !owing.empty())
    if (Status status = callStep(*fill, owing, owingDepths))
      return status;
  if (!active.empty()) {
    if (Status status = callStep(*core, active, activeDepths))
      return status;
    for (size_t index = 0; index < numCarried; ++index)
      seats.carried[index].put(result.outputs[index], active);
    for (size_t place = 0; place < active.size(); ++place) {
      bool kept = *result.outputs[numCarried].line<uint8_t>(static_cast<int64_t>(place));
      bool stops = *result.outputs[numCarried + 1].line<uint8_t>(static_cast<int64_t>(place));
      int64_t index = active[place], next = activeDepths[place] + 1;
      seats.steps[index] = static_cast<int32_t>(kept ? next : next - 1);
      seats.active[index] = kept && !stops && next < seats.max[index];
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
    if (seats.active[index] || (fill && group.depth < seats.max[index]))
      return false;
  return true;
}

Status StepRunner::leave(Group &group) {
  Expected<std::vector<InputArray>> forwardInputs = buildInputs(*forward, rowsOf(group));
  if (!forwardInputs)
    return forwardInputs.takeError();
  std::vector<int64_t> indices = listRows(group.begin, group.end);
  CallInputs inputs{std::move(*forwardInputs), {}};
  inputs.add(seats.enters, indices);
  for (const SeatValues &values : seats.carried)
    inputs.add(values, indices);
  inputs.arrays.push_back({.data = seats.steps.data() + group.begin, .numRows = group.end - group.begin});
  for (const SeatValues &values : seats.coda)
    inputs.add(values, indices);
  if (Status status = runFunction(*coda, buildRows(rowsOf(group)), std::move(inputs.arrays), /*loopSteps=*/0))
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
  RowResults results = sortResults(*coda, result, group.end - group.begin);
  std::ranges::copy(results.steps, steps.begin() + group.begin);
  for (auto [kept, lines] : {std::pair(&logits, &results.logits), {&hidden, &results.hidden}}) {
    kept->lineBytes = lines->lineBytes;
    kept->numColumns = lines->numColumns;
    keepLines(*lines, kept->parts[group.begin]);
  }
}

Expected<RowResults> StepRunner::feed(std::span<const BatchRow> fed) {
  rows = fed;
  prepareSeats(fed.size());
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
