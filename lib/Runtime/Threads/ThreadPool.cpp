// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is announced by raising `epoch`. A thread that sleeps has said so in `parked` before it looked at `epoch` a last
// time, and the caller looks at `parked` after raising `epoch`, so one of the two sees the other; no lock is taken.
// The barrier counts arrivals and raises `generation` when all are there.

#include "lariat/Runtime/Threads/ThreadPool.h"

#include "Processors.h"
#include "Waiting.h"
#include "lariat/Runtime/Base/FloatingPoint.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <tuple>
#include <vector>

using namespace lariat::runtime;

/// How long a thread waits for the next task before it parks: longer than what lies between two tasks of a call, or
/// between two calls of a request.
static constexpr std::chrono::microseconds kSpinTime(1000);

struct ThreadPool::Shared {
  // Written by the caller before `epoch`, read by the others after it.
  Task task = nullptr;
  void *context = nullptr;
  bool stop = false;

  alignas(64) std::atomic<uint32_t> epoch = 0;
  alignas(64) std::atomic<uint32_t> parked = 0;
  alignas(64) std::atomic<uint32_t> numDone = 0;
  alignas(64) std::atomic<uint32_t> numArrived = 0;
  alignas(64) std::atomic<uint32_t> generation = 0;

  std::mutex leased;
  ProcessorSet processors; ///< of each thread; empty: none is pinned
  std::vector<pthread_t> threads;
  pid_t process = getpid();

  void announce() {
    epoch.fetch_add(1, std::memory_order_seq_cst);
    if (parked.load(std::memory_order_seq_cst) != 0)
      wakeAll(epoch);
  }

  /// Waits until `epoch` is not `seen`.
  void awaitAnnouncement(uint32_t seen) {
    Patience patience;
    auto changed = [&] { return epoch.load(std::memory_order_acquire) != seen; };
    for (auto end = std::chrono::steady_clock::now() + kSpinTime; std::chrono::steady_clock::now() < end;)
      for (int look = 0; look < 64; ++look) {
        if (changed())
          return;
        patience.wait();
      }
    parked.fetch_add(1, std::memory_order_seq_cst);
    while (epoch.load(std::memory_order_seq_cst) == seen)
      sleepWhile(epoch, seen);
    parked.fetch_sub(1, std::memory_order_relaxed);
  }
};

//===----------------------------------------------------------------------===//
// Life
//===----------------------------------------------------------------------===//

int64_t lariat::runtime::getDefaultNumThreads() {
  int64_t cores = std::min(countCores(Affinity::read().list()), readTimeQuota());
  return std::clamp<int64_t>(cores, 1, kMaxThreads);
}

ThreadPool::ThreadPool(int64_t numThreads, bool pin)
    : numThreads(numThreads), pin(pin), shared(std::make_unique<Shared>()) {}

ThreadPool::~ThreadPool() {
  if (shared->process != getpid())
    return; // a child of fork: its parent's threads are not here
  shared->stop = true;
  shared->announce();
  for (pthread_t thread : shared->threads)
    pthread_join(thread, nullptr);
}

