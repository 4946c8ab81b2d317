// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Waiting for another thread: by spinning, by yielding the processor, by sleeping in the kernel, in this
// order.

#ifndef LARIAT_LIB_RUNTIME_THREADS_WAITING_H
#define LARIAT_LIB_RUNTIME_THREADS_WAITING_H

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace lariat::runtime {

using Nanoseconds = std::chrono::nanoseconds;

/// Time since some moment in the past, of the steady clock.
inline Nanoseconds readClock() { return std::chrono::steady_clock::now().time_since_epoch(); }

inline void relaxProcessor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex is the atomic itself");

/// Sleeps while `word` is `value`; may wake for no reason.
inline void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

/// Wakes all that sleep on `word`.
inline void wakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

/// How long a waiting thread spins and then yields before it sleeps.
struct WaitPolicy {
  uint32_t spins;
  Nanoseconds yielding;
};

/// Processors to spare: some ten microseconds of spinning, and no sleep before a wait is longer than what lies between
/// two tasks of a call or two calls of a request.
inline constexpr WaitPolicy kCalmWait{.spins = 2'000, .yielding = std::chrono::microseconds(1000)};
/// Other programs want the processors: who sleeps early lets the system move threads, and is served early afterwards.
inline constexpr WaitPolicy kCrowdedWait{.spins = 200, .yielding = std::chrono::microseconds(20)};

/// A yield that takes longer gave the processor to another thread.
inline constexpr Nanoseconds kLongYield = std::chrono::microseconds(20);

/// What the waits of one thread came to. Written by that thread, read by the one that judges.
struct WaitTally {
  /// Time without a processor, given away while there was nothing to do.
  std::atomic<int64_t> given = 0;
  /// Time of waits beyond spinning.
  std::atomic<int64_t> waited = 0;

  void add(Nanoseconds newGiven, Nanoseconds newWaited) {
    given.store(given.load(std::memory_order_relaxed) + newGiven.count(), std::memory_order_relaxed);
    waited.store(waited.load(std::memory_order_relaxed) + newWaited.count(), std::memory_order_relaxed);
  }
};

/// A word that threads wait on. A sleeper says so in `numAsleep` before it looks at the word a last time, and who
/// changes the word looks at `numAsleep` afterwards, both sequentially consistent: one of the two sees the other, so no
/// wake-up is lost and no lock is taken.
struct WaitWord {
  alignas(64) std::atomic<uint32_t> value = 0;
  /// Apart from the value, whose line belongs to those that spin on it: looking here costs nothing while nobody sleeps.
  alignas(64) std::atomic<uint32_t> numAsleep = 0;
  std::atomic<int64_t> wokenAt = 0; ///< by readClock

  /// To be called after a change of the value by a sequentially consistent operation.
  void wakeSleepers() {
    if (numAsleep.load(std::memory_order_seq_cst) == 0)
      return;
    wokenAt.store(readClock().count(), std::memory_order_relaxed);
    wakeAll(value);
  }

  /// Waits until `isOver(value)`, and sees what was written before the value was.
  template <typename IsOver>
  void await(IsOver isOver, const WaitPolicy &policy, WaitTally &tally) {
    for (uint32_t spin = 0; spin < policy.spins; ++spin) {
      if (isOver(value.load(std::memory_order_acquire)))
        return;
      relaxProcessor();
    }
    Nanoseconds begin = readClock(), given{};
    if (!yieldUntil(isOver, begin, policy.yielding, given))
      sleepUntil(isOver, given);
    tally.add(given, readClock() - begin);
  }

private:
  template <typename IsOver>
  bool yieldUntil(IsOver isOver, Nanoseconds begin, Nanoseconds most, Nanoseconds &given) {
    for (Nanoseconds now = begin; now - begin < most;) {
      sched_yield();
      Nanoseconds before = std::exchange(now, readClock());
      if (isOver(value.load(std::memory_order_acquire)))
        return true; // however long it took: this thread was wanted before it came back
      if (now - before > kLongYield)
        given += now - before;
    }
    return false;
  }

  template <typename IsOver>
  void sleepUntil(IsOver isOver, Nanoseconds &given) {
    numAsleep.fetch_add(1, std::memory_order_seq_cst);
    for (uint32_t found; !isOver(found = value.load(std::memory_order_seq_cst));) {
      Nanoseconds begin = readClock();
      sleepWhile(value, found);
      // From being woken on, the thread lacked a processor.
      Nanoseconds end = readClock(), woken(wokenAt.load(std::memory_order_relaxed));
      given += (woken > begin ? std::min(woken, end) : end) - begin;
    }
    numAsleep.fetch_sub(1, std::memory_order_relaxed);
  }
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_THREADS_WAITING_H
