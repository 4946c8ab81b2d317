// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: what emitting and linking share.

#ifndef LARIAT_LIB_TARGET_CPU_SHAREDOBJECTPARTS_H
#define LARIAT_LIB_TARGET_CPU_SHAREDOBJECTPARTS_H

#include "lariat/Target/CPU/SharedObject.h"

#include <chrono>

namespace lariat::cpu {

/// Adds the seconds since the last lap to a list.
class StageClock {
public:
  explicit StageClock(llvm::SmallVectorImpl<std::pair<std::string, double>> &seconds) : seconds(seconds) {}

  void lap(llvm::StringRef stage) {
    auto now = std::chrono::steady_clock::now();
    seconds.emplace_back(stage.str(), std::chrono::duration<double>(now - last).count());
    last = now;
  }

private:
  llvm::SmallVectorImpl<std::pair<std::string, double>> &seconds;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// Bytes of all sections with instructions.
int64_t countCodeBytes(llvm::ArrayRef<char> object);

} // namespace lariat::cpu

#endif // LARIAT_LIB_TARGET_CPU_SHAREDOBJECTPARTS_H
