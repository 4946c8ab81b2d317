// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. How the rows of a request are cut into calls. Every sequence comes in order, and a row's result
// depends on its own sequence only, so the cut changes time and memory, never a result; but for models of atomic order,
// whose calls are the segments of a prompt, cut where the caller says so.

#ifndef LARIAT_RUNTIME_SESSION_PLAN_H
#define LARIAT_RUNTIME_SESSION_PLAN_H

#include "lariat/Runtime/Session/BatchRunner.h"

namespace lariat::runtime {

/// Spans of one call, by ascending sequence; a sequence is in it once.
using CallPlan = std::vector<RowSpan>;

struct PlanOptions {
  int64_t maxRows = 512;        ///< of a call; more where something must not be cut
  std::optional<int64_t> chunk; ///< rows of a sequence in a call, as asked for
  bool mayCut = false;          ///< whether a sequence may be cut where no chunk is asked for
};

std::vector<CallPlan> planCalls(const Request &request, const PlanOptions &options);

/// Rows of the prompts that the spans name. `wanted` says for a row whether its logits are wanted.
std::vector<BatchRow> listPromptRows(const Request &request, const CallPlan &plan,
                                     bool (*wanted)(int64_t position, int64_t length));

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_PLAN_H
