// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is announced to each thread that takes part by raising its own word; the others sleep on theirs. The barrier
// counts arrivals and raises `generation` when all are there. Who takes part is decided by the caller between tasks and
// written before the announcement, so it is one number for all in a task.

#include "lariat/Runtime/Threads/ThreadPool.h"

#include "ActiveThreads.h"
#include "LossMeter.h"
#include "Processors.h"
#include "Waiting.h"
#include "lariat/Runtime/Base/FloatingPoint.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace lariat::runtime;

/// How often to look whether the process may still use the same processors.
static constexpr Nanoseconds kLookTime = std::chrono::milliseconds(100);

namespace {

struct Member {
  WaitWord announced; ///< number of tasks
  WaitTally tally;
};

} // namespace

struct ThreadPool::Shared {
  explicit Shared(int64_t numThreads) : members(numThreads), active(numThreads) {}

  // Written by the caller before announcing, read by the others after it.
  Task task = nullptr;
  void *context = nullptr;
  int64_t numActive = 1; ///< threads that take part in the task
  WaitPolicy waiting = kCalmWait;
  bool stop = false;

  WaitWord numDone;
  WaitWord generation;
  alignas(64) std::atomic<uint32_t> numArrived = 0;

  std::vector<Member> members;    ///< 0: the caller
  std::vector<pthread_t> threads; ///< of all members but the caller
  pid_t process = getpid();

  // Guarded by `leased`.
  std::mutex leased;
  ActiveThreads active;
  LossMeter meter;
  std::vector<LossMeter::Member> measured; ///< who takes part
  Nanoseconds lastLook{};
  ProcessorSet processors;              ///< to tie each thread to; empty: none ever is
  Affinity allowed;                     ///< of threads that are not tied
  bool isTied = false;                  ///< whether threads but the caller are
  std::optional<Affinity> callerBefore; ///< where the caller was before it was tied; none: it is not

  void announce(int64_t numMembers);
  void tie();
  void tieCaller();
  void untieCaller();
  void untie();
  void look(Nanoseconds now);
  void prepare(Nanoseconds now);
  void conclude(Nanoseconds now);
};

//===----------------------------------------------------------------------===//
// Life
//===----------------------------------------------------------------------===//

int64_t lariat::runtime::getDefaultNumThreads() {
  int64_t cores = std::min(countCores(Affinity::read().list()), readTimeQuota());
  return std::clamp<int64_t>(cores, 1, kMaxThreads);
}

ThreadPool::ThreadPool(int64_t numThreads, bool pin)
    : numThreads(numThreads), pin(pin), shared(std::make_unique<Shared>(numThreads)) {}

ThreadPool::~ThreadPool() {
  if (shared->process != getpid())
    return; // a child of fork: its parent's threads are not here
  shared->stop = true;
  shared->announce(static_cast<int64_t>(shared->threads.size()) + 1);
  for (pthread_t thread : shared->threads)
    pthread_join(thread, nullptr);
}

Status ThreadPool::start() {
  shared->allowed = Affinity::read();
  ProcessorSet allowed = shared->allowed.list();
  auto numAllowed = static_cast<int64_t>(allowed.size());
  // A pool that leaves processors to others lets the system choose: another pool would be tied to the same ones.
  if (pin && numThreads > 1 && numThreads <= numAllowed && numThreads >= countCores(allowed))
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
  if (failure == 0)
    shared->look(readClock());
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
  leased.push_back(&pool);
  if (pool.numThreads == 1)
    return; // shares nothing
  pool.shared->leased.lock();
  if (pool.shared->isTied)
    pool.shared->tieCaller();
}

ThreadPool::Lease::~Lease() {
  if (!saved)
    return;
  std::erase(getLeased(), &pool);
  if (pool.numThreads > 1) {
    pool.shared->untieCaller();
    pool.shared->leased.unlock();
  }
  writeFloatingPoint(saved->mode);
}

//===----------------------------------------------------------------------===//
// Processors
//===----------------------------------------------------------------------===//

void ThreadPool::Shared::tieCaller() {
  Affinity before = Affinity::read();
  if (before.has(processors.front()) && Affinity::of(processors.front()).apply())
    callerBefore = before;
}

void ThreadPool::Shared::untieCaller() {
  if (callerBefore)
    callerBefore->apply();
  callerBefore.reset();
}

void ThreadPool::Shared::tie() {
  for (size_t index = 0; index < threads.size(); ++index)
    Affinity::of(processors[index + 1]).applyTo(threads[index]);
  isTied = true;
}

void ThreadPool::Shared::untie() {
  for (pthread_t thread : threads)
    allowed.applyTo(thread);
  isTied = false;
  untieCaller();
}

