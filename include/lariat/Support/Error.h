// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors as values with one sentence of text.

#ifndef LARIAT_SUPPORT_ERROR_H
#define LARIAT_SUPPORT_ERROR_H

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

namespace lariat {

inline llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

} // namespace lariat

#endif // LARIAT_SUPPORT_ERROR_H