Status ThreadPool::start() {
  ProcessorSet allowed = Affinity::read().list();
  if (pin && numThreads > 1 && static_cast<int64_t>(allowed.size()) >= numThreads)
    shared->processors = orderByCore(allowed);
  struct Start {
    ThreadPool *pool;
    int64_t thread;
  };
  auto enter = [](void *memory) -> void * {
    std::unique_ptr<Start> start(static_cast<Start *>(memory));
    start->pool->work(start->thread);
    return nullptr;
  };
  // Signals are the host program's: its threads take them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = 0;
  for (int64_t thread = 1; thread < numThreads && failure == 0; ++thread) {
    auto *start = new Start{this, thread}; // the thread's, once there is one
    pthread_t handle = {};
    failure = pthread_create(&handle, nullptr, enter, start);
    if (failure != 0) {
      delete start;
      break;
    }
    pthread_setname_np(handle, ("lariat-" + std::to_string(thread)).c_str());
    shared->threads.push_back(handle);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failure == 0 ? Status::success()
                      : Status(makeSystemError("start thread", std::to_string(shared->threads.size() + 1), failure));
}

Expected<std::shared_ptr<ThreadPool>> ThreadPool::get(int64_t numThreads, bool pin) {
  if (numThreads < 1 || numThreads > kMaxThreads)
    return makeError(numThreads, " threads, expected 1 to ", kMaxThreads);
  static std::mutex mutex;
  static std::map<std::tuple<pid_t, int64_t, bool>, std::weak_ptr<ThreadPool>> pools;
  std::lock_guard lock(mutex);
  std::weak_ptr<ThreadPool> &known = pools[{getpid(), numThreads, pin}];
  if (std::shared_ptr<ThreadPool> pool = known.lock())
    return pool;
  std::shared_ptr<ThreadPool> pool(new ThreadPool(numThreads, pin));
  if (Status status = pool->start())
    return status.takeError();
  known = pool;
  return pool;
}

//===----------------------------------------------------------------------===//
// Lease
//===----------------------------------------------------------------------===//

struct ThreadPool::Lease::Saved {
  std::optional<Affinity> affinity; ///< none: was not changed
  FloatingPointMode mode = 0;
};

/// Pools that the calling thread has leased.
static std::vector<const ThreadPool *> &getLeased() {
  static thread_local std::vector<const ThreadPool *> leased;
  return leased;
}

ThreadPool::Lease::Lease(ThreadPool &pool) : pool(pool) {
  std::vector<const ThreadPool *> &leased = getLeased();
  if (std::ranges::find(leased, &pool) != leased.end())
    return;
  saved = std::make_unique<Saved>();
  saved->mode = readFloatingPoint();
  writeFloatingPoint(kDefaultFloatingPoint);
  if (pool.numThreads > 1)
    pool.shared->leased.lock(); // one thread shares nothing
  leased.push_back(&pool);
  if (pool.shared->processors.empty())
    return;
  int first = pool.shared->processors.front();
  Affinity before = Affinity::read();
  if (before.has(first) && Affinity::of(first).apply())
    saved->affinity = before;
}

ThreadPool::Lease::~Lease() {
  if (!saved)
    return;
  if (saved->affinity)
    saved->affinity->apply();
  std::erase(getLeased(), &pool);
  if (pool.numThreads > 1)
    pool.shared->leased.unlock();
  writeFloatingPoint(saved->mode);
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

void ThreadPool::work(int64_t thread) {
  if (!shared->processors.empty())
    Affinity::of(shared->processors[thread]).apply();
  for (uint32_t seen = 0;; ++seen) {
    shared->awaitAnnouncement(seen);
    if (shared->stop)
      return;
    writeFloatingPoint(kDefaultFloatingPoint);
    shared->task(shared->context, thread, *this);
    shared->numDone.fetch_add(1, std::memory_order_release);
  }
}

void ThreadPool::run(Task task, void *context) {
  if (numThreads == 1)
    return task(context, /*thread=*/0, *this);
  shared->task = task;
  shared->context = context;
  shared->numDone.store(0, std::memory_order_relaxed);
  shared->announce();
  task(context, /*thread=*/0, *this);
  auto others = static_cast<uint32_t>(numThreads - 1);
  for (Patience patience; shared->numDone.load(std::memory_order_acquire) != others;)
    patience.wait();
}

void ThreadPool::barrier() {
  if (numThreads == 1)
    return;
  uint32_t generation = shared->generation.load(std::memory_order_relaxed);
  if (shared->numArrived.fetch_add(1, std::memory_order_acq_rel) == static_cast<uint32_t>(numThreads - 1)) {
    shared->numArrived.store(0, std::memory_order_relaxed);
    shared->generation.store(generation + 1, std::memory_order_release);
    return;
  }
  for (Patience patience; shared->generation.load(std::memory_order_acquire) == generation;)
    patience.wait();
}
