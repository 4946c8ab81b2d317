// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One entry per lowering between levels.

#ifndef LARIAT_CONVERSION_PASSES_TD
#define LARIAT_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertLariatToReference : Pass<"convert-lariat-to-reference", "::mlir::ModuleOp"> {
  let summary = "lower the model level naively to linalg, scf, tensor and memref";
  let description = [{
    The semantics every fast path is compared with. Needs erased row sets and lowered `recur`. A row set becomes
    `tensor<?x6xindex>` with one line (root, sequence, position, depth, flags, length of the sequence) per row, a row tensor an ordinary
    tensor, a weight an external `memref.global` (transposed where `linear` reads it), a cache or state a list of
    arguments that every function of the module receives after its own. Ops become calls of private functions, one
    per kind and shape, so code does not grow with the number of layers.
    Refused: an op of the dialect that has no lowering, or a policy that is not built yet.
    Rounding: defines it; sums ascend with their index, one accumulator each.
    Example: test/Conversion/LariatToReference/
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect", "::mlir::bufferization::BufferizationDialect"];
}

#endif // LARIAT_CONVERSION_PASSES_TD
