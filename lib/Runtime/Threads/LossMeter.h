// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Measures what tasks of a pool lose to other programs: a thread that neither used a processor nor gave it
// away was kept from it. One look costs a system call per thread and is taken every twenty milliseconds.

#ifndef LARIAT_LIB_RUNTIME_THREADS_LOSSMETER_H
#define LARIAT_LIB_RUNTIME_THREADS_LOSSMETER_H

#include "ActiveThreads.h"

#include <ctime>
#include <optional>
#include <pthread.h>
#include <vector>

namespace lariat::runtime {

class LossMeter {
public:
  /// A thread of a pool.
  struct Member {
    clockid_t clock; ///< of the processor time that it used
    const WaitTally *tally;
  };

  /// A task begins. What lies between two tasks is not lost.
  void begin(Nanoseconds now);
  /// A task of these threads, the calling one first, has ended. Gives losses when enough time was measured.
  std::optional<Losses> end(const std::vector<Member> &members, Nanoseconds now);
  /// Begins anew, with other threads.
  void restart() { isOpen = false; }

private:
  /// Totals of a thread at some moment.
  struct Totals {
    Nanoseconds used, given, waited;
  };
  static Totals read(const Member &member);
  void open(const std::vector<Member> &members, Nanoseconds now);

  bool isOpen = false;
  pthread_t caller = {};
  std::vector<Totals> atOpening;
  Nanoseconds openedAt{}, lastEnd{};
  Nanoseconds gaps{};    ///< between tasks
  int64_t pageReads = 0; ///< when it was opened
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_THREADS_LOSSMETER_H
