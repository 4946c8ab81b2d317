// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pinned threads that start together. A thread waits by spinning: waking a parked one costs more than a small sample
// takes.

#include "Threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace lariat::limits {

namespace {

using Clock = std::chrono::steady_clock;

struct Span {
  Clock::time_point start, end;
};

} // namespace

#if defined(__linux__)

static std::vector<int> usableProcessors() {
  cpu_set_t set;
  std::vector<int> found;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &set))
        found.push_back(processor);
  return found;
}

static void pinTo(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(0, sizeof(set), &set); // an unpinned thread only widens the spread of the samples
}

#else

static std::vector<int> usableProcessors() {
  return std::vector<int>(std::max(1u, std::thread::hardware_concurrency()), 0);
}
static void pinTo(int) {}

#endif

int numUsableProcessors() { return std::max<int>(1, static_cast<int>(usableProcessors().size())); }

double timeOnThreads(int numThreads, const std::function<void(int)> &prepare, const std::function<void(int)> &work) {
  const std::vector<int> processors = usableProcessors();
  std::vector<Span> spans(numThreads);
  std::atomic<int> numReady = 0;
  std::vector<std::thread> threads;
  threads.reserve(numThreads);
  for (int thread = 0; thread < numThreads; ++thread)
    threads.emplace_back([&, thread] {
      if (!processors.empty())
        pinTo(processors[thread % processors.size()]);
      prepare(thread);
      ++numReady;
      while (numReady.load(std::memory_order_acquire) < numThreads)
        ;
      spans[thread].start = Clock::now();
      work(thread);
      spans[thread].end = Clock::now();
    });
  for (std::thread &thread : threads)
    thread.join();
  Clock::time_point start = spans[0].start, end = spans[0].end;
  for (const Span &span : spans) {
    start = std::min(start, span.start);
    end = std::max(end, span.end);
  }
  return std::chrono::duration<double>(end - start).count();
}

} // namespace lariat::limits
