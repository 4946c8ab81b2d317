// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row's values live here between ticks and are handed over by copy.

#include "lariat/Runtime/Session/StepRunner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

using namespace lariat;
using namespace lariat::runtime;

/// The numbers of rows.
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
                      .keepsOutputs = &function != functions.coda,
                      .stop = stop};
  if (stop && stop->askAt(std::chrono::steady_clock::now()))
    return makeError(kStoppedMessage);
  return model->call(request, result);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

Status StepRunner::enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) {
  Expected<std::vector<InputArray>> inputs = buildInputs(*functions.forward, getRows(begin, end));
  if (!inputs)
    return inputs.takeError();
  CallRows call = buildRows(getRows(begin, end));
  if (Status status = runFunction(*functions.prelude, call, std::move(*inputs), /*loopSteps=*/0))
    return status;
  seats.putPrelude(result, listRows(begin, end));
  std::copy_n(seats.max.begin() + begin, end - begin, maxSteps.begin());
  return Status::success();
}

Status StepRunner::callStep(const Function &function, std::span<const int64_t> indices,
                            std::span<const int64_t> depths) {
  std::vector<BatchRow> step;
  for (int64_t index : indices)
    step.push_back(rows[index]);
  return runFunction(function, buildRows(step, depths), seats.takeStep(indices), /*loopSteps=*/1);
}

Status StepRunner::fill(std::span<const int64_t> indices, std::span<const int64_t> depths) {
  return callStep(*functions.fill, indices, depths);
}

Status StepRunner::core(std::span<const int64_t> indices, std::span<const int64_t> depths,
                        std::span<requests::StepOutcome> outcomes) {
  if (Status status = callStep(*functions.core, indices, depths))
    return status;
  for (size_t index = 0; index < functions.numCarried; ++index)
    seats.carried[index].put(result.outputs[index], indices);
  const OutputArray &kept = result.outputs[functions.numCarried], &stops = result.outputs[functions.numCarried + 1];
  for (size_t place = 0; place < indices.size(); ++place) {
    auto line = static_cast<int64_t>(place);
    outcomes[place] = {*kept.line<uint8_t>(line) != 0, *stops.line<uint8_t>(line) != 0};
  }
  return Status::success();
}

Status StepRunner::leave(int64_t begin, int64_t end, std::span<const int32_t> ran) {
  Expected<std::vector<InputArray>> inputs = buildInputs(*functions.forward, getRows(begin, end));
  if (!inputs)
    return inputs.takeError();
  std::ranges::copy(ran, seats.steps.begin() + begin);
  std::vector<int64_t> indices = listRows(begin, end);
  seats.takeCoda(indices, *inputs);
  CallRows call = buildRows(getRows(begin, end));
  if (Status status = runFunction(*functions.coda, call, std::move(*inputs), /*loopSteps=*/0))
    return status;
  collect(begin, end);
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Feeding
//===----------------------------------------------------------------------===//

/// A copy of lines.
static void keepLines(const FloatLines &lines, std::vector<std::byte> &part) {
  if (lines.data)
    part.assign(lines.data, lines.data + lines.numRows * lines.lineBytes);
}

void StepRunner::collect(int64_t begin, int64_t end) {
  RowResults results = sortResults(*functions.coda, result, end - begin);
  std::ranges::copy(results.steps, steps.begin() + begin);
  for (auto [kept, lines] : {std::pair(&logits, &results.logits), {&hidden, &results.hidden}}) {
    kept->lineBytes = lines->lineBytes;
    kept->numColumns = lines->numColumns;
    keepLines(*lines, kept->parts[begin]);
  }
}

Expected<RowResults> StepRunner::feed(std::span<const BatchRow> fed) {
  rows = fed;
  if (Status status = seats.prepare(model->getDeviceMemory(), functions, fed.size()))
    return status.takeError();
  steps.assign(fed.size(), 0);
  // Parts lie where their group begins, so that they are in the order of rows whoever leaves first.
  logits.parts.assign(fed.size(), {});
  hidden.parts.assign(fed.size(), {});
  if (Status status = requests::runSteps(fed, staggered, *this))
    return status.takeError();
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
