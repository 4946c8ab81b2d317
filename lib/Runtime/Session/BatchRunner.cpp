// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds the inputs of an entry function from rows, and takes its results apart.

#include "lariat/Runtime/Session/BatchRunner.h"

#include "lariat/Runtime/Session/StepRunner.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

BatchRunner::CallRows BatchRunner::buildRows(std::span<const BatchRow> rows, std::span<const int64_t> depths) const {
  CallRows call;
  call.rows.reserve(rows.size());
  for (size_t index = 0; index < rows.size(); ++index) {
    const BatchRow &row = rows[index];
    if (index == 0 || row.sequence != rows[index - 1].sequence)
      call.sequences.push_back(sequences[row.sequence].get());
    call.rows.push_back({.sequence = static_cast<int64_t>(call.sequences.size()) - 1,
                         .position = row.position,
                         .depth = depths.empty() ? 0 : depths[index],
                         .flags = row.flags});
  }
  return call;
}

Expected<std::vector<InputArray>> BatchRunner::buildInputs(const Function &forward, std::span<const BatchRow> rows) {
  std::vector<RowInput> inputs;
  int64_t state = forward.findInput("initial_state");
  for (const BatchRow &row : rows) {
    RowInput &input = inputs.emplace_back(RowInput{row.token, settings.loops, settings.threshold});
    if (state >= 0 && !settings.initialState.empty())
      input.initialState =
          settings.initialState[row.sequence].data + row.position * forward.inputs[state].getNumElements();
    if (!settings.capacity.empty())
      input.capacity = settings.capacity[row.sequence].data();
  }
  return forwardInputs.build(forward, inputs);
}

/// An output of floats in place.
static FloatLines viewLines(const Port &port, const OutputArray &array) {
  return {
      .data = array.host, .numRows = array.numRows, .lineBytes = array.lineBytes, .numColumns = port.getNumElements()};
}

RowResults BatchRunner::sortResults(const Function &function, const CallResult &result, size_t numRows) const {
  RowResults results;
  results.steps.assign(numRows, static_cast<int32_t>(facts.loops.defaultSteps));
  for (size_t index = 0; index < function.outputs.size(); ++index) {
    const Port &port = function.outputs[index];
    const OutputArray &array = result.outputs[index];
    if (port.name == "logits")
      results.logits = viewLines(port, array);
    else if (port.name == "hidden")
      results.hidden = viewLines(port, array);
    else if (port.name == "steps")
      for (size_t row = 0; row < std::min(numRows, static_cast<size_t>(array.numRows)); ++row)
        results.steps[row] = *array.line<int32_t>(static_cast<int64_t>(row));
  }
  return results;
}

std::vector<CacheCount> BatchRunner::countSlots(int64_t sequence) const {
  if (!sequences[sequence])
    return {};
  return countCaches(sequences[sequence]->getUse(), facts, settings.loops);
}

std::vector<CacheCount> lariat::runtime::countCaches(const std::vector<CacheUse> &use,
                                                     const requests::RequestFacts &facts, int64_t loops) {
  std::vector<CacheCount> counts;
  for (size_t index = 0; index < std::min(use.size(), facts.caches.size()); ++index) {
    CacheCount &count = counts.emplace_back(CacheCount{.cache = static_cast<int64_t>(index), .slots = {}});
    for (const SlotUse &slot : use[index].slots)
      count.slots.push_back({slot.computed, slot.filled});
    auto numSlots = static_cast<size_t>(facts.caches[index].getNumSlots(loops));
    count.slots.resize(std::max(count.slots.size(), numSlots));
  }
  return counts;
}

//===----------------------------------------------------------------------===//
// The whole function
//===----------------------------------------------------------------------===//

/// The results against what the session reads of them.
static Status verifyResults(const RowResults &results, std::span<const BatchRow> rows) {
  int64_t numWanted = std::ranges::count_if(rows, [](const BatchRow &row) { return row.flags & abi::kWanted; });
  auto numRows = static_cast<int64_t>(rows.size());
  if (results.logits.data && results.logits.numRows != numWanted)
    return makeError("compiled code gives logits of ", results.logits.numRows, " rows, expected ", numWanted);
  if (results.hidden.data && results.hidden.numRows != numRows)
    return makeError("compiled code gives states of ", results.hidden.numRows, " rows, expected ", numRows);
  return Status::success();
}

Status ForwardRunner::start() {
  Expected<const Function *> found =
      model->findFunction({.name = "forward", .mode = settings.mode, .missing = settings.missing});
  if (!found)
    return found.takeError();
  forward = *found;
  return Status::success();
}

Expected<RowResults> ForwardRunner::feed(std::span<const BatchRow> rows) {
  Expected<std::vector<InputArray>> inputs = buildInputs(*forward, rows);
  if (!inputs)
    return inputs.takeError();
  CallRows call = buildRows(rows);
  CallRequest request{.function = forward,
                      .sequences = call.sequences,
                      .rows = call.rows,
                      .inputs = std::move(*inputs),
                      .loops = settings.loops,
                      .stop = stop};
  if (Status status = model->call(request, result))
    return status.takeError();
  RowResults results = sortResults(*forward, result, rows.size());
  if (Status status = verifyResults(results, rows))
    return status.takeError();
  return results;
}

//===----------------------------------------------------------------------===//
// Making one
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<BatchRunner>> lariat::runtime::createBatchRunner(const std::shared_ptr<Model> &model,
                                                                          const requests::RequestFacts &facts,
                                                                          RunSettings settings, requests::Form form,
                                                                          size_t numSequences) {
  std::unique_ptr<BatchRunner> runner;
  if (form == requests::Form::Forward)
    runner = std::make_unique<ForwardRunner>(model, facts, std::move(settings));
  else
    runner = std::make_unique<StepRunner>(model, facts, std::move(settings), form == requests::Form::Staggered);
  if (Status status = runner->start())
    return status.takeError();
  for (size_t sequence = 0; sequence < numSequences; ++sequence) {
    Expected<std::unique_ptr<Sequence>> made = model->createSequence();
    if (!made)
      return made.takeError();
    runner->sequences.push_back(std::move(*made));
  }
  return runner;
}
