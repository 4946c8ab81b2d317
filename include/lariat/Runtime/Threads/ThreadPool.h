// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Threads that run one task together. Thread 0 is the caller; the others are named, wait for the next task by
// spinning, then by yielding, then asleep. Not all of them take part in every task: never more than the process may use
// processors (affinity, quotas of control groups; looked at again and again), and fewer while other programs keep some
// from their processors, since a task is as fast as its slowest thread. A pool that takes all cores ties each thread to
// a processor while no other program wants one. Models with the same number of threads share a pool. A task computes
// with the default floating-point mode on every thread: round to nearest, no flushing of subnormal numbers.

#ifndef LARIAT_RUNTIME_THREADS_THREADPOOL_H
#define LARIAT_RUNTIME_THREADS_THREADPOOL_H

#include "lariat/Runtime/Base/Status.h"

#include <chrono>
#include <cstdint>
#include <memory>

namespace lariat::runtime {

/// Threads that a pool has when nobody says: one per core that this process may use.
int64_t getDefaultNumThreads();

inline constexpr int64_t kMaxThreads = 1024;

class ThreadPool {
public:
  /// What each of the threads that take part runs: `thread` of `numThreads`.
  using Task = void (*)(void *context, int64_t thread, int64_t numThreads, ThreadPool &pool);

  /// The pool of this process with so many threads.
  static Expected<std::shared_ptr<ThreadPool>> get(int64_t numThreads, bool pin);
  ~ThreadPool();

  /// The most threads that take part in a task.
  int64_t getNumThreads() const { return numThreads; }

  /// The calling thread has the pool for itself, tied to a processor if the others are, and in the default
  /// floating-point mode; both are put back as they were. Moving a thread takes some microseconds, so who makes many
  /// calls in a row takes a lease around them: a lease inside another of the same pool and thread does nothing. Others
  /// wait meanwhile.
  class Lease {
  public:
    explicit Lease(ThreadPool &pool);
    ~Lease();
    Lease(const Lease &) = delete;
    Lease &operator=(const Lease &) = delete;

  private:
    struct Saved;
    ThreadPool &pool;
    std::unique_ptr<Saved> saved;
  };

  /// Runs `task` on the threads that take part and waits for all; returns when that was. The caller holds a lease. A
  /// task that thread 0 of another one runs on the same pool is its alone.
  std::chrono::steady_clock::time_point run(Task task, void *context);
  /// Waits for all threads of the running task; called by each of them, the same number of times.
  void barrier(int64_t thread);

private:
  struct Shared;
  ThreadPool(int64_t numThreads, bool pin);
  Status start();
  void work(int64_t thread);

  int64_t numThreads;
  bool pin;
  std::unique_ptr<Shared> shared;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_THREADS_THREADPOOL_H
