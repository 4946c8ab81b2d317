// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a tool ends from outside: by SIGINT, SIGTERM or SIGHUP, or with the process that started it, however that ended.
// What it had not finished to write is removed then.

#ifndef LARIAT_SUPPORT_INTERRUPTION_H
#define LARIAT_SUPPORT_INTERRUPTION_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace lariat {

/// The environment variable in which a program gives its process id to a tool that is to end with it. A signal that the
/// system sends on the death of a parent would not do: it comes when the thread that started the tool ends.
inline constexpr const char *kParentVariable = "LARIAT_PARENT";

/// Takes the signals from now on, on a thread of its own. To be called first in `main`: threads that are there already
/// would take them instead.
void endWhenAsked();

/// A file or folder that is being written. It is removed when the tool is ended, or with this object unless it was
/// finished.
class Unfinished {
public:
  explicit Unfinished(llvm::StringRef path);
  ~Unfinished();
  Unfinished(const Unfinished &) = delete;
  Unfinished &operator=(const Unfinished &) = delete;

  /// Gives it its name by `publish`, during which the tool is not ended: what is there afterwards is whole.
  llvm::Error finish(llvm::function_ref<llvm::Error()> publish);

private:
  std::string path;
};

} // namespace lariat

#endif // LARIAT_SUPPORT_INTERRUPTION_H
