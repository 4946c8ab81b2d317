// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What the runtime keeps of one sequence between calls: its entries in every cache and its states. Made by
// Model::createSequence; gives its pages back when it goes. Calls and changes of sequences of one model may come from
// any thread: they wait for each other.

#ifndef LARIAT_RUNTIME_CALL_SEQUENCE_H
#define LARIAT_RUNTIME_CALL_SEQUENCE_H

#include "lariat/Runtime/Base/Status.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lariat::runtime {

struct ModelState;
class SequenceMemory;

/// Entries of one slot; all layers of a cache share them.
struct SlotUse {
  int64_t computed = 0; ///< of rows that ran
  int64_t filled = 0;   ///< written for rows that had stopped
  int64_t pages = 0;
};

/// Memory of one sequence in one cache.
struct CacheUse {
  std::vector<SlotUse> slots; ///< up to the deepest that was written
  int64_t liveBytes = 0;      ///< entries * bytes per entry: what the policy's formula counts
  int64_t pageBytes = 0;      ///< pages * bytes of a page

  /// Adds that of another sequence.
  void add(const CacheUse &other);
};

class Sequence {
public:
  ~Sequence();
  Sequence(const Sequence &) = delete;
  Sequence &operator=(const Sequence &) = delete;

  /// Drops the entries of positions from `position` on and returns pages that hold nothing else. With states, which
  /// cannot be taken back, only 0 is possible. So it is for positions among rows that other sequences share, where
  /// entries lie out of order.
  Status truncate(int64_t position);
  /// Says that the next rows, by position, have all their entries: a sequence under the same key may begin with them.
  void settle(std::span<const int64_t> tokens);
  /// Memory per cache, in the order of Manifest::caches; pages that others hold too count. Empty once the model is
  /// closed.
  std::vector<CacheUse> getUse() const;
  /// One more than the largest position that was in a call; 0 at the start.
  int64_t getLength() const;

private:
  friend class Model;
  friend class Runner;
  Sequence(std::shared_ptr<ModelState> model, std::unique_ptr<SequenceMemory> memory);

  std::shared_ptr<ModelState> model;
  std::unique_ptr<SequenceMemory> memory;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_CALL_SEQUENCE_H
