// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The plain schedule of the functions that lariat-derive-steps split off, one loop step per tick:
//   enter:  @prelude for the rows of a group gives each row its seat record
//   tick:   @fill for rows that stopped before their group's depth, then @core for the active ones
//   leave:  @coda for a group none of whose rows is active or has an entry to store
// A group is the whole batch, or one sequence where sequences enter one tick after the other and so are at different
// depths in the same call. A sequence never spans groups, so every row finds the entries of earlier rows.

#ifndef LARIAT_REQUESTS_STEPS_H
#define LARIAT_REQUESTS_STEPS_H

#include "lariat/Requests/Plan.h"
#include "lariat/Runtime/Base/Status.h"

#include <span>

namespace lariat::requests {

/// What @core says of a row.
struct StepOutcome {
  bool kept = false, stops = false;
};

/// The functions that a schedule calls. Rows are named by their place among those that were fed.
class StepCalls {
public:
  virtual ~StepCalls() = default;

  /// @prelude; sets the most loop steps of each row, 0 for one that does not enter.
  virtual runtime::Status enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) = 0;
  virtual bool hasFill() const = 0;
  virtual runtime::Status fill(std::span<const int64_t> rows, std::span<const int64_t> depths) = 0;
  virtual runtime::Status core(std::span<const int64_t> rows, std::span<const int64_t> depths,
                               std::span<StepOutcome> outcomes) = 0;
  /// @coda, with the loop steps that each row ran. Groups leave in any order.
  virtual runtime::Status leave(int64_t begin, int64_t end, std::span<const int32_t> steps) = 0;
};

/// Runs rows through the loop. `staggered`: sequence i enters at tick i, else all enter at once.
runtime::Status runSteps(std::span<const BatchRow> rows, bool staggered, StepCalls &calls);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_STEPS_H
