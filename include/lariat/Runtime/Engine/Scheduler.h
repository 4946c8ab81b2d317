// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The rows in flight, and which of them run in a tick; knows nothing of models. A row is a
// token at a position of a sequence on its way through the loop. Rows of a sequence are added by ascending position,
// without gaps, and leave in that order. Choosing changes nothing: what came of a chosen row is told by `advance`.
//
//   L1  a row runs depth d only if each earlier row of its sequence has run d, runs it in the same tick, or will never
//       write an entry for it
//   L3  rows of an atomic sequence run a depth together or not at all
//
// Time is the number of ticks so far. A row that can run waits at most R * ceil(N / M) ticks where N rows can run, M
// fit a tick and none runs more than R steps, whatever the order.

#ifndef LARIAT_RUNTIME_ENGINE_SCHEDULER_H
#define LARIAT_RUNTIME_ENGINE_SCHEDULER_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace lariat::runtime {

/// Which rows run first where not all fit a tick.
enum class Order {
  Oldest,  ///< rows that came first; of those that came together, the deepest
  Fifo,    ///< rows that were ready first, so that all take turns
  Deepest, ///< rows that are deepest; of equal depth, those that came first
};

/// Where a row is on its way through the loop.
enum class RowProgress {
  Entering,  ///< has not run
  Active,    ///< runs the loop
  StoringKV, ///< left the loop; entries for deeper steps are still to be stored
  Settled,   ///< has left the loop, with all its entries
};

struct FlightRow {
  int64_t position = 0, depth = 0;
  RowProgress progress = RowProgress::Entering;
  int64_t created = 0, ready = 0; ///< times
};

/// A row of a tick, as it is when the tick begins.
struct ScheduledRow {
  int64_t sequence = 0, position = 0, depth = 0;
  RowProgress progress = RowProgress::Entering;

  bool operator==(const ScheduledRow &) const = default;
};

/// Rows of a sequence that join those in flight.
struct RowChunk {
  int64_t sequence = 0, position = 0, count = 0;
  bool isAtomic = false; ///< they run together, in a tick of their own size if need be

  bool operator==(const RowChunk &) const = default;
};

/// Whether `one` is chosen before `other` where not all fit.
using RowOrdering = bool (*)(const FlightRow &one, const FlightRow &other);
RowOrdering getOrdering(Order order);

class Scheduler {
public:
  explicit Scheduler(int64_t maxRows) : maxRows(maxRows) {}

  void add(const RowChunk &chunk);
  /// Forgets all rows of a sequence.
  void drop(int64_t sequence);
  /// Drops the first `count` rows of a sequence, which must be settled.
  void leave(int64_t sequence, std::size_t count);
  /// Forgets all rows of a sequence but the first `count`.
  void truncate(int64_t sequence, std::size_t count);

  /// Rows of the next tick once the chunks of `added`, one at most of a sequence, have joined: at most `maxRows` unless
  /// one atomic group is larger; by sequence, then position. Empty only where no row can run.
  std::vector<ScheduledRow> choose(RowOrdering isBefore, std::span<const RowChunk> added = {}) const;
  /// The rows that are asked for by sequence, position and depth, with their progress; nothing where they are not in
  /// flight or may not run together.
  std::optional<std::vector<ScheduledRow>> find(std::span<const ScheduledRow> rows,
                                                std::span<const RowChunk> added = {}) const;
  /// Sets the depth and progress of a row that ran.
  void advance(int64_t sequence, int64_t position, int64_t depth, RowProgress progress);
  void endTick() { ++time; }

  /// The rows of a sequence in flight, by position; valid until rows are added to it or leave it.
  std::span<const FlightRow> getRows(int64_t sequence) const;
  /// The row in flight at a position of a sequence.
  const FlightRow &getRow(int64_t sequence, int64_t position) const;
  /// Number of rows in flight, over all sequences.
  int64_t getNumRows() const { return numRows; }
  int64_t getMaxRows() const { return maxRows; }

private:
  struct Flight {
    std::vector<FlightRow> rows;
    bool isAtomic = false;
  };
  /// A row that may be chosen.
  struct Candidate {
    int64_t sequence = 0;
    FlightRow row;
    bool isAtomic = false, isChosen = false;
  };

  /// All rows that are not settled, by sequence, then position.
  std::vector<Candidate> listCandidates(std::span<const RowChunk> added) const;
  /// Whether the rows before allow one its next step (L1).
  static bool mayRun(const std::vector<Candidate> &candidates, std::size_t index);
  static std::vector<ScheduledRow> listChosen(const std::vector<Candidate> &candidates);

  int64_t maxRows, time = 0, numRows = 0;
  std::map<int64_t, Flight> flights;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_SCHEDULER_H
