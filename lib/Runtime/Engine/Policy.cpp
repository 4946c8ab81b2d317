// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The policy of production.

#include "lariat/Runtime/Engine/Policy.h"

using namespace lariat::runtime;

/// Each of so many tokens is drafted where drafts do not pay, to notice when they do.
static constexpr int64_t kTrial = 32;

int64_t MeasuredPolicy::draftsFor(const DraftFacts &facts) const {
  int64_t rows = costs.chooseRows(facts.acceptance, facts.mostRows, facts.otherRows, facts.draft);
  if (rows == 1 && facts.numGenerated % kTrial == kTrial - 1)
    rows = std::min<int64_t>(2, facts.mostRows);
  return rows - 1;
}

void MeasuredPolicy::addCall(const CallFacts &call) {
  if (call.promptRows > 0)
    return;
  if (call.called == CalledFunction::Core)
    costs.core.add(call.rows, call.seconds);
  else if (call.called == CalledFunction::Coda)
    costs.coda.add(call.rows, call.seconds);
}
