// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The order in which passes run, from the model as imported to LLVM's dialect. Everything that lariat-compile does to
// IR is one of these pipelines, and lariat-opt has each of them by name.

#ifndef LARIAT_COMPILER_PIPELINES_H
#define LARIAT_COMPILER_PIPELINES_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/Pass/PassManager.h"

#include <optional>

namespace lariat {

using abi::RunMode;

/// A way to run a model: what `lariat-reference` compiles when a request asks for it, and what artefacts have functions
/// of.
struct Variant {
  RunMode mode = RunMode::Score;
  std::optional<MissingMode> missing; ///< none: the declared mode
  bool derived = false;               ///< split into prelude, core, fill and coda
};

/// `lariat-stage-entry`. What is read: one function in the forms that later passes know, checked. Rules in
/// `weightFormats`, unless it is empty, take the place of the formats of weights that the model declares.
void buildEntryPipeline(mlir::OpPassManager &manager, llvm::StringRef weightFormats);

/// `lariat-stage-model`. Check, put declarations in place, make the loop cheaper, split. The result is still `lariat`.
void buildModelPipeline(mlir::OpPassManager &manager, const Variant &options);

/// `lariat-stage-tensors`. From there to upstream dialects on tensors; entry functions have the signature of
/// LariatToReference.h.
void buildLowerToTensorsPipeline(mlir::OpPassManager &manager);

/// `lariat-stage-tensors-to-llvm`. From tensors to LLVM's dialect: buffers, their release, loops, branches.
void buildLowerToLLVMPipeline(mlir::OpPassManager &manager);

/// The last three, and a check that nothing is left: the reference path.
void buildReferencePipeline(mlir::OpPassManager &manager, const Variant &options);

/// `lariat-stage-kernels`. From the model level to the kernel level instead; entry functions have the names of the
/// object.
void buildFormKernelsPipeline(mlir::OpPassManager &manager, const Variant &options);

/// `lariat-stage-merge`. Modules of variants to one.
void buildMergeVariantsPipeline(mlir::OpPassManager &manager);

/// `lariat-stage-plan`. Kernels into parallel regions, buffers into the arena: the same for all targets.
void buildPlanKernelsPipeline(mlir::OpPassManager &manager);

/// Part of `lariat-stage-llvm`. Panels and pages in the form that targets of a layout read, packed data into
/// weights.bin.
void buildLayoutPipeline(mlir::OpPassManager &manager, const abi::Layout &layout);

/// `lariat-stage-generic`. Bodies of kernel.generic to LLVM's dialect, in a nested module. As on the reference path,
/// but memory is never freed: the runtime takes all of it back after a call. The same for all targets.
void buildLowerGenericPipeline(mlir::OpPassManager &manager);

/// `lariat-stage-llvm`. Kernels and the host around them to LLVM's dialect, for one target and its layout, with those
/// bodies.
void buildKernelsToLLVMPipeline(mlir::OpPassManager &manager, llvm::StringRef target);

/// Registers, for tools that take passes by name, all passes of Lariat, those of MLIR that transform any IR, these
/// pipelines with their options, and what they come to together: `lariat-to-reference`, `lariat-to-kernel`,
/// `lariat-to-llvm`.
void registerPasses();

} // namespace lariat

#endif // LARIAT_COMPILER_PIPELINES_H
