// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ActiveThreads.h"

#include <algorithm>
#include <cmath>

using namespace lariat::runtime;

/// The first pause before all threads are tried again, the longest, and how long no loss means that others are gone.
static constexpr Nanoseconds kFirstPause = std::chrono::milliseconds(100),
                             kLongestPause = std::chrono::milliseconds(1600),
                             kCalmTime = std::chrono::milliseconds(1000);
/// A smaller share of lost time is no reason for anything.
static constexpr double kLeastShare = 0.1;

/// The share of time in which no thread could go on: the caller stood still, or waited for another that did. What
/// others lost while nobody waited for them does not count, nor does waiting for a thread that computes.
static double getStalledShare(const Losses &losses) {
  Nanoseconds stalled = losses.caller + std::min(losses.waited, losses.others);
  return static_cast<double>(stalled.count()) / static_cast<double>(losses.wall.count());
}

int64_t ActiveThreads::getMost() const { return std::clamp<int64_t>(usable, 1, numThreads); }

void ActiveThreads::setUsable(int64_t processors) {
  bool hasAll = active == getMost();
  usable = processors;
  active = hasAll ? getMost() : std::min(active, getMost());
}

void ActiveThreads::lower(const Losses &losses, Nanoseconds now) {
  double lost = static_cast<double>((losses.caller + losses.others).count()) / static_cast<double>(losses.wall.count());
  auto served = static_cast<int64_t>(std::floor(static_cast<double>(active) - lost + 0.3));
  active = std::clamp<int64_t>(served, 1, active - 1);
  crowded = true;
  pause = std::clamp(2 * pause, kFirstPause, kLongestPause);
  nextTry = now + pause;
  lastLoss = now;
}

void ActiveThreads::judge(const Losses &losses, Nanoseconds now) {
  if (losses.wall <= Nanoseconds::zero())
    return;
  // With one thread less there is an n-th less to gain; half of that as a loss is too much, as n threads never are n
  // times as fast as one.
  double most = std::max(kLeastShare, 0.5 / static_cast<double>(active));
  if (active > 1 && getStalledShare(losses) > most)
    return lower(losses, now);
  if (active < getMost()) {
    if (crowded && now >= nextTry)
      active = getMost();
    return;
  }
  if (crowded && now - lastLoss > std::max(kCalmTime, 2 * pause)) {
    crowded = false;
    pause = {};
  }
}
