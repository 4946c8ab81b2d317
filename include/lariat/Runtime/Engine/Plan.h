// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What an engine is about to do, as a value. A plan names everything that is chosen: mail that is taken,
// requests that start and the rows they begin with, rows that join, which function each row runs, how far ahead
// requests may draft, who waits, who is preempted. What follows from results of its own calls by a rule is not in it:
// rows that have left the loop get @coda, a row of @prelude that does not enter the loop runs no @core, a request that
// has its tokens ends.

#ifndef LARIAT_RUNTIME_ENGINE_PLAN_H
#define LARIAT_RUNTIME_ENGINE_PLAN_H

#include "lariat/Runtime/Engine/Scheduler.h"

#include <string>

namespace lariat::runtime {

/// What callers asked for since the last plan, by number of the request.
struct Mail {
  bool clearsPrefixes = false; ///< before requests are received
  std::vector<int64_t> received, cancelled;

  bool operator==(const Mail &) const = default;
};

struct PlannedStart {
  int64_t request = 0;
  int64_t sharedRows = 0; ///< that it begins with: others have computed them

  bool operator==(const PlannedStart &) const = default;
};

/// A request that waits until another one has so many rows in common with it.
struct PlannedWait {
  int64_t request = 0, source = 0, rows = 0;

  bool operator==(const PlannedWait &) const = default;
};

/// The last row of a request drafts while fewer than `most` of its tokens are ahead of verified ones.
struct DraftLimit {
  int64_t request = 0, most = 0;

  bool operator==(const DraftLimit &) const = default;
};

/// What is done about a call that lacked pages. A plan with one does nothing else.
struct Remedy {
  enum class Kind {
    TakeBackDrafts, ///< of all requests
    Preempt,        ///< a request gives its pages back and waits again
    Fail,
  };
  Kind kind = Kind::TakeBackDrafts;
  int64_t request = -1;
  std::string why = {}; ///< of a request that fails

  bool operator==(const Remedy &) const = default;
};

/// One tick, unless a call in it fails: then another plan goes on with the same tick.
struct TickPlan {
  Mail mail = {};
  bool continuesTick = false;
  std::optional<Remedy> remedy = {};
  std::vector<PlannedStart> starts = {};
  std::vector<PlannedWait> waits = {};
  std::vector<RowChunk> chunks = {}; ///< of requests that start and that run
  /// Rows by function, each list by request, then position. Rows of @prelude are among those of @core as well. Either
  /// `whole` or the others.
  std::vector<ScheduledRow> whole = {}, prelude = {}, fill = {}, core = {};
  std::vector<DraftLimit> drafts = {}; ///< by request; who is not among them does not draft

  bool operator==(const TickPlan &) const = default;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_PLAN_H
