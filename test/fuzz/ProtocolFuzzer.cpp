// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Request lines to lariat-reference, answered for Inputs/model.mlir.

#include "Scratch.h"
#include "lariat/Reference/Protocol.h"
#include "llvm/ADT/StringExtras.h"

#include <unistd.h>

using namespace lariat::reference;

/// Never destroyed: at the end of the process what its compiler uses may be gone before it.
static Session &getSession() {
  static Session *session = [] {
    static const lariat::fuzz::Scratch scratch; // results are written where the process is
    if (chdir(scratch.getPath().c_str()) != 0)
      std::abort();
    return llvm::cantFail(Session::open(LARIAT_FUZZ_MODEL, "")).release();
  }();
  return *session;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  if (text.contains('/') || text.contains("\\u")) // no output outside the folder, however it is spelled
    return 0;
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n', /*MaxSplit=*/8);
  for (llvm::StringRef line : lines)
    answerLine(getSession(), line, [](const llvm::json::Value &) {});
  return 0;
}
