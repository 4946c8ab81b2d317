// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing small files, with the reason where it fails.

#ifndef LARIAT_SUPPORT_FILES_H
#define LARIAT_SUPPORT_FILES_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace lariat {

/// Writes a file of this content over what was there.
llvm::Error writeFile(llvm::StringRef path, llvm::StringRef content);

} // namespace lariat

#endif // LARIAT_SUPPORT_FILES_H
