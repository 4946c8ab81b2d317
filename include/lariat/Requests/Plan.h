// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the rows of a request are cut into calls. Every sequence comes in order, and a row's result depends on its own
// sequence only, so a cut changes time and memory, never a result. Models of atomic order are the exception: their
// results depend on which rows run together, so a prompt is cut only where the caller says so.

#ifndef LARIAT_REQUESTS_PLAN_H
#define LARIAT_REQUESTS_PLAN_H

#include "lariat/Requests/Checks.h"

namespace lariat::requests {

/// A row that is given to a runner.
struct BatchRow {
  int64_t sequence; ///< index in the request
  int64_t position;
  int32_t token;
  int64_t flags; ///< abi::RowFlag bits
};

/// Rows `first` to `last` - 1 of a sequence.
struct RowSpan {
  int64_t sequence, first, last;
};

/// Spans of one call, by ascending sequence; a sequence is in it once.
using CallPlan = std::vector<RowSpan>;

struct PlanOptions {
  int64_t maxRows = 512;        ///< most rows of a call; a call has more where something must not be cut
  std::optional<int64_t> chunk; ///< rows of a sequence in a call, where the caller asks for it
  bool mayCut = false;          ///< whether a sequence may be cut where no chunk is asked for
};

std::vector<CallPlan> planCalls(const Request &request, const PlanOptions &options);
/// The same, cut where the model allows it, or at `chunk` rows where the caller asks for it.
std::vector<CallPlan> planCalls(const RequestFacts &facts, const Request &request, const RowSettings &settings,
                                std::optional<int64_t> chunk, int64_t maxRows);

/// Rows of the longest sequence.
int64_t getLongest(const Request &request);

/// The row of a prompt at `position`; `wanted`: its logits are wanted.
BatchRow getPromptRow(const Request &request, int64_t sequence, int64_t position, bool wanted);
/// The rows that the spans of a plan name. The logits of all of them are wanted.
std::vector<BatchRow> listPromptRows(const Request &request, const CallPlan &plan);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_PLAN_H
