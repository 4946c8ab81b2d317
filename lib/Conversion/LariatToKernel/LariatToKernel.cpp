// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The conversion lariat -> kernel as a function and as the pass convert-lariat-to-kernel.

#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"

#include "Emission/Forming.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/Pass.h"

namespace lariat {
#define GEN_PASS_DECL_CONVERTLARIATTOKERNEL
#define GEN_PASS_DEF_CONVERTLARIATTOKERNEL
#include "lariat/Conversion/ConversionPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

FailureOr<OwningOpRef<ModuleOp>> lariat::convertLariatToKernel(ModuleOp module, Type weightType) {
  OwningOpRef<ModuleOp> target = ModuleOp::create(module.getLoc());
  for (NamedAttribute attr : module->getDiscardableAttrs())
    target.get()->setAttr(attr.getName(), attr.getValue());
  OpBuilder builder = OpBuilder::atBlockEnd(target->getBody());
  // Bodies of the slow road keep their states.
  for (auto state : module.getOps<StateOp>())
    builder.clone(*state);
  Storage storage(module, *target, weightType);
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && failed(Forming(function, storage, *target).run(function.getSymName())))
      return failure();
  if (failed(verify(*target)))
    return failure();
  return target;
}

namespace {

struct ConvertLariatToKernel : lariat::impl::ConvertLariatToKernelBase<ConvertLariatToKernel> {
  using ConvertLariatToKernelBase::ConvertLariatToKernelBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Builder builder(&getContext());
    if (weightType != "f32" && weightType != "bf16") {
      module.emitError() << "weight type is '" << weightType << "', expected f32 or bf16";
      return signalPassFailure();
    }
    Type type = weightType == "bf16" ? Type(builder.getBF16Type()) : Type(builder.getF32Type());
    FailureOr<OwningOpRef<ModuleOp>> target = convertLariatToKernel(module, type);
    if (failed(target))
      return signalPassFailure();
    module.getBodyRegion().takeBody((*target)->getBodyRegion());
  }
};

} // namespace
