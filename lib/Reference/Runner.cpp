// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds the inputs of an entry function from rows, and takes its results apart.

#include "lariat/Reference/Runner.h"

#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/DenseMap.h"

#include <cstring>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

class ForwardRunner : public Runner {
public:
  using Runner::Runner;
  llvm::Expected<RowResults> feed(ArrayRef<BatchRow> rows) override;
};

} // namespace

HostTensor Runner::buildTable(ArrayRef<BatchRow> rows, ArrayRef<int64_t> depths) const {
  llvm::DenseMap<int64_t, int64_t> lengths;
  for (const BatchRow &row : rows)
    ++lengths[row.sequence];
  HostTensor table({static_cast<int64_t>(rows.size()), kNumRowColumns}, sizeof(int64_t));
  auto *line = table.data<int64_t>();
  for (auto [index, row] : llvm::enumerate(rows)) {
    line[kRoot] = index;
    line[kSequence] = row.sequence;
    line[kPosition] = row.position;
    line[kDepth] = depths.empty() ? 0 : depths[index];
    line[kFlags] = row.flags;
    line[kLength] = lengths[row.sequence];
    line += kNumRowColumns;
  }
  return table;
}

/// One value per row.
template <typename T, typename Value>
static HostTensor perRow(ArrayRef<BatchRow> rows, Value value) {
  HostTensor tensor({static_cast<int64_t>(rows.size())}, sizeof(T));
  for (auto [index, row] : llvm::enumerate(rows))
    tensor.data<T>()[index] = value(row);
  return tensor;
}

llvm::Expected<HostTensor> Runner::buildInput(const Port &port, ArrayRef<BatchRow> rows) const {
  if (port.name == "rows")
    return buildTable(rows);
  if (port.name == "ids")
    return perRow<int32_t>(rows, [](const BatchRow &row) { return row.token; });
  if (port.name == "loops")
    return perRow<int64_t>(rows, [&](const BatchRow &) { return settings.loops; });
  if (port.name == "threshold")
    return perRow<float>(rows, [&](const BatchRow &) { return settings.threshold; });
  if (port.name == "capacity") {
    HostTensor counts({static_cast<int64_t>(rows.size()), model.facts.getCapacityDepths()}, sizeof(int32_t));
    if (!settings.capacity.empty())
      for (auto [index, row] : llvm::enumerate(rows))
        llvm::copy(settings.capacity[row.sequence], counts.data<int32_t>() + index * counts.getShape()[1]);
    return counts;
  }
  if (port.name != "initial_state")
    return makeError("input '" + port.name + "' of a compiled function is not known");
  int64_t width = cast<RankedTensorType>(port.type).getDimSize(1);
  HostTensor state({static_cast<int64_t>(rows.size()), width}, sizeof(float));
  if (!settings.initialState.empty())
    for (auto [index, row] : llvm::enumerate(rows))
      state.put(settings.initialState[row.sequence].take(row.position), index);
  return state;
}

SmallVector<HostTensor> Runner::call(const Entry &entry, std::vector<HostTensor> inputs) {
  return callPacked(entry.function, std::move(inputs), memory.getRefs(), entry.results);
}

RowResults Runner::sortResults(const Entry &entry, MutableArrayRef<HostTensor> values, size_t numRows) const {
  RowResults results;
  results.steps.assign(numRows, static_cast<int32_t>(model.facts.loops.getDefaultSteps()));
  for (auto [port, value] : llvm::zip(entry.signature.outputs, values)) {
    if (port.name == "logits")
      results.logits = std::move(value);
    else if (port.name == "hidden")
      results.hidden = std::move(value);
    else if (port.name == "steps")
      results.steps.assign(value.data<int32_t>(), value.data<int32_t>() + value.getNumRows());
  }
  return results;
}

llvm::Expected<RowResults> ForwardRunner::feed(ArrayRef<BatchRow> rows) {
  const Entry *forward = executable.find("forward");
  if (!forward)
    return makeError("the compiled module has no function @forward");
  std::vector<HostTensor> inputs;
  for (const Port &port : forward->signature.inputs) {
    llvm::Expected<HostTensor> input = buildInput(port, rows);
    if (!input)
      return input.takeError();
    inputs.push_back(std::move(*input));
  }
  SmallVector<HostTensor> values = call(*forward, std::move(inputs));
  if (llvm::Error error = memory.getFault(model.facts))
    return std::move(error);
  return sortResults(*forward, values, rows.size());
}

std::unique_ptr<Runner> lariat::reference::createForwardRunner(const Model &model, const Executable &executable,
                                                               RunSettings settings, RequestMemory memory) {
  return std::make_unique<ForwardRunner>(model, executable, std::move(settings), std::move(memory));
}
