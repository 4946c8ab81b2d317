// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs step functions by the plain schedule of lariat/Requests/Steps.h.

#include "lariat/Reference/Error.h"
#include "lariat/Reference/Runner.h"
#include "lariat/Requests/Steps.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// The split functions and the layout of the seat record.
struct StepEntries {
  const Entry *forward, *prelude, *core, *fill, *coda;
  size_t numCarried, numInvariants, numCoda;
};

/// Seat record of all rows that were fed.
struct Seats {
  std::vector<HostTensor> carried, invariants, coda;
  HostTensor enters; ///< i1
};

class StepRunner : public Runner, private requests::StepCalls {
public:
  StepRunner(const Model &model, const Executable &executable, RunSettings settings, RequestMemory memory,
             bool staggered)
      : Runner(model, executable, std::move(settings), std::move(memory)), staggered(staggered) {}

  llvm::Expected<RowResults> feed(ArrayRef<BatchRow> fed) override;

private:
  llvm::Error findEntries();
  llvm::Expected<std::vector<HostTensor>> buildInputs(int64_t begin, int64_t end) const;
  /// Table, carried values and invariants of some rows.
  std::vector<HostTensor> buildStepInputs(ArrayRef<int64_t> indices, ArrayRef<int64_t> depths) const;
  /// What code has found out of range so far.
  runtime::Status getFault() const;

  runtime::Status enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) override;
  bool hasFill() const override { return entries.fill; }
  runtime::Status fill(std::span<const int64_t> indices, std::span<const int64_t> depths) override;
  runtime::Status core(std::span<const int64_t> indices, std::span<const int64_t> depths,
                       std::span<requests::StepOutcome> outcomes) override;
  runtime::Status leave(int64_t begin, int64_t end, std::span<const int32_t> steps) override;

  bool staggered;
  StepEntries entries{};
  ArrayRef<BatchRow> rows;
  Seats seats;
  std::map<int64_t, RowResults> results; ///< of the rows from each number on that left together
};

runtime::Status toStatus(llvm::Error error) {
  return error ? runtime::Error{toString(std::move(error))} : runtime::Status::success();
}

} // namespace

llvm::Error StepRunner::findEntries() {
  entries = {executable.find("forward"),
             executable.find("prelude"),
             executable.find("core"),
             executable.find("fill"),
             executable.find("coda"),
             0,
             0,
             0};
  if (!entries.forward || !entries.prelude || !entries.core || !entries.coda)
    return makeError("the compiled module lacks @forward, @prelude, @core or @coda");
  const std::vector<abi::RecordPart> &record = entries.prelude->record;
  if (record.empty())
    return makeError("@prelude of the compiled module does not say what its record is");
  entries.numCarried = abi::countParts(record, abi::RecordPart::Carried);
  entries.numInvariants = abi::countParts(record, abi::RecordPart::Invariant);
  entries.numCoda = abi::countParts(record, abi::RecordPart::Coda);
  return llvm::Error::success();
}

llvm::Expected<std::vector<HostTensor>> StepRunner::buildInputs(int64_t begin, int64_t end) const {
  std::vector<HostTensor> inputs;
  for (const Port &port : entries.forward->signature.inputs) {
    llvm::Expected<HostTensor> input = buildInput(port, rows.slice(begin, end - begin));
    if (!input)
      return input.takeError();
    inputs.push_back(std::move(*input));
  }
  return inputs;
}

/// A tensor with one line per row that was fed, of the type of `line`'s rows.
static void putInto(HostTensor &whole, const HostTensor &part, ArrayRef<int64_t> indices, int64_t numRows) {
  if (whole.getShape().empty()) {
    SmallVector<int64_t> shape(part.getShape());
    shape.front() = numRows;
    whole = HostTensor(shape, part.getElementBytes());
  }
  whole.put(part, indices);
}

runtime::Status StepRunner::getFault() const { return toStatus(memory.getFault(model.facts)); }

runtime::Status StepRunner::enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) {
  llvm::Expected<std::vector<HostTensor>> inputs = buildInputs(begin, end);
  if (!inputs)
    return toStatus(inputs.takeError());
  SmallVector<HostTensor> record = call(*entries.prelude, std::move(*inputs));
  auto indices = llvm::to_vector(llvm::seq(begin, end));
  auto numRows = static_cast<int64_t>(rows.size());
  size_t next = 0;
  putInto(seats.enters, record[next++], indices, numRows);
  for (HostTensor &value : seats.carried)
    putInto(value, record[next++], indices, numRows);
  for (HostTensor &value : seats.invariants)
    putInto(value, record[next++], indices, numRows);
  const HostTensor &max = record[next++];
  for (HostTensor &value : seats.coda)
    putInto(value, record[next++], indices, numRows);
  for (auto [place, index] : llvm::enumerate(indices))
    maxSteps[place] = seats.enters.data<uint8_t>()[index] ? max.data<int64_t>()[place] : 0;
  return getFault();
}

