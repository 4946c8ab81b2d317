// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How far a compilation is, for whoever waits for it.

#ifndef LARIAT_COMPILER_PROGRESS_H
#define LARIAT_COMPILER_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <functional>
#include <string>

namespace lariat {

/// Tells a listener of stages as they begin, and of what is done within one some ten times a second.
class Progress {
public:
  struct Report {
    llvm::StringRef stage; ///< read, kernels, code, weights, checksums
    int64_t done, total;   ///< bytes of weights, targets of code; zero where a stage has no parts
  };
  using Listener = std::function<void(const Report &)>;

  Progress() = default;
  explicit Progress(Listener listener) : listener(std::move(listener)) {}

  void begin(llvm::StringRef name, int64_t parts = 0) {
    stage = name.str();
    total = parts;
    tell(0);
  }

  /// Cheap where the last report was not long ago.
  void reach(int64_t done) {
    if (listener && (done == total || Clock::now() - last >= std::chrono::milliseconds(100)))
      tell(done);
  }

private:
  using Clock = std::chrono::steady_clock;

  void tell(int64_t done) {
    if (listener)
      listener({stage, done, total});
    last = Clock::now();
  }

  Listener listener;
  std::string stage;
  int64_t total = 0;
  Clock::time_point last;
};

} // namespace lariat

#endif // LARIAT_COMPILER_PROGRESS_H
