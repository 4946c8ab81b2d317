// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the model level to the kernel level. See ConversionPasses.td.

#ifndef LARIAT_CONVERSION_LARIATTOKERNEL_LARIATTOKERNEL_H
#define LARIAT_CONVERSION_LARIATTOKERNEL_LARIATTOKERNEL_H

#include "mlir/IR/BuiltinOps.h"

namespace lariat {

/// A module at the kernel level from one whose row sets are erased and whose loops are lowered. Errors name the op that
/// has no form.
llvm::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> convertLariatToKernel(mlir::ModuleOp module);

} // namespace lariat

#endif // LARIAT_CONVERSION_LARIATTOKERNEL_LARIATTOKERNEL_H
