// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pipelines, and their names for lariat-opt. Nothing unrolls over depth.
//
// Buffers are released by ownership-based deallocation: each value knows at run time whether it owns its buffer, so
// what a loop over shrinking row sets leaves behind is freed in the step that leaves it, and a result never shares a
// buffer with an argument. Row-local rounding is fixed by the IR: no pass here reassociates or contracts.

#include "lariat/Compiler/Pipelines.h"

#include "lariat/Compiler/Passes.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Conversion/Passes.h"
#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace lariat;

void lariat::buildEntryPipeline(OpPassManager &manager, StringRef weightFormats) {
  manager.addPass(createInlineHelpersPass());
  manager.addNestedPass<func::FuncOp>(createVerifyRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createNormalizeRowOpsPass());
  manager.addNestedPass<func::FuncOp>(createVerifyRowMixingPass());
  manager.addPass(createSplitCachesPass());
  if (!weightFormats.empty())
    manager.addPass(createChooseWeightFormatsPass({weightFormats.str()}));
}

void lariat::buildModelPipeline(OpPassManager &manager, const Variant &options) {
  manager.addNestedPass<func::FuncOp>(createVerifyRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createVerifyStatesPass());
  manager.addNestedPass<func::FuncOp>(options.mode == RunMode::Generate ? createApplyDecodeRulePass()
                                                                        : createDropDecodeRulePass());
  ResolveKVPolicyPassOptions policy;
  if (options.missing)
    policy.missing = stringifyMissingMode(*options.missing).str();
  manager.addPass(createResolveKVPolicyPass(policy));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  if (options.derived)
    manager.addPass(createDeriveStepsPass());
  manager.addNestedPass<func::FuncOp>(createSinkTakePass());
  manager.addNestedPass<func::FuncOp>(createHoistOverDepthPass());
  manager.addPass(createCanonicalizerPass());
}

void lariat::buildLowerToTensorsPipeline(OpPassManager &manager) {
  manager.addPass(createEraseRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createLowerRecurPass());
  manager.addPass(createConvertLariatToReference());
  manager.addPass(createConvertElementwiseToLinalgPass());
  manager.addPass(createCSEPass());
}

static void addBuffers(OpPassManager &manager) {
  bufferization::OneShotBufferizePassOptions buffers;
  buffers.bufferizeFunctionBoundaries = true;
  buffers.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  buffers.allowReturnAllocsFromLoops = true;
  manager.addPass(bufferization::createOneShotBufferizePass(buffers));
}

static void addBuffersToLLVM(OpPassManager &manager) {
  manager.addPass(createConvertBufferizationToMemRefPass());
  manager.addPass(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createExpandStridedCopies());
  manager.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

void lariat::buildLowerToLLVMPipeline(OpPassManager &manager) {
  addBuffers(manager);
  bufferization::BufferDeallocationPipelineOptions release;
  bufferization::buildBufferDeallocationPipeline(manager, release);
  addBuffersToLLVM(manager);
}

void lariat::buildReferencePipeline(OpPassManager &manager, const Variant &options) {
  buildModelPipeline(manager, options);
  buildLowerToTensorsPipeline(manager);
  buildLowerToLLVMPipeline(manager);
  manager.addPass(createVerifyLLVMPass());
}

void lariat::buildFormKernelsPipeline(OpPassManager &manager, const Variant &options) {
  manager.addPass(createEraseRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createLowerRecurPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createConvertLariatToKernel());
  NameEntriesPassOptions names;
  names.generate = options.mode == RunMode::Generate;
  if (options.missing)
    names.missing = stringifyMissingMode(*options.missing).str();
  manager.addPass(createNameEntriesPass(names));
}

void lariat::buildMergeVariantsPipeline(OpPassManager &manager) { manager.addPass(createMergeVariantsPass()); }

void lariat::buildPlanKernelsPipeline(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createFormParallelPass());
  manager.addNestedPass<func::FuncOp>(createPlanArenaPass());
}

void lariat::buildLayoutPipeline(OpPassManager &manager, const abi::Layout &layout) {
  manager.addPass(createChooseLayoutPass({layout.panelColumns, static_cast<kernel::KeyOrder>(layout.keys)}));
  manager.addPass(createPlanWeightsPass());
}

void lariat::buildLowerGenericPipeline(OpPassManager &manager) {
  manager.addPass(createOutlineGenericPass());
  OpPassManager &bodies = manager.nest<ModuleOp>();
  buildLowerToTensorsPipeline(bodies);
  bodies.addNestedPass<func::FuncOp>(createKeepArgumentsPass());
  addBuffers(bodies);
  addBuffersToLLVM(bodies);
  bodies.addPass(createVerifyLLVMPass());
}

void lariat::buildKernelsToLLVMPipeline(OpPassManager &manager, StringRef target) {
  // An unknown target is an error of the conversion.
  if (const Target *found = getTargetRegistry().find(target)) {
    buildLayoutPipeline(manager, found->getLayout());
    manager.addPass(createMarkStreamedWeightsPass({found->getCachedBytes()}));
  }
  manager.addPass(createConvertKernelToLLVMPass({target.str()}));
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createInlineGenericPass());
  manager.addPass(createVerifyLLVMPass());
  SetTargetPassOptions machine;
  machine.target = target.str();
  manager.addPass(createSetTargetPass(machine));
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

