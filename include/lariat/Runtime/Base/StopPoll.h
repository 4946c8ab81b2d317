// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Whether somebody wants a request to stop, asked while it runs. The answer may cost the lock of an interpreter,
// so it is asked for between calls of compiled code, and within one not more often than every kStopInterval.

#ifndef LARIAT_RUNTIME_BASE_STOPPOLL_H
#define LARIAT_RUNTIME_BASE_STOPPOLL_H

#include <chrono>
#include <functional>
#include <string_view>

namespace lariat::runtime {

/// True gives the request up.
using StopQuestion = std::function<bool()>;

/// The message of a request that was given up.
inline constexpr std::string_view kStoppedMessage = "the request was stopped";

inline constexpr std::chrono::milliseconds kStopInterval(50);

/// One thread at a time.
class StopPoll {
public:
  using Time = std::chrono::steady_clock::time_point;

  explicit StopPoll(StopQuestion question) : question(std::move(question)) {}

  /// Asks. Once the answer was yes it stays so.
  bool ask() {
    stopped = stopped || (question && question());
    last = std::chrono::steady_clock::now();
    return stopped;
  }
  /// The same, unless it was asked a short time before `now`.
  bool askAt(Time now) { return stopped || (now - last >= kStopInterval && ask()); }
  bool isStopped() const { return stopped; }

private:
  StopQuestion question;
  Time last = std::chrono::steady_clock::now();
  bool stopped = false;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_STOPPOLL_H
