// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the functions that lariat-derive-steps split off, and hands seat records over: a call copies the few lines of
// floats that a row has from where they are. They stay on the device; the host knows what it schedules by.

#include "lariat/Runtime/Engine/StepFunctions.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

static bool isMark(const Port &port) { return !port.isRows && port.type == ElementType::I1 && port.width == 0; }

static bool areEqual(std::span<const Port> a, std::span<const Port> b) {
  return std::ranges::equal(a, b, [](const Port &one, const Port &other) {
    return one.isRows == other.isRows && one.type == other.type && one.width == other.width;
  });
}

bool StepFunctions::fitTogether() const {
  std::span<const Port> record = prelude->outputs, taken = core->inputs, given = core->outputs, last = coda->inputs;
  size_t numForward = forward->inputs.size(), numStep = numCarried + numInvariants;
  if (prelude->record.empty() || taken.size() != 1 + numStep || given.size() != numCarried + 2 ||
      last.size() != numForward + 2 + numCarried + numCoda)
    return false;
  std::span<const Port> carried = record.subspan(1, numCarried);
  const Port &steps = last[numForward + 1 + numCarried];
  return areEqual(prelude->inputs, forward->inputs) && areEqual(last.first(numForward), forward->inputs) &&
         taken[0].isRows && areEqual(taken.subspan(1), record.subspan(1, numStep)) &&
         areEqual(given.first(numCarried), carried) && isMark(given[numCarried]) && isMark(given[numCarried + 1]) &&
         isMark(last[numForward]) && areEqual(last.subspan(numForward + 1, numCarried), carried) &&
         steps.type == ElementType::I32 && steps.width == 0 && areEqual(last.last(numCoda), record.last(numCoda)) &&
         (!fill || areEqual(fill->inputs, taken));
}