namespace {

struct VariantOptions : PassPipelineOptions<VariantOptions> {
  Option<RunMode> mode{*this, "mode", llvm::cl::desc("how a router that looks ahead runs (default: score)"),
                       llvm::cl::init(RunMode::Score),
                       llvm::cl::values(clEnumValN(RunMode::Score, "score", "as it was trained"),
                                        clEnumValN(RunMode::Generate, "generate", "by its decode rule"))};
  Option<MissingMode> missing{
      *this, "missing", llvm::cl::desc("what stopped rows leave in caches (default: as declared)"),
      llvm::cl::values(clEnumValN(MissingMode::Skip, "skip", "nothing"),
                       clEnumValN(MissingMode::Slot0, "slot0", "readers find the entry of depth 0"),
                       clEnumValN(MissingMode::CopyLast, "copy_last", "readers find the last entry"),
                       clEnumValN(MissingMode::Propagate, "propagate", "the fill region computes entries"),
                       clEnumValN(MissingMode::Compute, "compute", "rows run on for their entries"))};
  Option<bool> derived{*this, "derived", llvm::cl::desc("split @forward into step functions (default: false)"),
                       llvm::cl::init(false)};

  Variant get() const { return {mode, missing.hasValue() ? std::optional(missing.getValue()) : std::nullopt, derived}; }
};

struct NoOptions : PassPipelineOptions<NoOptions> {};

template <typename Others>
struct WithFormats : Others {
  typename Others::template Option<std::string> formats{
      *this, "weight-formats", llvm::cl::desc("rules of lariat-choose-weight-formats (default: as declared)")};
};

template <typename Others>
struct WithTarget : Others {
  typename Others::template Option<std::string> target{
      *this, "target", llvm::cl::desc("ISA of the code (default: avx2)"), llvm::cl::init("avx2")};
};

using EntryOptions = WithFormats<NoOptions>;
using KernelOptions = WithFormats<VariantOptions>;
using TargetOptions = WithTarget<NoOptions>;
using CodeOptions = WithTarget<KernelOptions>;

} // namespace

/// From a model as imported to planned kernels.
static void buildToKernelPipeline(OpPassManager &manager, const KernelOptions &options) {
  buildEntryPipeline(manager, options.formats);
  buildModelPipeline(manager, options.get());
  buildFormKernelsPipeline(manager, options.get());
  buildPlanKernelsPipeline(manager);
}

static void registerStages() {
  PassPipelineRegistration<EntryOptions>(
      "lariat-stage-entry", "Check a model as imported, and bring it into the forms passes know.",
      [](OpPassManager &manager, const EntryOptions &options) { buildEntryPipeline(manager, options.formats); });
  PassPipelineRegistration<VariantOptions>(
      "lariat-stage-model", "Put what a model declares in place and make its loop cheaper.",
      [](OpPassManager &manager, const VariantOptions &options) { buildModelPipeline(manager, options.get()); });
  PassPipelineRegistration<>("lariat-stage-tensors", "From the model level to upstream dialects on tensors.",
                             buildLowerToTensorsPipeline);
  PassPipelineRegistration<>("lariat-stage-tensors-to-llvm", "From tensors to LLVM's dialect.",
                             buildLowerToLLVMPipeline);
  PassPipelineRegistration<VariantOptions>(
      "lariat-stage-kernels", "From the model level to the kernel level.",
      [](OpPassManager &manager, const VariantOptions &options) { buildFormKernelsPipeline(manager, options.get()); });
  PassPipelineRegistration<>("lariat-stage-merge", "Put the modules of several variants together.",
                             buildMergeVariantsPipeline);
  PassPipelineRegistration<>("lariat-stage-plan", "Give kernels their regions and buffers their places.",
                             buildPlanKernelsPipeline);
  PassPipelineRegistration<>("lariat-stage-generic", "Bodies of kernel.generic to LLVM's dialect, in a nested module.",
                             buildLowerGenericPipeline);
  PassPipelineRegistration<TargetOptions>("lariat-stage-llvm", "Planned kernels to LLVM's dialect, for one target.",
                                          [](OpPassManager &manager, const TargetOptions &options) {
                                            buildKernelsToLLVMPipeline(manager, options.target);
                                          });
}

void lariat::registerPasses() {
  registerKernelPasses();
  registerLariatCompilerPasses();
  registerLariatPasses();
  registerLariatConversionPasses();
  registerTransformsPasses();
  registerStages();
  PassPipelineRegistration<VariantOptions>("lariat-to-reference",
                                           "From a model as imported to LLVM's dialect, by the reference path.",
                                           [](OpPassManager &manager, const VariantOptions &options) {
                                             buildEntryPipeline(manager, /*weightFormats=*/"");
                                             buildReferencePipeline(manager, options.get());
                                           });
  PassPipelineRegistration<KernelOptions>("lariat-to-kernel", "From a model as imported to planned kernels.",
                                          buildToKernelPipeline);
  PassPipelineRegistration<CodeOptions>("lariat-to-llvm",
                                        "From a model as imported to LLVM's dialect, by the fast path, for one target.",
                                        [](OpPassManager &manager, const CodeOptions &options) {
                                          buildToKernelPipeline(manager, options);
                                          buildLowerGenericPipeline(manager);
                                          buildKernelsToLLVMPipeline(manager, options.target);
                                        });
}
