// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the functions that lariat-derive-steps split off, one loop step per tick:
//   enter:  @prelude for the rows of a group gives each row its seat record
//   tick:   @fill for rows that stopped before their group's depth, then @core for the active ones
//   leave:  @coda for a group none of whose rows is active or owes an entry
// A group is the whole batch, or one sequence where sequences enter one tick after the other and so are at different
// depths in the same call. A sequence never spans groups, so every row finds the entries of earlier rows.

#include "lariat/Reference/Runner.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// The split functions and the layout of the seat record.
struct StepEntries {
  const Entry *forward, *prelude, *core, *fill, *coda;
  size_t numCarried, numInvariants, numCoda;
};

/// Rows that run through the loop together.
struct Group {
  int64_t begin, end; ///< in the rows that were fed
  int64_t depth = 0;
  bool entered = false, finished = false;
  RowResults results;
};

/// Seat record and progress of all rows that were fed.
struct Seats {
  std::vector<HostTensor> carried, invariants, coda;
  HostTensor enters; ///< i1
  std::vector<int64_t> max;
  std::vector<bool> active;
  std::vector<int32_t> steps;
};

class StepRunner : public Runner {
public:
  StepRunner(const Model &model, const Executable &executable, RunSettings settings, RequestMemory memory,
             bool staggered)
      : Runner(model, executable, std::move(settings), std::move(memory)), staggered(staggered) {}

  llvm::Expected<RowResults> feed(ArrayRef<Row> fed) override;

private:
  llvm::Error findEntries();
  std::vector<Group> formGroups() const;
  llvm::Expected<std::vector<HostTensor>> buildInputs(const Group &group) const;
  llvm::Error enter(Group &group);
  void tick(std::vector<Group> &groups);
  llvm::Error leave(Group &group);
  /// Table, carried values and invariants of some rows.
  std::vector<HostTensor> buildStepInputs(ArrayRef<int64_t> indices, ArrayRef<int64_t> depths) const;
  bool isFinished(const Group &group) const;

  bool staggered;
  StepEntries entries{};
  ArrayRef<Row> rows;
  Seats seats;
};

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
  size_t coreInputs = entries.core->signature.inputs.size(), coreResults = entries.core->results.size();
  entries.numCarried = coreResults - 2; // then which rows are kept, and which of them stop
  entries.numInvariants = coreInputs - 1 - entries.numCarried;
  entries.numCoda = entries.prelude->results.size() - 2 - entries.numCarried - entries.numInvariants;
  return llvm::Error::success();
}

std::vector<Group> StepRunner::formGroups() const {
  std::vector<Group> groups;
  for (auto [index, row] : llvm::enumerate(rows)) {
    bool isNew = groups.empty() || (staggered && row.sequence != rows[index - 1].sequence);
    if (isNew)
      groups.push_back({.begin = static_cast<int64_t>(index), .end = 0, .results = {}});
    groups.back().end = static_cast<int64_t>(index) + 1;
  }
  return groups;
}

