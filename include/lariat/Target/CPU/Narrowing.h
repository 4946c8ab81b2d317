// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Machines without an instruction that narrows f32 to bf16 call a function for it, which not every compiler's library
// has.

#ifndef LARIAT_TARGET_CPU_NARROWING_H
#define LARIAT_TARGET_CPU_NARROWING_H

#include "llvm/IR/Module.h"

namespace lariat {

/// Defines that function in a module with values of bf16.
void defineNarrowing(llvm::Module &module);

} // namespace lariat

#endif // LARIAT_TARGET_CPU_NARROWING_H
