// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs one piece of work on several pinned threads at once and times it from the first start to the last end.

#ifndef LARIAT_BENCH_LIMITS_THREADS_H
#define LARIAT_BENCH_LIMITS_THREADS_H

#include <functional>

namespace lariat::limits {

/// How many processors this process may run on.
int numUsableProcessors();

/// Seconds that `work(threadIndex)` takes on threads 0 to `numThreads - 1`, each on a processor of its own. `prepare`
/// runs on the same thread before, outside the time.
double timeOnThreads(int numThreads, const std::function<void(int)> &prepare, const std::function<void(int)> &work);

} // namespace lariat::limits

#endif // LARIAT_BENCH_LIMITS_THREADS_H
