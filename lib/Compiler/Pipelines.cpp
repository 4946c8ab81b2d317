// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pipelines. Nothing here knows a machine; nothing unrolls over depth.
//
// Buffers are released by ownership-based deallocation: each value knows at run time whether it owns its buffer, so what a
// loop over shrinking row sets leaves behind is freed in the step that leaves it, and a result never shares a buffer with
// an argument. Row-local rounding is fixed by the IR: no pass here reassociates or contracts.

#include "lariat/Compiler/Pipelines.h"

#include "lariat/Compiler/Modules.h"
#include "lariat/Conversion/Passes.h"
#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "lariat/Support/Error.h"
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
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace lariat;

void lariat::buildEntryPipeline(OpPassManager &manager) {
  manager.addPass(createInlineHelpersPass());
  manager.addNestedPass<func::FuncOp>(createVerifyRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createNormalizeRowOpsPass());
  manager.addNestedPass<func::FuncOp>(createVerifyRowMixingPass());
  manager.addPass(createSplitCachesPass());
}

void lariat::buildModelPipeline(OpPassManager &manager, const ReferenceOptions &options) {
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

void lariat::buildGenericToLLVMPipeline(OpPassManager &manager) {
  addBuffers(manager);
  addBuffersToLLVM(manager);
}

void lariat::buildKernelsToLLVMPipeline(OpPassManager &manager) {
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

llvm::Error lariat::verifyLLVMDialect(ModuleOp module) {
  Operation *left = nullptr;
  module.walk([&](Operation *op) {
    if (op == module || isa_and_present<LLVM::LLVMDialect>(op->getDialect()))
      return WalkResult::advance();
    left = op;
    return WalkResult::interrupt();
  });
  if (!left)
    return llvm::Error::success();
  return makeError(formatPlace(left->getLoc()) + "'" + left->getName().getStringRef() + "' has no code on a CPU");
}

void lariat::buildReferencePipeline(OpPassManager &manager, const ReferenceOptions &options) {
  buildModelPipeline(manager, options);
  buildLowerToTensorsPipeline(manager);
  buildLowerToLLVMPipeline(manager);
}

void lariat::buildFormKernelsPipeline(OpPassManager &manager, bool halfWeights) {
  manager.addPass(createEraseRowSetsPass());
  manager.addNestedPass<func::FuncOp>(createLowerRecurPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  ConvertLariatToKernelOptions options;
  options.weightType = halfWeights ? "bf16" : "f32";
  manager.addPass(createConvertLariatToKernel(options));
}

void lariat::buildPlanKernelsPipeline(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createFormParallelPass());
  manager.addNestedPass<func::FuncOp>(createPlanArenaPass());
  manager.addPass(createPlanWeightsPass());
}