/// Looks where the process may run now: its processors and its quota may change at any time.
void ThreadPool::Shared::look(Nanoseconds now) {
  lastLook = now;
  for (size_t index = 0; isTied && index < threads.size(); ++index) {
    Affinity found = Affinity::readOf(threads[index]);
    if (found == Affinity::of(processors[index + 1]))
      continue;
    // Somebody else moved the thread, who is to be obeyed.
    isTied = false;
    processors.clear();
    allowed = found;
    if (callerBefore)
      callerBefore = found;
    untie();
  }
  // The calling thread may be one that its program tied.
  Affinity own = callerBefore ? *callerBefore : Affinity::read();
  Affinity all = own | (isTied || threads.empty() ? allowed : Affinity::readOf(threads.front()));
  active.setUsable(std::min<int64_t>(static_cast<int64_t>(all.list().size()), readTimeQuota()));
}

/// Before a task: how many threads take part in it.
void ThreadPool::Shared::prepare(Nanoseconds now) {
  if (now - lastLook > kLookTime)
    look(now);
  waiting = active.isCrowded() ? kCrowdedWait : kCalmWait;
  numActive = active.get();
  meter.begin(now);
  if (static_cast<int64_t>(measured.size()) == numActive)
    return;
  measured.clear();
  for (int64_t thread = 0; thread < numActive; ++thread) {
    clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
    if (thread > 0)
      pthread_getcpuclockid(threads[thread - 1], &clock);
    measured.push_back({clock, &members[thread].tally});
  }
  meter.restart();
}

/// After a task: what it lost decides about the next ones.
void ThreadPool::Shared::conclude(Nanoseconds now) {
  std::optional<Losses> losses = meter.end(measured, now);
  if (!losses)
    return;
  active.judge(*losses, now);
  if (processors.empty() || active.isCalm() == isTied)
    return;
  if (isTied)
    return untie();
  tie();
  tieCaller();
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

void ThreadPool::Shared::announce(int64_t numMembers) {
  for (int64_t thread = 1; thread < numMembers; ++thread) {
    members[thread].announced.value.fetch_add(1, std::memory_order_seq_cst);
    members[thread].announced.wakeSleepers();
  }
}

void ThreadPool::work(int64_t thread) {
  Member &self = shared->members[thread];
  WaitPolicy waiting = kCalmWait;
  for (uint32_t seen = 0;; ++seen) {
    self.announced.await([&](uint32_t value) { return value != seen; }, waiting, self.tally);
    if (shared->stop)
      return;
    writeFloatingPoint(kDefaultFloatingPoint);
    waiting = shared->waiting;
    auto others = static_cast<uint32_t>(shared->numActive - 1);
    shared->task(shared->context, thread, shared->numActive, *this);
    if (shared->numDone.value.fetch_add(1, std::memory_order_seq_cst) + 1 == others)
      shared->numDone.wakeSleepers();
  }
}

/// The pool whose task the calling thread runs as thread 0, and whether it runs another of the same pool inside.
static thread_local const ThreadPool *runningPool = nullptr;
static thread_local bool isInside = false;

std::chrono::steady_clock::time_point ThreadPool::run(Task task, void *context) {
  if (numThreads == 1 || runningPool == this) {
    bool wasInside = std::exchange(isInside, runningPool == this);
    task(context, /*thread=*/0, /*numThreads=*/1, *this);
    isInside = wasInside;
    return std::chrono::steady_clock::now();
  }
  const ThreadPool *outer = std::exchange(runningPool, this);
  bool wasInside = std::exchange(isInside, false);
  shared->prepare(readClock());
  int64_t numActive = shared->numActive;
  if (numActive > 1) {
    shared->task = task;
    shared->context = context;
    shared->numDone.value.store(0, std::memory_order_relaxed);
    shared->announce(numActive);
  }
  task(context, /*thread=*/0, numActive, *this);
  if (numActive > 1) {
    auto others = static_cast<uint32_t>(numActive - 1);
    shared->numDone.await([&](uint32_t value) { return value == others; }, shared->waiting, shared->members[0].tally);
  }
  runningPool = outer;
  isInside = wasInside;
  auto end = std::chrono::steady_clock::now();
  shared->conclude(end.time_since_epoch());
  return end;
}

void ThreadPool::barrier(int64_t thread) {
  if (isInside || shared->numActive == 1)
    return;
  WaitWord &generation = shared->generation;
  uint32_t before = generation.value.load(std::memory_order_relaxed);
  if (shared->numArrived.fetch_add(1, std::memory_order_acq_rel) == static_cast<uint32_t>(shared->numActive - 1)) {
    shared->numArrived.store(0, std::memory_order_relaxed);
    generation.value.store(before + 1, std::memory_order_seq_cst);
    generation.wakeSleepers();
    return;
  }
  generation.await([&](uint32_t value) { return value != before; }, shared->waiting, shared->members[thread].tally);
}
