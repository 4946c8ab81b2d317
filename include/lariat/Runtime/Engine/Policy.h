// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What an engine leaves open when it decides a plan: which rows are first where not all fit a tick, and how far
// ahead requests draft. Every other choice follows from requests and pages. Measured time steers a policy at most, so
// under one that does not look at it the same requests in the same ticks give the same plans.
//
// An engine asks its policy on the thread that ticks; a policy serves one engine.

#ifndef LARIAT_RUNTIME_ENGINE_POLICY_H
#define LARIAT_RUNTIME_ENGINE_POLICY_H

#include "lariat/Runtime/Engine/Profile.h"
#include "lariat/Runtime/Engine/Scheduler.h"
#include "lariat/Runtime/Engine/Speculation.h"

#include <algorithm>

namespace lariat::runtime {

/// A request whose last row may draft.
struct DraftFacts {
  DraftSteps draft;
  double acceptance = 0;    ///< share of its drafts that were right
  int64_t numGenerated = 0; ///< verified tokens
  int64_t mostRows = 1;     ///< rows of its own that it can have in the loop at once
  int64_t otherRows = 0;    ///< rows of other requests
};

/// A call that succeeded.
struct CallFacts {
  CalledFunction called = CalledFunction::Core;
  int64_t rows = 0, promptRows = 0;
  double seconds = 0;
};

class EnginePolicy {
public:
  explicit EnginePolicy(Order order) : ordering(getOrdering(order)) {}
  virtual ~EnginePolicy() = default;

  /// The rows of the next tick, out of those that may run once `added` have joined. By default in the policy's order.
  virtual std::vector<ScheduledRow> choose(const Scheduler &scheduler, std::span<const RowChunk> added) const {
    return scheduler.choose(ordering, added);
  }
  /// How many tokens ahead of verified ones a request may draft that sets no number itself; below `mostRows`.
  virtual int64_t draftsFor(const DraftFacts &facts) const = 0;
  /// Told after every call that succeeded.
  virtual void addCall(const CallFacts &) {}

  // What only measurements change.

  /// Whether rows run step by step where the loop can be split. Else all rows that enter together run @forward, so that
  /// each waits for the deepest.
  virtual bool splitsLoop() const { return true; }
  /// Loop steps that rows of a request run at most, by position modulo their number; empty: no bound but the model's.
  /// It changes the function. Asked once, when the request is received.
  virtual std::vector<int64_t> getStepBounds(int64_t) const { return {}; }

private:
  RowOrdering ordering;
};

/// Drafts as many tokens as measured times of calls say that pay (Speculation.h).
class MeasuredPolicy : public EnginePolicy {
public:
  using EnginePolicy::EnginePolicy;
  int64_t draftsFor(const DraftFacts &facts) const override;
  void addCall(const CallFacts &call) override;

private:
  StepCosts costs;
};

/// Drafts up to a number of tokens, whatever calls take.
class FixedPolicy : public EnginePolicy {
public:
  explicit FixedPolicy(Order order, int64_t drafts = INT64_MAX) : EnginePolicy(order), drafts(drafts) {}
  int64_t draftsFor(const DraftFacts &facts) const override { return std::min(drafts, facts.mostRows - 1); }

private:
  int64_t drafts;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_POLICY_H
