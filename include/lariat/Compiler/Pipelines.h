// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The order in which passes run, from the model as imported to LLVM's dialect.

#ifndef LARIAT_COMPILER_PIPELINES_H
#define LARIAT_COMPILER_PIPELINES_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Error.h"

#include <optional>

namespace lariat {

/// Whether a non-causal router runs as trained or by its decode rule.
enum class RunMode { Score, Generate };

struct ReferenceOptions {
  RunMode mode = RunMode::Score;
  std::optional<MissingMode> missing; ///< in place of the declared mode
  bool derived = false;               ///< split @forward into prelude, core, fill and coda
};

/// What is read: one function in the forms that later passes know, checked.
void buildEntryPipeline(mlir::OpPassManager &manager);

/// Model level: check, put declarations in place, make the loop cheaper, split. The result is still `lariat`.
void buildModelPipeline(mlir::OpPassManager &manager, const ReferenceOptions &options);

/// From there to upstream dialects on tensors; entry functions have the signature of LariatToReference.h.
void buildLowerToTensorsPipeline(mlir::OpPassManager &manager);

/// From tensors to LLVM's dialect: buffers, their release, loops, branches.
void buildLowerToLLVMPipeline(mlir::OpPassManager &manager);

/// All three.
void buildReferencePipeline(mlir::OpPassManager &manager, const ReferenceOptions &options);

/// From there to the kernel level instead. `halfWeights`: packed weights are bf16.
void buildFormKernelsPipeline(mlir::OpPassManager &manager, bool halfWeights);

/// Kernels into parallel regions, buffers into the arena, packed data into weights.bin.
void buildPlanKernelsPipeline(mlir::OpPassManager &manager);

/// Bodies of the slow road from tensors to LLVM's dialect. As above, but memory is never freed: the runtime takes all of it
/// back after a call.
void buildGenericToLLVMPipeline(mlir::OpPassManager &manager);

/// What `lowerKernelsForTarget` leaves to LLVM's dialect.
void buildKernelsToLLVMPipeline(mlir::OpPassManager &manager);

/// Names an op that is not in LLVM's dialect.
llvm::Error verifyLLVMDialect(mlir::ModuleOp module);

} // namespace lariat

#endif // LARIAT_COMPILER_PIPELINES_H
