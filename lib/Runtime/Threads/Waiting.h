// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Waiting for another thread: by spinning, by giving the processor away, by sleeping in the kernel.

#ifndef LARIAT_LIB_RUNTIME_THREADS_WAITING_H
#define LARIAT_LIB_RUNTIME_THREADS_WAITING_H

#include <atomic>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lariat::runtime {

inline void relaxProcessor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// How long a thread that waits has waited. Spins for some ten microseconds, then yields, in the end sleeps a little
/// between looks, which also lets threads of lower priority run.
class Patience {
public:
  void wait() {
    ++count;
    if (count < kSpins)
      return relaxProcessor();
    if (count < kYields) {
      sched_yield();
      return;
    }
    timespec moment{.tv_sec = 0, .tv_nsec = 50'000};
    nanosleep(&moment, nullptr);
  }

private:
  static constexpr uint32_t kSpins = 2'000, kYields = 20'000;
  uint32_t count = 0;
};

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex is the atomic itself");

/// Sleeps while `word` is `value`; may wake for no reason.
inline void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

/// Wakes all that sleep on `word`.
inline void wakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_THREADS_WAITING_H
