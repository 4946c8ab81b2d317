// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What an engine did: by function, by depth, by slot of a cache, over ticks. Kept where
// EngineOptions::keepsProfile asks for it; its memory is bounded however long the engine runs.
//
// Seconds of a call of @core or @fill are shared among the depths of its rows by their number. A call of @forward runs
// all loop steps of its rows, so its seconds belong to no depth, and its rows count at each depth below their steps.
// Rows that a request computes again, after it gave its pages back, count again.

#ifndef LARIAT_RUNTIME_ENGINE_PROFILE_H
#define LARIAT_RUNTIME_ENGINE_PROFILE_H

#include "lariat/Runtime/Call/Call.h"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace lariat::runtime {

/// The functions that an engine calls; Whole is @forward.
enum class CalledFunction { Prelude, Core, Fill, Coda, Whole };
inline constexpr size_t kNumCalledFunctions = 5;

/// Calls of one function.
struct FunctionProfile {
  int64_t calls = 0, rows = 0;
  int64_t promptRows = 0; ///< rows of prompts among them
  double seconds = 0;
  LaunchCounts launches;
};

/// What happened at one depth.
struct DepthProfile {
  int64_t rows = 0;       ///< rows that ran this depth, without those that its router did not keep
  int64_t promptRows = 0; ///< rows of prompts among them
  int64_t filledRows = 0; ///< rows that had left the loop and got entries of their own here
  double seconds = 0;     ///< of @core
  double fillSeconds = 0;
};

/// Numbers of rows that got their results, indexed by the loop steps they ran.
struct StepCounts {
  std::vector<int64_t> generated, prompt;
};

/// Entries of one slot, over all sequences of the engine. Largest values are those at ends of ticks, before requests
/// end.
struct SlotProfile {
  SlotUse now;
  int64_t peakEntries = 0, peakPages = 0;
};

struct CacheProfile {
  std::vector<SlotProfile> slots;
  int64_t liveBytes = 0, pageBytes = 0; ///< now
  int64_t peakLiveBytes = 0, peakPageBytes = 0;
};

/// A stretch of ticks that ran rows: sums over them, and from `running` on the largest values.
struct TickRecord {
  int64_t ticks = 0;
  double seconds = 0;
  std::array<int64_t, kNumCalledFunctions> rows = {}; ///< by function
  std::vector<int64_t> depths;                        ///< rows that ran each depth
  int64_t promptRows = 0;                             ///< of those of @prelude or @forward
  int64_t tokens = 0;                                 ///< that requests got
  int64_t running = 0, waiting = 0;                   ///< requests
  int64_t liveBytes = 0, pageBytes = 0;
};

struct EngineProfile {
  /// Most records; when there are so many, two neighbours become one.
  static constexpr size_t kMaxRecords = 1024;

  std::string isa;
  int64_t numThreads = 0, maxRows = 0;
  int64_t ticks = 0;  ///< ticks that ran rows
  double seconds = 0; ///< wall-clock seconds of these ticks
  int64_t tokens = 0; ///< tokens that requests got
  int64_t preemptions = 0;
  std::array<FunctionProfile, kNumCalledFunctions> functions = {};
  std::vector<DepthProfile> depths;
  StepCounts steps;
  std::vector<CacheProfile> caches; ///< in the order of the manifest
  int64_t ticksPerRecord = 1;       ///< ticks of each record but the last
  std::vector<TickRecord> records;
};

/// Private to the engine: keeps a profile.
class Profiler {
public:
  /// A call that succeeded.
  void addCall(CalledFunction called, std::span<const Row> rows, double seconds, const LaunchCounts &launches);
  /// A row that a call of @core kept. `isStoringKV`: it had left, and ran for its keys and values only.
  void addStep(const Row &row, bool isStoringKV);
  /// A row that @coda or @forward gave its result.
  void addResult(const Row &row, int64_t steps, CalledFunction called);
  /// Requests, and what caches hold for them, once all rows of a tick have run and before any request ends.
  void addUse(const std::vector<CacheUse> &use, int64_t running, int64_t waiting);
  void endTick(double seconds, int64_t tokens);

  /// The profile so far, with `use`, which is what caches hold now.
  EngineProfile getProfile(const std::vector<CacheUse> &use) const;

private:
  DepthProfile &at(int64_t depth);
  void addRow(int64_t depth, bool isOfPrompt);

  EngineProfile profile;
  TickRecord open; ///< the last record, while it has fewer ticks than the others
  TickRecord tick; ///< the one at hand
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_PROFILE_H
