// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. How far ahead of its verified tokens a sequence drafts. A row drafts its next token from
// where it is after some of its loop steps and runs on; the drafted token enters at once, and is verified when the row
// that drafted it has left. Rows of one sequence so follow each other through the loop in one call each tick, and steps
// that would read the block again for every token read it once for several.
//
// With k rows of a sequence in the loop beside o others, a tick runs U + o steps that count, U = 1 + a + ... + a^(k-1)
// for acceptance a, and takes the time of a call of o + k rows. @coda runs for the (o + U)/R rows that leave in a tick,
// and for k/R that draft. Both are in one call where they come in the same tick, as they do if a row drafts when one
// leaves, so beside the calls of (o + k)/R ticks, or of each tick, only drafts after one that was taken back take a
// call of their own. A row drafts no sooner than after r steps, so R/r rows at most are in the loop; where that is no
// whole number, the last of them runs in a share of the ticks, and each draft comes between rows that leave.
// The k is chosen for which a step that counts takes least. With one row there are no drafts: that is best where few
// are accepted, where rows of others fill the calls so that another row costs what it brings, or where @coda costs more
// than the steps that are saved.

#ifndef LARIAT_RUNTIME_ENGINE_SPECULATION_H
#define LARIAT_RUNTIME_ENGINE_SPECULATION_H

#include <cstdint>
#include <map>

namespace lariat::runtime {

/// The share of a sequence's recent drafts that were accepted; 3/4 before there are any.
class Acceptance {
public:
  void add(bool isAccepted);
  double get() const { return accepted / drafted; }

private:
  double accepted = 3, drafted = 4;
};

/// After how many of its `loops` steps a row drafts.
struct DraftSteps {
  int64_t steps, loops;
  /// Rows of one sequence that can be in the loop at once, one behind the other.
  double getRows() const { return static_cast<double>(loops) / static_cast<double>(steps); }
};

/// Recent minimum time of a function's calls in seconds, by number of rows.
class CallCosts {
public:
  void add(int64_t rows, double seconds);
  /// Seconds of a call of so many rows, 0 before any was added. Interpolated between numbers of rows that were seen;
  /// the largest seen serves beyond, so that larger calls are tried.
  double get(double rows) const;

private:
  std::map<int64_t, double> least;
};

/// Times of calls without rows of prompts.
struct StepCosts {
  CallCosts core, coda;

  /// How many rows of a sequence to have in the loop, 1 to `most`: the number with the least time per step that counts.
  int64_t chooseRows(double acceptance, int64_t most, int64_t others, DraftSteps draft) const;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_SPECULATION_H
