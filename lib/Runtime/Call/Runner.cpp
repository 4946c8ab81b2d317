// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memory for the call is prepared, inputs are copied in as compiled code reads them, pages are set aside for the most
// that the rows may write, those of retained sequences if need be, and the code runs with the threads of the model.
// Pages that it did not take go back.

#include "Runner.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

static constexpr int64_t kMaxRows = int64_t(1) << 30;
static constexpr int64_t kColumns = abi::kNumRowColumns;

Status Runner::run() {
  if (Status status = verify())
    return status;
  if (Status status = collectSequences())
    return status;
  CallSize size{function.arenaBytesPerRow, paddedRows, function.cells, function.scratchBytes,
                model.device->getNumThreads()};
  if (Status status = model.memory.prepare(device, size))
    return status;
  bases = {model.memory.getArena(), const_cast<std::byte *>(model.weights),
           reinterpret_cast<std::byte *>(model.memory.getCells())};
  if (Status status = fillInputs())
    return status;
  if (Status status = model.ropeTables.cover(maxPosition + 1))
    return status;
  if (Status status = prepareOutputs())
    return status;
  if (Status status = loadStates())
    return status;
  if (Status status = reservePages())
    return status;
  return finish(execute());
}

//===----------------------------------------------------------------------===//
// Request
//===----------------------------------------------------------------------===//

int64_t Runner::getNumRows(int64_t input) const {
  const InputArray &array = request.inputs[input];
  bool isBuilt = getInput(input).isRows && !array.data;
  return isBuilt ? static_cast<int64_t>(request.rows.size()) : array.numRows;
}

Status Runner::verify() {
  auto numInputs = static_cast<int64_t>(function.inputs.size());
  if (static_cast<int64_t>(request.inputs.size()) != numInputs)
    return makeError("function '", function.name, "' is called with ", static_cast<int64_t>(request.inputs.size()),
                     " inputs, but it has ", numInputs);
  if (request.loops < 0 || request.loops > kMaxDepth)
    return makeError("a call runs ", request.loops, " loop steps, expected 0 to ", kMaxDepth);
  int64_t most = 0;
  for (int64_t input = 0; input < numInputs; ++input) {
    const Port &port = getInput(input);
    const InputArray &array = request.inputs[input];
    int64_t rows = getNumRows(input);
    if (!port.isRows && rows != getNumRows(port.rowSet))
      return makeError("input '", port.name, "' has ", rows, " rows, but '", getInput(port.rowSet).name, "' has ",
                       getNumRows(port.rowSet));
    if (!port.isRows && !array.data && rows > 0)
      return makeError("input '", port.name, "' has no values");
    if (array.lineBytes != 0 && array.lineBytes < port.getValueBytes())
      return makeError("input '", port.name, "' has lines of ", array.lineBytes, " bytes, expected at least ",
                       port.getValueBytes());
    most = std::max(most, rows);
  }
  if (most < 1 || most > kMaxRows)
    return makeError("a call has ", most, " rows, expected 1 to ", kMaxRows);
  paddedRows = roundUp(most, abi::kRowPadding);
  return Status::success();
}

Status Runner::collectSequences() {
  for (Sequence *sequence : request.sequences) {
    if (!sequence || sequence->model.get() != &model)
      return makeError("sequence ", static_cast<int64_t>(sequences.size()), " of the call is not of this model");
    if (!sequence->memory->failure.empty())
      return makeError("the sequence was in a call that failed, which said: ", sequence->memory->failure);
    sequences.push_back(sequence->memory.get());
  }
  std::vector<SequenceMemory *> sorted = sequences;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end())
    return makeError("a sequence is in the call twice");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

static void zeroLines(DeviceMemory &device, Space space, Lines target, int64_t count, int64_t bytes) {
  if (space == Space::Shared)
    zeroOnHost(target, count, bytes);
  else if (count * bytes > 0)
    device.zero(target, count, bytes);
}

Status Runner::fillInputs() {
  for (int64_t input = 0; input < static_cast<int64_t>(function.inputs.size()); ++input) {
    const Port &port = getInput(input);
    int64_t bytes = 0;
    if (!multiply(port.getLineBytes(), paddedRows, bytes))
      return makeError("input '", port.name, "' is too large");
    Space space = getSpace(port);
    Expected<std::byte *> memory = model.memory.prepareInput(device, space, input, bytes);
    if (!memory)
      return memory.takeError();
    bases.push_back(*memory);
    model.memory.getCells()[input] = getNumRows(input);
    if (!port.isRows)
      fillValues(input);
    else if (Status status = fillTable(input))
      return status;
    int64_t used = getNumRows(input) * port.getLineBytes();
    zeroLines(device, space, {bases.back() + used, 0}, 1, bytes - used); // kernels may read whole tiles
  }
  return Status::success();
}