llvm::Expected<std::vector<HostTensor>> StepRunner::buildInputs(const Group &group) const {
  std::vector<HostTensor> inputs;
  for (const Port &port : entries.forward->signature.inputs) {
    llvm::Expected<HostTensor> input = buildInput(port, rows.slice(group.begin, group.end - group.begin));
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

llvm::Error StepRunner::enter(Group &group) {
  llvm::Expected<std::vector<HostTensor>> inputs = buildInputs(group);
  if (!inputs)
    return inputs.takeError();
  SmallVector<HostTensor> record = call(*entries.prelude, std::move(*inputs));
  auto indices = llvm::to_vector(llvm::seq(group.begin, group.end));
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
  for (auto [place, index] : llvm::enumerate(indices)) {
    bool enters = seats.enters.data<uint8_t>()[index];
    seats.max[index] = enters ? max.data<int64_t>()[place] : 0;
    seats.active[index] = seats.max[index] > 0;
  }
  group.entered = true;
  group.finished = isFinished(group);
  return llvm::Error::success();
}

std::vector<HostTensor> StepRunner::buildStepInputs(ArrayRef<int64_t> indices, ArrayRef<int64_t> depths) const {
  std::vector<Row> step;
  for (int64_t index : indices)
    step.push_back(rows[index]);
  std::vector<HostTensor> inputs{buildTable(step, depths)};
  for (const HostTensor &value : seats.carried)
    inputs.push_back(value.take(indices));
  for (const HostTensor &value : seats.invariants)
    inputs.push_back(value.take(indices));
  return inputs;
}

void StepRunner::tick(std::vector<Group> &groups) {
  SmallVector<int64_t> owing, owingDepths, active, activeDepths;
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
  if (entries.fill && !owing.empty())
    call(*entries.fill, buildStepInputs(owing, owingDepths));
  if (!active.empty()) {
    SmallVector<HostTensor> values = call(*entries.core, buildStepInputs(active, activeDepths));
    for (auto [seat, value] : llvm::zip(seats.carried, values))
      seat.put(value, active);
    const auto *kept = values[entries.numCarried].data<uint8_t>();
    const auto *stops = values[entries.numCarried + 1].data<uint8_t>();
    for (auto [place, index] : llvm::enumerate(active)) {
      int64_t next = activeDepths[place] + 1;
      seats.steps[index] = static_cast<int32_t>(kept[place] ? next : next - 1);
      seats.active[index] = kept[place] && !stops[place] && next < seats.max[index];
    }
  }
  for (Group &group : groups)
    if (group.entered && !group.finished) {
      ++group.depth;
      group.finished = isFinished(group);
    }
}

bool StepRunner::isFinished(const Group &group) const {
  for (int64_t index = group.begin; index < group.end; ++index)
    if (seats.active[index] || (entries.fill && group.depth < seats.max[index]))
      return false;
  return true;
}

llvm::Error StepRunner::leave(Group &group) {
  llvm::Expected<std::vector<HostTensor>> inputs = buildInputs(group);
  if (!inputs)
    return inputs.takeError();
  auto indices = llvm::to_vector(llvm::seq(group.begin, group.end));
  inputs->push_back(seats.enters.take(indices));
  for (const HostTensor &value : seats.carried)
    inputs->push_back(value.take(indices));
  HostTensor steps({group.end - group.begin}, sizeof(int32_t));
  for (auto [place, index] : llvm::enumerate(indices))
    steps.data<int32_t>()[place] = seats.steps[index];
  inputs->push_back(std::move(steps));
  for (const HostTensor &value : seats.coda)
    inputs->push_back(value.take(indices));
  SmallVector<HostTensor> values = call(*entries.coda, std::move(*inputs));
  group.results = sortResults(*entries.coda, values, indices.size());
  return llvm::Error::success();
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

llvm::Expected<RowResults> StepRunner::feed(ArrayRef<Row> fed) {
  rows = fed;
  if (llvm::Error error = findEntries())
    return std::move(error);
  seats = {std::vector<HostTensor>(entries.numCarried),
           std::vector<HostTensor>(entries.numInvariants),
           std::vector<HostTensor>(entries.numCoda),
           HostTensor(),
           std::vector<int64_t>(fed.size()),
           std::vector<bool>(fed.size()),
           std::vector<int32_t>(fed.size())};
  std::vector<Group> groups = formGroups();
  size_t numLeft = 0;
  for (size_t time = 0; numLeft < groups.size(); ++time) {
    if (time < groups.size())
      if (llvm::Error error = enter(groups[time]))
        return std::move(error);
    tick(groups);
    if (llvm::Error error = memory.getFault(model.facts))
      return std::move(error);
    for (Group &group : groups) {
      if (!group.finished || !group.results.steps.empty())
        continue;
      if (llvm::Error error = leave(group))
        return std::move(error);
      ++numLeft;
    }
  }
  RowResults results;
  for (Group &group : groups) {
    results.logits = concatenate(results.logits, group.results.logits);
    results.hidden = concatenate(results.hidden, group.results.hidden);
    llvm::append_range(results.steps, group.results.steps);
  }
  return results;
}

std::unique_ptr<Runner> lariat::reference::createStepRunner(const Model &model, const Executable &executable,
                                                            RunSettings settings, RequestMemory memory,
                                                            bool staggered) {
  return std::make_unique<StepRunner>(model, executable, std::move(settings), std::move(memory), staggered);
}
