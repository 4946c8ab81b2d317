// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors of a stream are asked for after it is closed: the last bytes may be the ones that do not fit.

#include "lariat/Support/Files.h"

#include "lariat/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

using namespace lariat;

llvm::Error lariat::writeFile(llvm::StringRef path, llvm::StringRef content) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << content;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  return code ? makeError("cannot write " + path + ": " + code.message()) : llvm::Error::success();
}
