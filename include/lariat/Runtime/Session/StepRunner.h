// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Runs the functions that lariat-derive-steps split off, one loop step per tick:
//   enter:  @prelude for the rows of a group gives each row its seat record
//   tick:   @fill for rows that stopped before their group's depth, then @core for the active ones
//   leave:  @coda for a group none of whose rows is active or owes an entry
// A group is the whole batch, or one sequence where sequences enter one tick after the other and so are at different
// depths in the same call. A sequence never spans groups, so every row finds the entries of earlier rows.

#ifndef LARIAT_RUNTIME_SESSION_STEPRUNNER_H
#define LARIAT_RUNTIME_SESSION_STEPRUNNER_H

#include "lariat/Runtime/Session/BatchRunner.h"

namespace lariat::runtime {

/// One value per row that was fed.
struct SeatValues {
  int64_t valueBytes = 0;
  std::vector<std::byte> bytes;

  template <typename T>
  T at(int64_t row) const {
    return *reinterpret_cast<const T *>(bytes.data() + row * valueBytes);
  }
  /// Values of some rows, in the order given.
  std::vector<std::byte> take(std::span<const int64_t> rows) const;
  /// Overwrites the values of some rows, one by one.
  void put(const OutputArray &values, std::span<const int64_t> rows);
};

class StepRunner : public BatchRunner {
public:
  StepRunner(std::shared_ptr<Model> model, const SessionFacts &facts, RunSettings settings, bool staggered)
      : BatchRunner(std::move(model), facts, std::move(settings)), staggered(staggered) {}

  Expected<RowResults> feed(std::span<const BatchRow> fed) override;

private:
  /// Rows that run through the loop together.
  struct Group {
    int64_t begin, end; ///< in the rows that were fed
    int64_t depth = 0;
    bool entered = false, finished = false, left = false;
  };
  /// Seat record and progress of all rows that were fed.
  struct Seats {
    std::vector<SeatValues> carried, invariants, coda;
    SeatValues enters; ///< i1
    std::vector<int64_t> max;
    std::vector<bool> active;
    std::vector<int32_t> steps;
  };
  /// Inputs of a call, with the memory of those that are copies.
  struct CallInputs {
    std::vector<InputArray> arrays;
    std::vector<std::vector<std::byte>> memory;

    void add(const SeatValues &values, std::span<const int64_t> rows);
  };

  Status start() override;
  void prepareSeats(size_t numRows);
  std::vector<Group> formGroups() const;
  std::span<const BatchRow> rowsOf(const Group &group) const {
    return rows.subspan(group.begin, group.end - group.begin);
  }
  Status enter(Group &group);
  Status tick(std::vector<Group> &groups);
  Status leave(Group &group);
  bool isFinished(const Group &group) const;
  /// Runs @core or @fill for some rows at their depths.
  Status callStep(const Function &function, std::span<const int64_t> indices, std::span<const int64_t> depths);
  Status runFunction(const Function &function, const CallRows &callRows, std::vector<InputArray> inputs,
                     int64_t loopSteps);
  /// Keeps the results of a group.
  void collect(const Group &group);

  bool staggered;
  const Function *forward = nullptr, *prelude = nullptr, *core = nullptr, *fill = nullptr, *coda = nullptr;
  size_t numCarried = 0, numInvariants = 0, numCoda = 0;
  std::span<const BatchRow> rows;
  Seats seats;
  CallResult result;
  /// Logits and states of the groups, in their order.
  struct Kept {
    std::vector<std::vector<std::byte>> parts;
    std::vector<std::byte> whole;
    int64_t lineBytes = 0, numColumns = 0;
  };
  Kept logits, hidden;
  std::vector<int32_t> steps;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_STEPRUNNER_H
