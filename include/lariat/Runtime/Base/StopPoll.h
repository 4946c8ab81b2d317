// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Polls whether a request should stop while it runs. Asking may take the lock of an interpreter, so it is done
// between calls of compiled code, and within one at most once every kStopInterval.

#ifndef LARIAT_RUNTIME_BASE_STOPPOLL_H
#define LARIAT_RUNTIME_BASE_STOPPOLL_H

#include <chrono>
#include <functional>
#include <string_view>

namespace lariat::runtime {

/// Returns true to stop the request.
using StopQuestion = std::function<bool()>;

/// The error of a request that was stopped.
inline constexpr std::string_view kStoppedMessage = "the request was stopped";

inline constexpr std::chrono::milliseconds kStopInterval(50);

/// For one thread at a time.
class StopPoll {
public:
  using Time = std::chrono::steady_clock::time_point;

  explicit StopPoll(StopQuestion question) : question(std::move(question)) {}

  /// Asks, and remembers a yes: the question is not asked again.
  bool ask() {
    stopped = stopped || (question && question());
    last = std::chrono::steady_clock::now();
    return stopped;
  }
  /// As ask(), but asks only if kStopInterval has passed since the last time.
  bool askAt(Time now) { return stopped || (now - last >= kStopInterval && ask()); }
  bool isStopped() const { return stopped; }

private:
  StopQuestion question;
  Time last = std::chrono::steady_clock::now();
  bool stopped = false;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_STOPPOLL_H
