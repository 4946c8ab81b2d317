// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sentences of lib/Requests as errors of LLVM.

#ifndef LARIAT_REFERENCE_ERROR_H
#define LARIAT_REFERENCE_ERROR_H

#include "lariat/Runtime/Base/Status.h"
#include "lariat/Support/Error.h"

namespace lariat::reference {

/// The sentence of a Status that failed.
inline llvm::Error toError(const runtime::Error &error) { return makeError(error.message); }

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_ERROR_H
