// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the rows of a request are cut into calls. Every sequence comes in order, and a row's result
// depends on its own sequence only, so the cut changes time and memory, never a result; but for models of atomic order,
// whose calls are the segments of a prompt, cut where the caller says so.

#ifndef LARIAT_REQUESTS_PLAN_H
#define LARIAT_REQUESTS_PLAN_H

#include "lariat/Requests/Checks.h"

namespace lariat::requests {

/// One row to feed.
struct BatchRow {
  int64_t sequence; ///< of the request
  int64_t position;
  int32_t token;
  int64_t flags; ///< abi::RowFlag bits
};

/// Rows `first` to `last` of a sequence.
struct RowSpan {
  int64_t sequence, first, last;
};

/// Spans of one call, by ascending sequence; a sequence is in it once.
using CallPlan = std::vector<RowSpan>;

struct PlanOptions {
  int64_t maxRows = 512;        ///< of a call; more where something must not be cut
  std::optional<int64_t> chunk; ///< rows of a sequence in a call, as asked for
  bool mayCut = false;          ///< whether a sequence may be cut where no chunk is asked for
};

std::vector<CallPlan> planCalls(const Request &request, const PlanOptions &options);
/// The same, cut where the model allows it, or at `chunk` rows where the caller asks for it.
std::vector<CallPlan> planCalls(const RequestFacts &facts, const Request &request, const RowSettings &settings,
                                std::optional<int64_t> chunk, int64_t maxRows);

/// Rows of the longest sequence.
int64_t getLongest(const Request &request);

/// Row `position` of a prompt. `wanted`: its logits are.
BatchRow getPromptRow(const Request &request, int64_t sequence, int64_t position, bool wanted);
/// Rows of the prompts that the spans name, the logits of all of which are wanted.
std::vector<BatchRow> listPromptRows(const Request &request, const CallPlan &plan);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_PLAN_H