/// Lines of a table from the rows of a request.
static void writeTable(std::span<const Row> rows, int64_t *line) {
  auto begin = rows.begin();
  for (auto row = rows.begin(); row != rows.end(); ++row, line += kColumns) {
    if (row->sequence != begin->sequence)
      begin = row;
    line[abi::kRoot] = row - rows.begin();
    line[abi::kSequence] = row->sequence;
    line[abi::kPosition] = row->position;
    line[abi::kDepth] = row->depth;
    line[abi::kFlags] = row->flags;
    line[abi::kLength] = row->length;
    bool isLast = row + 1 == rows.end() || (row + 1)->sequence != row->sequence;
    for (int64_t back = 0; isLast && back <= row - begin; ++back)
      if (int64_t &length = line[abi::kLength - back * kColumns]; length == 0)
        length = row - begin + 1;
  }
}

/// Order and ranges of a table: what else reads it relies on them.
static Status verifyTable(const int64_t *table, int64_t rows, int64_t numSequences, std::string_view name) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t *line = table + row * kColumns, *before = line - kColumns;
    if (line[abi::kSequence] < 0 || line[abi::kSequence] >= numSequences)
      return makeError("row ", row, " of '", name, "' is of sequence ", line[abi::kSequence], ", the call has ",
                       numSequences);
    if (line[abi::kPosition] < 0 || line[abi::kPosition] >= abi::kPrefixBit)
      return makeError("row ", row, " of '", name, "' is at position ", line[abi::kPosition], ", expected 0 to ",
                       abi::kPrefixBit - 1);
    if (line[abi::kDepth] < 0 || line[abi::kDepth] > kMaxDepth)
      return makeError("row ", row, " of '", name, "' is at depth ", line[abi::kDepth], ", expected 0 to ", kMaxDepth);
    if (row == 0)
      continue;
    bool ascends = line[abi::kSequence] != before[abi::kSequence] ? line[abi::kSequence] > before[abi::kSequence]
                                                                  : line[abi::kPosition] > before[abi::kPosition];
    if (!ascends || line[abi::kRoot] <= before[abi::kRoot])
      return makeError("row ", row, " of '", name, "' (sequence ", line[abi::kSequence], ", position ",
                       line[abi::kPosition], ") does not follow row ", row - 1, " (sequence ", before[abi::kSequence],
                       ", position ", before[abi::kPosition], ")");
  }
  return Status::success();
}

Status Runner::fillTable(int64_t input) {
  const InputArray &array = request.inputs[input];
  int64_t rows = getNumRows(input);
  auto *lines = reinterpret_cast<int64_t *>(bases.back());
  if (!array.data)
    writeTable(request.rows, lines);
  else
    fillValues(input);
  if (Status status = verifyTable(lines, rows, static_cast<int64_t>(sequences.size()), getInput(input).name))
    return status;
  for (int64_t row = 0; row < rows; ++row) {
    maxDepth = std::max(maxDepth, lines[row * kColumns + abi::kDepth]);
    maxPosition = std::max(maxPosition, lines[row * kColumns + abi::kPosition]);
  }
  if (rows > numTableRows) {
    table = lines;
    numTableRows = rows;
  }
  return Status::success();
}

void Runner::fillValues(int64_t input) {
  const Port &port = getInput(input);
  const InputArray &array = request.inputs[input];
  int64_t value = port.getValueBytes(), line = port.getLineBytes(), rows = getNumRows(input);
  Lines target{bases.back(), line};
  ConstLines source{static_cast<const std::byte *>(array.data), array.lineBytes == 0 ? value : array.lineBytes,
                    array.lines};
  if (array.onDevice)
    device.copy(target, source, rows, value);
  else if (getSpace(port) == Space::Shared)
    copyOnHost(target, source, rows, value);
  else
    device.upload(target, source, rows, value);
  if (line > value)
    zeroLines(device, getSpace(port), {target.begin + value, line}, rows, line - value);
}

