// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. How far ahead of its verified tokens a sequence drafts. A row drafts its next token from where it
// is after some of its loop steps and runs on; the drafted token enters at once, and is verified when the row that drafted
// it has left. Rows of one sequence so follow each other through the loop in one call each tick, and steps that would read
// the block again for every token read it once for several.
//
// With k rows of a sequence in the loop beside o others, a tick runs U + o steps that count, U = 1 + a + ... + a^(k-1) for
// acceptance a, and takes the time of a call of o + k rows, and, as each draft runs @coda once more in R ticks, (k-1)/R
// calls of @coda. The k is chosen for which a step that counts takes least. With one row there are no drafts: that is best
// where few are accepted, or where rows of others fill the calls so that another row costs what it brings.

#ifndef LARIAT_RUNTIME_ENGINE_SPECULATION_H
#define LARIAT_RUNTIME_ENGINE_SPECULATION_H

#include <cstdint>
#include <map>
#include <optional>

namespace lariat::runtime {

/// The share of drafts that are accepted, of one sequence; the last few dozen count. At first three of four.
class Acceptance {
public:
  void add(bool isAccepted);
  double get() const { return accepted / drafted; }

private:
  double accepted = 3, drafted = 4;
};

/// Seconds of calls without rows of prompts, of @core by its rows: the least of late.
class StepCosts {
public:
  void addCore(int64_t rows, double seconds);
  void addCoda(double seconds);
  /// 0 where nothing was added. Between counts that were seen in proportion; beyond them as if further rows were free, so
  /// that they are tried.
  double getCore(int64_t rows) const;
  /// Rows of a sequence in the loop, 1 to `most`, for which a step that counts takes least.
  int64_t chooseRows(double acceptance, int64_t most, int64_t others, int64_t loops) const;

private:
  std::map<int64_t, double> core;
  std::optional<double> coda;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_SPECULATION_H
