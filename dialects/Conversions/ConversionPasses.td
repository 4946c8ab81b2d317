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
    `tensor<?x6xindex>` with one line (root, sequence, position, depth, flags, length of the sequence) per row, a row
    tensor an ordinary tensor, a weight an external `memref.global` (transposed where `linear` reads it), a cache or
    state a list of arguments that every function of the module receives after its own. Ops become calls of private
    functions, one per kind and shape, so code does not grow with the number of layers.
    Refused: an op of the dialect that has no lowering.
    Rounding: defines it; sums ascend with their index, one accumulator each.
    Example: test/Conversion/LariatToReference/
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect", "::mlir::bufferization::BufferizationDialect"];
  let statistics = [Statistic<"numHelpers", "helpers", "functions written for ops of a kind and shape">];
}

def ExpandStridedCopies : Pass<"lariat-expand-strided-copies", "::mlir::func::FuncOp"> {
  let summary = "copy memory that is not contiguous by loops";
  let description = [{
    A `memref.copy` from or to a layout of its own becomes a `linalg.generic` that copies. Upstream lowers it to a call
    of `memrefCopy`, a function of a library that compiled models do not have. Contiguous copies stay.
    Rounding: unchanged. Example: test/Conversion/LariatToReference/expand-strided-copies.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
  let statistics = [Statistic<"numExpanded", "expanded", "copies written as loops">];
}

def ConvertLariatToKernel : Pass<"convert-lariat-to-kernel", "::mlir::ModuleOp"> {
  let summary = "form fused row kernels on buffers from the model level";
  let description = [{
    Needs erased row sets and lowered `recur`. Every entry function is written anew: row tensors become buffers with a
    line per row of the call, row sets a table and a count, caches entries and views. Products with the same input go
    side by side; elementwise ops join the kernel that gives their operands, as epilogue of a gemm or in a rowwise
    kernel, which may also be the prologue of a gemm; take and spread are read through. Every kernel writes a buffer of
    its own, and only `put` and what loops carry change one in place, where nothing reads the old lines any more. An op
    without a kernel takes the generic path, `kernel.generic`.
    Refused: an op that has no form here, by name.
    Rounding: sums over columns have 16 partials; products one chain; no arithmetic is reordered otherwise.
    Example: test/Conversion/LariatToKernel/
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::lariat::kernel::KernelDialect"];
  let statistics = [Statistic<"numKernels", "kernels", "kernels formed">,
                    Statistic<"numGeneric", "generic", "ops that no kernel does">];
}

def PrintGroups : Pass<"lariat-print-groups", "::mlir::ModuleOp"> {
  let summary = "print which ops `convert-lariat-to-kernel` makes one kernel of, and why each group ends";
  let description = [{
    Needs what `convert-lariat-to-kernel` needs. Writes a paragraph per group to standard output: its kind, rows and
    columns, its ops by role (member; prologue, product and epilogue of a gemm), and why nothing joins it any more. Ops
    that are in no group have kernels of their own. The conversion says the same in remarks, which
    `--remarks-filter=convert-lariat-to-kernel` turns on. It is for tests, and for finding out why two ops are two
    kernels.
    Rounding: unchanged. Example: test/Conversion/LariatToKernel/print-groups.mlir
  }];
  let statistics = [Statistic<"numFunctions", "functions", "functions whose groups were printed">];
}

#endif // LARIAT_CONVERSION_PASSES_TD
