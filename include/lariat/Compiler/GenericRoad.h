// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bodies of the slow road, by the reference lowering.

#ifndef LARIAT_COMPILER_GENERICROAD_H
#define LARIAT_COMPILER_GENERICROAD_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

namespace lariat {

/// Takes the functions on tensors that kernel.generic calls, and the states, out of a module. Returns the functions in
/// LLVM's dialect, with a C interface each: they do not write into their arguments, and never free memory. The states'
/// sizes are left as an attribute of the module.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> lowerGenericFunctions(mlir::ModuleOp module);

/// Adds a copy of those to a module that is in LLVM's dialect too; whatever one of both declares the other may define.
llvm::Error addGenericFunctions(mlir::ModuleOp module, mlir::ModuleOp functions);

} // namespace lariat

#endif // LARIAT_COMPILER_GENERICROAD_H