std::vector<HostTensor> StepRunner::buildStepInputs(ArrayRef<int64_t> indices, ArrayRef<int64_t> depths) const {
  std::vector<BatchRow> step;
  for (int64_t index : indices)
    step.push_back(rows[index]);
  std::vector<HostTensor> inputs{buildTable(step, depths)};
  for (const HostTensor &value : seats.carried)
    inputs.push_back(value.take(indices));
  for (const HostTensor &value : seats.invariants)
    inputs.push_back(value.take(indices));
  return inputs;
}

runtime::Status StepRunner::fill(std::span<const int64_t> indices, std::span<const int64_t> depths) {
  call(*entries.fill, buildStepInputs(indices, depths));
  return getFault();
}

runtime::Status StepRunner::core(std::span<const int64_t> indices, std::span<const int64_t> depths,
                                 std::span<requests::StepOutcome> outcomes) {
  SmallVector<HostTensor> values = call(*entries.core, buildStepInputs(indices, depths));
  for (auto [seat, value] : llvm::zip(seats.carried, values))
    seat.put(value, indices);
  const auto *kept = values[entries.numCarried].data<uint8_t>();
  const auto *stops = values[entries.numCarried + 1].data<uint8_t>();
  for (auto [place, outcome] : llvm::enumerate(outcomes))
    outcome = {kept[place] != 0, stops[place] != 0};
  return getFault();
}

runtime::Status StepRunner::leave(int64_t begin, int64_t end, std::span<const int32_t> steps) {
  llvm::Expected<std::vector<HostTensor>> inputs = buildInputs(begin, end);
  if (!inputs)
    return toStatus(inputs.takeError());
  auto indices = llvm::to_vector(llvm::seq(begin, end));
  inputs->push_back(seats.enters.take(indices));
  for (const HostTensor &value : seats.carried)
    inputs->push_back(value.take(indices));
  HostTensor ran({end - begin}, sizeof(int32_t));
  llvm::copy(steps, ran.data<int32_t>());
  inputs->push_back(std::move(ran));
  for (const HostTensor &value : seats.coda)
    inputs->push_back(value.take(indices));
  SmallVector<HostTensor> values = call(*entries.coda, std::move(*inputs));
  results[begin] = sortResults(*entries.coda, values, indices.size());
  return getFault();
}

/// The rows of one tensor behind those of another; either may be absent.
static HostTensor concatenate(const HostTensor &first, const HostTensor &second) {
  if (first.getShape().empty() || second.getShape().empty())
    return first.getShape().empty() ? second : first;
  SmallVector<int64_t> shape(first.getShape());
  shape.front() += second.getNumRows();
  HostTensor result(shape, first.getElementBytes());
  result.put(first, llvm::to_vector(llvm::seq<int64_t>(0, first.getNumRows())));
  result.put(second, llvm::to_vector(llvm::seq<int64_t>(first.getNumRows(), shape.front())));
  return result;
}

llvm::Expected<RowResults> StepRunner::feed(ArrayRef<BatchRow> fed) {
  rows = fed;
  if (llvm::Error error = findEntries())
    return std::move(error);
  seats = {std::vector<HostTensor>(entries.numCarried), std::vector<HostTensor>(entries.numInvariants),
           std::vector<HostTensor>(entries.numCoda), HostTensor()};
  results.clear();
  if (runtime::Status status = requests::runSteps(fed, staggered, *this))
    return toError(status.takeError());
  RowResults whole;
  for (const auto &[begin, part] : results) {
    whole.logits = concatenate(whole.logits, part.logits);
    whole.hidden = concatenate(whole.hidden, part.hidden);
    llvm::append_range(whole.steps, part.steps);
  }
  return whole;
}

std::unique_ptr<Runner> lariat::reference::createStepRunner(const Model &model, const Executable &executable,
                                                            RunSettings settings, RequestMemory memory,
                                                            bool staggered) {
  return std::make_unique<StepRunner>(model, executable, std::move(settings), std::move(memory), staggered);
}
