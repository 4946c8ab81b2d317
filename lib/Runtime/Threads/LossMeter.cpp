// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LossMeter.h"

#include <algorithm>
#include <sys/resource.h>

using namespace lariat::runtime;

/// How much is measured at once: some slices of time of the system's scheduler, so that the short work of a daemon does
/// not look like a program that stays.
static constexpr Nanoseconds kMeasuredTime = std::chrono::milliseconds(20);
/// A longer time between two tasks is not a step of the same call.
static constexpr Nanoseconds kGap = std::chrono::microseconds(100);
/// After so long a time between two tasks what was measured before says nothing any more.
static constexpr Nanoseconds kPause = std::chrono::milliseconds(20);

LossMeter::Totals LossMeter::read(const Member &member) {
  timespec used = {};
  clock_gettime(member.clock, &used);
  return {std::chrono::seconds(used.tv_sec) + Nanoseconds(used.tv_nsec),
          Nanoseconds(member.tally->given.load(std::memory_order_relaxed)),
          Nanoseconds(member.tally->waited.load(std::memory_order_relaxed))};
}

/// Times that a thread of the process waited for a page to be read.
static int64_t countPageReads() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_majflt;
}

void LossMeter::open(const std::vector<Member> &members, Nanoseconds now) {
  isOpen = true;
  caller = pthread_self();
  atOpening.clear();
  for (const Member &member : members)
    atOpening.push_back(read(member));
  openedAt = now;
  gaps = {};
  pageReads = countPageReads();
}

void LossMeter::begin(Nanoseconds now) {
  if (Nanoseconds gap = now - lastEnd; gap > kPause)
    isOpen = false;
  else if (gap > kGap)
    gaps += gap;
}

std::optional<Losses> LossMeter::end(const std::vector<Member> &members, Nanoseconds now) {
  lastEnd = now;
  if (!isOpen || members.size() != atOpening.size() || !pthread_equal(caller, pthread_self())) {
    open(members, now);
    return std::nullopt;
  }
  if (now - openedAt - gaps < kMeasuredTime)
    return std::nullopt;
  if (countPageReads() != pageReads) { // weights come from their file: threads wait, but not for a processor
    open(members, now);
    return std::nullopt;
  }
  Losses losses{.wall = now - openedAt - gaps};
  for (size_t index = 0; index < members.size(); ++index) {
    Totals before = atOpening[index], after = read(members[index]);
    bool isCaller = index == 0;
    // Outside tasks the caller is not the pool's, and the others give their processors away.
    Nanoseconds lost =
        (isCaller ? losses.wall : now - openedAt) - (after.used - before.used) - (after.given - before.given);
    lost = std::max(lost, Nanoseconds::zero());
    if (isCaller) {
      losses.caller = lost;
      losses.waited = after.waited - before.waited;
    } else {
      losses.others += lost;
    }
  }
  open(members, now);
  return losses;
}
