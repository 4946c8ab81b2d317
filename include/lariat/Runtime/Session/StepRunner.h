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

#include "lariat/Runtime/Engine/StepFunctions.h"
#include "lariat/Runtime/Session/BatchRunner.h"

namespace lariat::runtime {

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

  Status start() override;
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
  StepFunctions functions;
  std::span<const BatchRow> rows;
  SeatRecords seats;      ///< a seat per row that was fed
  std::vector<bool> runs; ///< by row: whether it is in the loop
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
