// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass convert-lariat-to-reference. Row sets become index tables, everything else keeps its type; ops become calls
// of helpers. Upstream ops stay, with their row sets converted where they carry any (scf, func). What is left of the
// dialect afterwards is an error that names it.

#include "Helpers.h"

#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "convert-lariat-to-reference"

namespace lariat {
#define GEN_PASS_DEF_CONVERTLARIATTOREFERENCE
#include "lariat/Conversion/ConversionPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// Row sets become tables; nothing else changes.
struct ReferenceTypeConverter : TypeConverter {
  ReferenceTypeConverter() {
    addConversion([](Type type) { return type; });
    addConversion([](RowsType type) -> Type {
      return RankedTensorType::get({ShapedType::kDynamic, kNumRowColumns}, IndexType::get(type.getContext()));
    });
  }
};

struct ConvertLariatToReference : lariat::impl::ConvertLariatToReferenceBase<ConvertLariatToReference> {
  void runOnOperation() override;
};

} // namespace

/// The first op whose types still carry labels: the conversion would lose which set a tensor belongs to.
static LogicalResult verifyErased(ModuleOp module) {
  WalkResult result = module.walk([](Operation *op) {
    for (Value value : op->getResults())
      if (getRowLabel(value.getType())) {
        op->emitError() << "cannot lower a value of type " << value.getType()
                        << ": row sets still have labels, run lariat-erase-row-sets first";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

void ConvertLariatToReference::runOnOperation() {
  ModuleOp module = getOperation();
  MLIRContext *context = &getContext();
  if (failed(verifyErased(module)))
    return signalPassFailure();
  ReferenceTypeConverter converter;
  Helpers helpers(module);
  helpers.addMemoryArguments();

  RewritePatternSet patterns(context);
  ConversionTarget target(*context);
  populateRowPatterns(patterns, converter, helpers);
  populateWeightPatterns(patterns, converter, helpers);
  populateAttentionPatterns(patterns, converter, helpers);
  populateElementwisePatterns(patterns, converter, helpers);
  populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns, converter);
  populateCallOpTypeConversionPattern(patterns, converter);
  populateReturnOpTypeConversionPattern(patterns, converter);
  scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
  target.addIllegalDialect<LariatDialect>();
  target.addLegalOp<WeightOp, CacheOp, StateOp>(); // erased below, once no helper asks for them
  target.addLegalDialect<bufferization::BufferizationDialect, memref::MemRefDialect>();
  target.addDynamicallyLegalOp<func::FuncOp>([&](func::FuncOp op) {
    return converter.isSignatureLegal(op.getFunctionType()) && converter.isLegal(&op.getBody());
  });
  target.markUnknownOpDynamicallyLegal(
      [&](Operation *op) { return converter.isLegal(op) && !isElementwiseOnRows(op); });

  ConversionConfig config;
  config.allowPatternRollback = false;
  if (failed(applyFullConversion(module, target, std::move(patterns), config)))
    return signalPassFailure();
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (isa<WeightOp, CacheOp, StateOp>(op))
      op.erase();
  int64_t numPrivate = 0, numCalls = 0;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic())
      function->setAttr("llvm.emit_c_interface", UnitAttr::get(context));
    else
      ++numPrivate;
  module.walk([&](func::CallOp) { ++numCalls; });
  remark::analysis(module.getLoc(), remark::RemarkOpts::name("shared").category(DEBUG_TYPE))
      << llvm::formatv("{0} calls of {1} helpers, one for each kind and shape", numCalls, numPrivate).str();
  numHelpers += numPrivate;
  for (StringRef name : {kModelAttr, kLoopsAttr, kExitAttr, kWeightsAttr})
    module->removeAttr(name);
}
