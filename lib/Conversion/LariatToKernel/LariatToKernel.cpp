// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The conversion lariat -> kernel as a function and as the pass convert-lariat-to-kernel. Three layers, each of which
// knows those before it: Storage declares data by what it holds; Grouping says which ops become one kernel, and changes
// nothing; Emission writes each function anew. What all ask about the model level is in Model.

#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"

#include "Emission/KernelFormer.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"
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

/// What an entry function has to be, whatever wrote it.
static LogicalResult checkFunction(func::FuncOp function) {
  auto refuse = [&](const Twine &found) {
    return function.emitError() << "@" << function.getSymName() << " " << found;
  };
  if (function.isExternal() || !llvm::hasSingleElement(function.getBody()))
    return refuse("has no body of one block, which an entry function of the kernel level has");
  bool hasRows = false;
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes())) {
    hasRows |= isa<RowsType>(type);
    if (!isa<RowsType>(type) && !isRowTensor(type))
      return function.emitError() << "@" << function.getSymName() << " takes or gives a value of type " << type
                                  << ", expected row sets and row tensors";
  }
  return hasRows ? success() : LogicalResult(refuse("takes no row set"));
}

/// All layers of a cache share one list of entries on the kernel level.
static LogicalResult checkLayers(ModuleOp module, const ModelSymbols &symbols) {
  for (const auto &[name, use] : collectCacheUses(module))
    if (AttendOp attend = symbols.getCache(name).getLayers() > 1 ? findLayerApart(use) : AttendOp())
      return attend.emitError() << "attends to layer " << attend.getLayer() << " of cache @" << name
                                << ", which is not written together with the others: run lariat-split-caches first";
  return success();
}

static LogicalResult convertFunction(func::FuncOp function, Storage &storage, ModuleOp target) {
  const ModelSymbols &symbols = storage.getSymbols();
  if (failed(checkFunction(function)) || failed(checkLayers(function->getParentOfType<ModuleOp>(), symbols)))
    return failure();
  RowOwners owners(function);
  Grouping grouping(function, owners, symbols);
  grouping.explain();
  return KernelFormer(function, owners, grouping, storage, target).run(function.getSymName());
}

FailureOr<OwningOpRef<ModuleOp>> lariat::convertLariatToKernel(ModuleOp module) {
  OwningOpRef<ModuleOp> target = ModuleOp::create(module.getLoc());
  for (NamedAttribute attr : module->getDiscardableAttrs())
    target.get()->setAttr(attr.getName(), attr.getValue());
  OpBuilder builder = OpBuilder::atBlockEnd(target->getBody());
  // Bodies of the generic path keep their states.
  for (auto state : module.getOps<StateOp>())
    builder.clone(*state);
  ModelSymbols symbols(module);
  Storage storage(module, symbols, *target);
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && failed(convertFunction(function, storage, *target)))
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
    FailureOr<OwningOpRef<ModuleOp>> target = convertLariatToKernel(module);
    if (failed(target))
      return signalPassFailure();
    module.getBodyRegion().takeBody((*target)->getBodyRegion());
    module.walk([&](Operation *op) {
      numKernels += isa<kernel::ParallelKernelInterface>(op);
      auto generic = dyn_cast<kernel::GenericOp>(op);
      numGeneric += bool(generic);
      if (generic)
        remark::missed(op->getLoc(), remark::RemarkOpts::name("generic").category(getArgument()))
            << ("no kernel does this; it runs as @" + generic.getCallee() + ", on one thread").str();
    });
  }
};

} // namespace
