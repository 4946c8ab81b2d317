// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What a caller asks of a session, and what it gets.

#ifndef LARIAT_RUNTIME_SESSION_REQUEST_H
#define LARIAT_RUNTIME_SESSION_REQUEST_H

#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Engine/Engine.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lariat::runtime {

/// How a request runs through the loop.
enum class Form { Forward, Lockstep, Staggered };

/// What every kind of request has.
struct Request {
  std::vector<std::vector<int64_t>> sequences;
  std::optional<int64_t> loops;
  std::optional<double> threshold; ///< of the exit rule; as declared without
  bool noExit = false;             ///< no row exits, whatever is declared
  std::optional<std::string> missing;
  int64_t prefix = 0;     ///< rows at the start of each sequence that see each other in both directions
  StopQuestion wantsStop; ///< asked between calls of compiled code, and now and then within one
};

/// Values of a state before the loop, float[numRows][width]; read until the request ends.
struct StateArray {
  const float *data = nullptr;
  int64_t numRows = 0, width = 0;
};

/// A part of the rows of a sequence.
struct Share {
  int64_t numerator = 0, denominator = 1;
};

struct ScoreRequest : Request {
  std::string mode = "score";                          ///< or "generate"
  std::optional<std::vector<StateArray>> initialState; ///< one per sequence
  std::optional<int64_t> chunk;                        ///< rows per sequence and call; as many as fit without
  std::optional<std::vector<Share>> capacity;          ///< that top_k keeps at each depth; as declared without
  Form form = Form::Forward;
};

struct GenerateRequest : Request {
  int64_t maxNewTokens = 0;
  SamplingOptions sampling;
  bool ignoreEos = false;
  /// Of the engine that runs the request. A row alone then runs step by step, so that seconds belong to depths.
  bool keepsProfile = false;
  std::vector<int64_t> stopTokens;  ///< that end a sequence, besides those of the model
  std::optional<int64_t> speculate; ///< loop steps after which rows draft, below `loops`; none: they do not
  std::optional<int64_t> drafts;    ///< most tokens ahead of verified ones; none: as many as pay
};

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
  int64_t cache = 0; ///< index in SessionFacts::caches
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
  int32_t steps = 0; ///< of the row that chose it
};

/// What one sequence has so far.
struct SequenceTokens {
  std::vector<int64_t> tokens;
  std::vector<int32_t> steps;
  Finish finish = Finish::Unfinished;
  std::vector<CacheCount> caches; ///< once it is finished
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_REQUEST_H
