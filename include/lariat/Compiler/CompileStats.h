// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost of compiling: seconds per stage, bytes of code per ISA.

#ifndef LARIAT_COMPILER_COMPILESTATS_H
#define LARIAT_COMPILER_COMPILESTATS_H

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/JSON.h"

#include <chrono>
#include <map>
#include <string>

namespace lariat {

/// Seconds per stage, in the order in which stages first ended. Adds up where a stage runs several times.
class StageSeconds {
public:
  void add(llvm::StringRef stage, double seconds) { stages[stage.str()] += seconds; }
  llvm::json::Object toJson() const;

private:
  llvm::MapVector<std::string, double, std::map<std::string, unsigned>> stages;
};

/// Ends a stage at each call.
class StageTimer {
public:
  explicit StageTimer(StageSeconds &seconds) : seconds(seconds) {}

  void end(llvm::StringRef stage) {
    auto now = std::chrono::steady_clock::now();
    seconds.add(stage, std::chrono::duration<double>(now - last).count());
    last = now;
  }

private:
  StageSeconds &seconds;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

struct CompileStats {
  struct Target {
    std::string isa;
    StageSeconds seconds;
    int64_t codeBytes = 0, fileBytes = 0;
  };

  StageSeconds seconds; ///< of stages that run once, whatever the targets
  llvm::SmallVector<Target> targets;

  llvm::json::Object toJson() const;
};

/// Writes the figures as JSON.
llvm::Error writeStats(const CompileStats &stats, llvm::StringRef path);

} // namespace lariat

#endif // LARIAT_COMPILER_COMPILESTATS_H
