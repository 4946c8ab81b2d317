// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: functions of the C library by way of the runtime.

#ifndef LARIAT_LIB_TARGET_CPU_RESOLVELIBRARY_H
#define LARIAT_LIB_TARGET_CPU_RESOLVELIBRARY_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace lariat::cpu {

/// Gives every function of the C library that the module may need a body that asks the runtime for it, so that an
/// object has no undefined symbols. Errors name a function that the runtime does not have.
llvm::Error resolveLibraryCalls(llvm::Module &module);

} // namespace lariat::cpu

#endif // LARIAT_LIB_TARGET_CPU_RESOLVELIBRARY_H