Status Runner::prepareOutputs() {
  result.outputs.resize(function.outputs.size());
  for (size_t output = 0; output < function.outputs.size(); ++output) {
    const Port &port = function.outputs[output];
    OutputArray &array = result.outputs[output];
    int64_t bytes = 0;
    array.numRows = 0;
    array.lineBytes = port.getLineBytes();
    array.host = nullptr;
    if (!multiply(array.lineBytes, paddedRows, bytes))
      return makeError("output '", port.name, "' is too large");
    std::string what = "output '" + port.name + "'";
    if (Status status = array.memory.reserve(device, getSpace(port), bytes, what))
      return status;
    bases.push_back(array.memory.data());
    if (getSpace(port) == Space::Shared || device.isHost())
      array.host = array.memory.data();
    if (!needsCopy(port))
      continue;
    if (Status status = array.copy.reserve(bytes, what))
      return status;
    array.host = array.copy.data();
  }
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Caches and states
//===----------------------------------------------------------------------===//

Status Runner::loadStates() {
  auto numStates = static_cast<int64_t>(model.stateShapes.size());
  model.states.resize(numStates);
  for (int64_t state = 0; state < numStates; ++state) {
    std::vector<SequenceState *> stored;
    for (SequenceMemory *sequence : sequences)
      stored.push_back(&sequence->states[state]);
    const StateShape &shape = model.stateShapes[state];
    if (Status status = model.states[state].load(device, shape, stored, getNumDepths() * shape.depthFactor))
      return status;
  }
  return Status::success();
}

/// Pages of retained sequences go to those that run.
Status Runner::reservePages() {
  model.views.startCall();
  Status status = reserveOnce();
  while (!status.ok()) {
    model.kv->releaseReserved();
    if (!status.lacksPages() || !model.prefixes.freePages(*model.kv))
      return status;
    status = reserveOnce();
  }
  return status;
}

/// Sets pages aside for the most that the rows may write; an error leaves some set aside.
Status Runner::reserveOnce() {
  for (int64_t begin = 0, end = 0; begin < numTableRows; begin = end) {
    int64_t sequence = table[begin * kColumns + abi::kSequence];
    while (end < numTableRows && table[end * kColumns + abi::kSequence] == sequence)
      ++end;
    for (int64_t index = 0; index < model.kv->getNumCaches(); ++index) {
      SequenceCache &cache = sequences[sequence]->caches[index];
      int64_t pages = KVPool::countPages(model.kv->getFacts(index), cache, model.kv->getPages(index),
                                         table + begin * kColumns, end - begin, request.loops);
      if (Status status = model.kv->getPages(index).reserve(pages))
        return status;
      cache.startCall(end - begin);
    }
  }
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// The name behind the number of a fault of the generic path, which knows states only.
std::string_view Runner::getFaultName(const int64_t *words) const {
  const std::vector<State> &states = model.getManifest().states;
  bool isState = words[abi::kFaultKind] == abi::kStateFault && words[abi::kFaultPlace] >= 0 &&
                 words[abi::kFaultPlace] < static_cast<int64_t>(states.size());
  return isState ? std::string_view(states[words[abi::kFaultPlace]].name) : "?";
}

Status Runner::execute() {
  CallContext context{model, sequences, request.launches, request.stop, getNumDepths(), {}};
  std::array<int64_t, abi::kNumFaultWords> faults{};
  std::vector<std::byte *> states;
  std::vector<int64_t> stateDepths;
  for (const BatchState &state : model.states) {
    states.push_back(state.data());
    stateDepths.push_back(state.getDepths());
  }
  abi::Call call{.bases = bases.data(),
                 .paddedRows = paddedRows,
                 .cells = model.memory.getCells(),
                 .scratch = model.memory.getScratch(),
                 .scratchBytes = model.memory.getScratchStride(),
                 .states = states.data(),
                 .stateDepths = stateDepths.data(),
                 .numSequences = static_cast<int64_t>(sequences.size()),
                 .faults = faults.data(),
                 .runtime = &context,
                 .tables = model.ropeTables.data()};
  model.artefact->getEntry(function)(&call);
  if (faults[abi::kFaultKind] != abi::kNoFault)
    context.fault(faults, getFaultName(faults.data()));
  return std::move(context.status);
}

/// Caches of one call hold nothing between calls.
void Runner::emptyTransientCaches() {
  for (int64_t cache = 0; cache < model.kv->getNumCaches(); ++cache)
    if (const CacheSpec &facts = model.kv->getFacts(cache); facts.transient)
      for (SequenceMemory *sequence : sequences)
        sequence->caches[cache].truncate(/*position=*/0, model.kv->getPages(cache), facts.layout);
}

void Runner::downloadOutputs() {
  for (size_t output = 0; output < function.outputs.size(); ++output) {
    OutputArray &array = result.outputs[output];
    if (needsCopy(function.outputs[output]) && array.numRows > 0)
      device.download({array.copy.data(), array.lineBytes}, {array.memory.data(), array.lineBytes}, array.numRows,
                      array.lineBytes);
  }
}

Status Runner::finish(Status status) {
  model.kv->releaseReserved();
  emptyTransientCaches();
  const int64_t *counts = model.memory.getCells() + function.inputs.size();
  for (size_t output = 0; output < function.outputs.size(); ++output) {
    result.outputs[output].numRows = std::clamp<int64_t>(counts[output], 0, paddedRows);
    if (status.ok() && counts[output] != result.outputs[output].numRows)
      status = makeError("compiled code gives output '", function.outputs[output].name, "' ", counts[output],
                         " rows, where a call has at most ", paddedRows);
  }
  if (status.ok())
    downloadOutputs();
  if (Status fault = device.takeFault(); !fault.ok() && status.ok())
    status = std::move(fault);
  if (!status.ok()) {
    for (SequenceMemory *sequence : sequences)
      sequence->failure = status.text();
    return status;
  }
  for (size_t state = 0; state < model.states.size(); ++state) {
    std::vector<SequenceState *> stored;
    for (SequenceMemory *sequence : sequences)
      stored.push_back(&sequence->states[state]);
    model.states[state].store(stored);
  }
  for (int64_t row = 0; row < numTableRows; ++row) {
    const int64_t *line = table + row * kColumns;
    int64_t &length = sequences[line[abi::kSequence]]->length;
    length = std::max(length, line[abi::kPosition] + 1);
  }
  return status;
}