Expected<StepFunctions> StepFunctions::find(const Model &model, const std::string &mode,
                                            const std::optional<std::string> &missing) {
  StepFunctions found;
  for (auto [name, function] : {std::pair("prelude", &found.prelude), {"core", &found.core}, {"coda", &found.coda}}) {
    Expected<const Function *> one =
        model.findFunction({.name = name, .mode = mode, .missing = missing, .derived = true});
    if (!one)
      return one.takeError();
    *function = *one;
  }
  if (Expected<const Function *> one =
          model.findFunction({.name = "fill", .mode = mode, .missing = missing, .derived = true}))
    found.fill = *one;
  Expected<const Function *> whole = model.findFunction({.name = "forward", .mode = mode, .missing = missing});
  if (!whole)
    return whole.takeError();
  found.forward = *whole;

  const std::vector<abi::RecordPart> &record = found.prelude->record;
  found.numCarried = abi::countParts(record, abi::RecordPart::Carried);
  found.numInvariants = abi::countParts(record, abi::RecordPart::Invariant);
  found.numCoda = abi::countParts(record, abi::RecordPart::Coda);
  bool fits = found.fitTogether();
  if (int64_t latch = found.core->findOutput("latch"); latch >= 0) {
    found.latch = latch;
    fits &= *found.latch < found.numCarried && isMark(found.core->outputs[latch]);
  }
  if (!fits)
    return makeError("the step functions of the artefact do not fit together");
  return found;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

Expected<std::vector<InputArray>> ForwardInputs::build(const Function &forward, std::span<const RowInput> rows) {
  std::vector<InputArray> inputs;
  auto numRows = static_cast<int64_t>(rows.size());
  for (const Port &port : forward.inputs) {
    InputArray &input = inputs.emplace_back(InputArray{.data = nullptr, .numRows = numRows});
    if (port.isRows)
      continue;
    if (port.name == "ids") {
      ids.clear();
      for (const RowInput &row : rows)
        ids.push_back(row.token);
      input.data = ids.data();
    } else if (port.name == "loops") {
      loops.clear();
      for (const RowInput &row : rows)
        loops.push_back(row.loops);
      input.data = loops.data();
    } else if (port.name == "threshold") {
      thresholds.clear();
      for (const RowInput &row : rows)
        thresholds.push_back(row.threshold);
      input.data = thresholds.data();
    } else if (port.name == "capacity") {
      capacities.assign(rows.size() * port.getNumElements(), 0);
      for (size_t index = 0; index < rows.size(); ++index)
        if (const int32_t *counts = rows[index].capacity)
          std::copy_n(counts, port.getNumElements(), capacities.data() + index * port.getNumElements());
      input.data = capacities.data();
    } else if (port.name == "initial_state") {
      states.assign(rows.size() * port.getNumElements(), 0);
      for (size_t index = 0; index < rows.size(); ++index)
        if (const float *state = rows[index].initialState)
          std::copy_n(state, port.getNumElements(), states.data() + index * port.getNumElements());
      input.data = states.data();
    } else {
      return makeError("input '", port.name, "' of a compiled function is not known");
    }
  }
  return inputs;
}

//===----------------------------------------------------------------------===//
// Seat records
//===----------------------------------------------------------------------===//

InputArray SeatValues::take(std::span<const int64_t> seats) const {
  return {
      .data = memory.data(), .numRows = static_cast<int64_t>(seats.size()), .lines = seats.data(), .onDevice = true};
}

void SeatValues::put(const OutputArray &values, std::span<const int64_t> seats) {
  memory.getDevice().copy({memory.data(), valueBytes, seats.data()}, {values.memory.data(), values.lineBytes},
                          static_cast<int64_t>(seats.size()), valueBytes);
}

Status SeatRecords::prepare(DeviceMemory &memory, const StepFunctions &functions, size_t numSeats) {
  device = &memory;
  size_t next = 0;
  auto make = [&] { return SeatValues{functions.prelude->outputs[next++].getValueBytes(), {}}; };
  auto makeMany = [&](size_t count) {
    std::vector<SeatValues> values;
    for (size_t index = 0; index < count; ++index)
      values.push_back(make());
    return values;
  };
  enters = make();
  carried = makeMany(functions.numCarried);
  invariants = makeMany(functions.numInvariants);
  ++next; // the most loop steps
  coda = makeMany(functions.numCoda);
  max.clear();
  steps.clear();
  return resize(numSeats);
}

Status SeatRecords::resize(size_t numSeats) {
  if (device) {
    if (Status status = enters.resize(*device, numSeats))
      return status;
    for (std::vector<SeatValues> *values : {&carried, &invariants, &coda})
      for (SeatValues &one : *values)
        if (Status status = one.resize(*device, numSeats))
          return status;
  }
  max.resize(numSeats);
  steps.resize(numSeats);
  return Status::success();
}

void SeatRecords::putPrelude(const CallResult &result, std::span<const int64_t> seats) {
  size_t next = 0;
  enters.put(result.outputs[next++], seats);
  for (SeatValues &values : carried)
    values.put(result.outputs[next++], seats);
  for (SeatValues &values : invariants)
    values.put(result.outputs[next++], seats);
  const OutputArray &entered = result.outputs[0], &most = result.outputs[next++];
  for (SeatValues &values : coda)
    values.put(result.outputs[next++], seats);
  for (size_t index = 0; index < seats.size(); ++index) {
    auto line = static_cast<int64_t>(index);
    max[seats[index]] = *entered.line<uint8_t>(line) ? *most.line<int64_t>(line) : 0;
    steps[seats[index]] = 0;
  }
}

std::vector<InputArray> SeatRecords::takeStep(std::span<const int64_t> seats) const {
  std::vector<InputArray> inputs(1);
  for (const std::vector<SeatValues> *values : {&carried, &invariants})
    for (const SeatValues &one : *values)
      inputs.push_back(one.take(seats));
  return inputs;
}

void SeatRecords::takeCoda(std::span<const int64_t> seats, std::vector<InputArray> &inputs) const {
  inputs.push_back(enters.take(seats));
  for (const SeatValues &values : carried)
    inputs.push_back(values.take(seats));
  inputs.push_back({.data = steps.data(), .numRows = static_cast<int64_t>(seats.size()), .lines = seats.data()});
  for (const SeatValues &values : coda)
    inputs.push_back(values.take(seats));
}
