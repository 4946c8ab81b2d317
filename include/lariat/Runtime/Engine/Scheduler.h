// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Which rows run in a tick; knows nothing of models. A row is a token at a position of a
// sequence on its way through the loop. Rows of a sequence are added by ascending position and leave in that order.
//
//   L1  a row runs depth d only if each earlier row of its sequence has run d, runs it in the same tick, or will never
//       write an entry for it
//   L3  rows of an atomic sequence run a depth together or not at all
//
// Time is the number of ticks so far. A row that can run waits at most R * ceil(N / M) ticks where N rows can run, M fit a
// tick and none runs more than R steps, whatever the order.

#ifndef LARIAT_RUNTIME_ENGINE_SCHEDULER_H
#define LARIAT_RUNTIME_ENGINE_SCHEDULER_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace lariat::runtime {

/// Who is first where not all fit.
enum class Order {
  Oldest,  ///< rows that came first; of those that came together, the deepest
  Fifo,    ///< rows that were ready first, so that all take turns
  Deepest, ///< rows that are deepest; of equal depth, those that came first
};

/// How far a row is.
enum class Phase {
  Entering, ///< has not run
  Active,   ///< runs the loop
  Owing,    ///< left the loop and owes entries for deeper steps
  Settled,  ///< neither runs nor owes
};

/// A row by sequence and place among the rows of that sequence that have not left.
struct ScheduledRow {
  int64_t sequence = 0;
  std::size_t place = 0;
};

struct FlightRow {
  int64_t position = 0, depth = 0;
  Phase phase = Phase::Entering;
  int64_t created = 0, ready = 0; ///< times
  bool chosen = false;            ///< runs in the tick at hand
};

class Scheduler {
public:
  Scheduler(Order order, int64_t maxRows) : order(order), maxRows(maxRows) {}

  /// Rows from `position` on. `atomic`: they run together, in a tick of their own size if need be.
  void add(int64_t sequence, int64_t position, int64_t count, bool atomic);
  /// Forgets all rows of a sequence.
  void drop(int64_t sequence);
  /// Drops the first `count` rows of a sequence, which must be settled.
  void leave(int64_t sequence, std::size_t count);
  /// Forgets all rows of a sequence but the first `count`.
  void truncate(int64_t sequence, std::size_t count);

  /// Rows of the next tick, at most `maxRows` unless one atomic group is larger; by sequence, then position. Empty only
  /// where no row can run.
  std::vector<ScheduledRow> choose();
  /// What came of a chosen row: its new depth and phase.
  void advance(const ScheduledRow &row, int64_t depth, Phase phase);
  /// Forgets the choice, so that another can be made in the same tick.
  void release();
  void endTick() { ++time; }

  int64_t getTime() const { return time; }
  /// Of a sequence, in order; until rows are added to it or leave it.
  std::span<const FlightRow> getRows(int64_t sequence) const;
  /// Rows that have not left, of all sequences.
  int64_t getNumRows() const { return numRows; }

private:
  struct Flight {
    std::vector<FlightRow> rows;
    bool atomic = false;
  };

  /// Whether the rows before allow a row its next step.
  static bool mayRun(const Flight &flight, std::size_t place);
  bool isBefore(const FlightRow &one, const FlightRow &other) const;

  Order order;
  int64_t maxRows, time = 0, numRows = 0;
  std::map<int64_t, Flight> flights;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_SCHEDULER_H
