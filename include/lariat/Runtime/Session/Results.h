// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Results of requests to a session.

#ifndef LARIAT_RUNTIME_SESSION_RESULTS_H
#define LARIAT_RUNTIME_SESSION_RESULTS_H

#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Engine/Engine.h"

#include <vector>

namespace lariat::runtime {

/// Row-major floats; no columns where the model has no such output.
struct FloatArray {
  AlignedBuffer memory;
  int64_t numRows = 0, numColumns = 0;

  const float *data() const { return reinterpret_cast<const float *>(memory.data()); }
};

/// Entries of one slot, the same in all layers of a cache.
struct SlotCount {
  int64_t computed = 0, filled = 0;
};

/// Entries that a sequence has in one cache.
struct CacheCount {
  int64_t cache = 0; ///< index in requests::RequestFacts::caches
  std::vector<SlotCount> slots;
};

/// Results of one sequence.
struct SequenceScores {
  FloatArray logits, hidden;
  std::vector<int32_t> steps;
  std::vector<CacheCount> caches;
};

/// A token that a call chose.
struct NewToken {
  int64_t sequence = 0;
  Choice choice;
  int32_t steps = 0; ///< loop steps that the row ran which chose it
};

/// The tokens of one sequence so far.
struct SequenceTokens {
  std::vector<int64_t> tokens;
  std::vector<int32_t> steps;
  Finish finish = Finish::Unfinished;
  std::vector<CacheCount> caches; ///< empty until it is finished
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_RESULTS_H
