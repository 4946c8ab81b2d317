// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. How many threads of a pool take part in a task. Threads that meet at barriers are as fast as the slowest,
// and a thread whose processor serves another program stands still for milliseconds. So a pool never uses more threads
// than it may use processors, and where it lost much time of late to other programs it does with as many as it got
// processors for. From time to time it tries all again, less and less often while that fails.

#ifndef LARIAT_LIB_RUNTIME_THREADS_ACTIVETHREADS_H
#define LARIAT_LIB_RUNTIME_THREADS_ACTIVETHREADS_H

#include "Waiting.h"

#include <cstdint>

namespace lariat::runtime {

/// What tasks of some milliseconds lost to other programs.
struct Losses {
  Nanoseconds wall{};   ///< what the tasks took
  Nanoseconds caller{}; ///< of it, the calling thread had work and no processor
  Nanoseconds waited{}; ///< of it, the calling thread waited for others, beyond spinning
  Nanoseconds
      others{}; ///< sum over the other threads that took part: had work, or were to look for it, and no processor
};

class ActiveThreads {
public:
  explicit ActiveThreads(int64_t numThreads) : numThreads(numThreads), active(numThreads) {}

  int64_t get() const { return active; }
  /// Whether other programs took processors of late.
  bool isCrowded() const { return crowded; }
  /// Whether threads may be tied to processors: all take part and nobody else wants any.
  bool isCalm() const { return !crowded && active == numThreads; }

  void setUsable(int64_t processors);
  /// Draws conclusions from tasks that ended at `now`.
  void judge(const Losses &losses, Nanoseconds now);

private:
  int64_t getMost() const;
  void lower(const Losses &losses, Nanoseconds now);

  int64_t numThreads;
  int64_t usable = INT64_MAX; ///< processors
  int64_t active;
  bool crowded = false;
  Nanoseconds pause{};   ///< before all are tried again
  Nanoseconds nextTry{}; ///< when
  Nanoseconds lastLoss{};
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_THREADS_ACTIVETHREADS_H
