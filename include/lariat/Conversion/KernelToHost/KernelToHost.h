// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the calling thread does, in LLVM's dialect: addresses, services, tables of records, calls of the generic path.

#ifndef LARIAT_CONVERSION_KERNELTOHOST_KERNELTOHOST_H
#define LARIAT_CONVERSION_KERNELTOHOST_KERNELTOHOST_H

#include "lariat/Conversion/KernelCodegen.h"
#include "mlir/IR/BuiltinOps.h"

namespace lariat {

/// On entry functions, after: words of cells, and bytes of scratch memory per thread.
inline constexpr llvm::StringLiteral kCellsAttr = "kernel.cells";
inline constexpr llvm::StringLiteral kScratchBytesAttr = "kernel.scratch_bytes";

/// On the module, after: kernels in the table that it exports.
inline constexpr llvm::StringLiteral kNumKernelsAttr = "kernel.num_kernels";

/// On the module: layers and width of each lariat.state, for bodies of the generic path that take their memory.
inline constexpr llvm::StringLiteral kStatesAttr = "kernel.states";

/// Has the code of all kernels written, and writes that of the host: public functions become entry functions
/// `SYMBOL(!llvm.ptr)`. The module, which is the code generator's, has planned storage; private functions in it, bodies
/// of the generic path, are left alone. What comes out is of upstream dialects. Bodies of the generic path are called
/// by their C interface, `_mlir_ciface_CALLEE`.
mlir::LogicalResult lowerKernelsToHost(mlir::ModuleOp module, KernelCodegen &codegen);

} // namespace lariat

#endif // LARIAT_CONVERSION_KERNELTOHOST_KERNELTOHOST_H
