// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Figures of a compilation as JSON, for people and for tests that compare configurations.

#include "lariat/Compiler/CompileStats.h"

#include "lariat/Support/Files.h"
#include "llvm/Support/FormatVariadic.h"

using namespace lariat;
namespace json = llvm::json;

json::Object StageSeconds::toJson() const {
  json::Object object;
  for (const auto &[stage, seconds] : stages)
    object[stage] = seconds;
  return object;
}

json::Object CompileStats::toJson() const {
  json::Object object{{"seconds", seconds.toJson()}};
  json::Object perTarget;
  for (const Target &target : targets)
    perTarget[target.isa] = json::Object{
        {"seconds", target.seconds.toJson()}, {"code_bytes", target.codeBytes}, {"file_bytes", target.fileBytes}};
  object["targets"] = std::move(perTarget);
  return object;
}

llvm::Error lariat::writeStats(const CompileStats &stats, llvm::StringRef path) {
  return writeFile(path, llvm::formatv("{0:2}\n", json::Value(stats.toJson())).str());
}
