// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bodies of kernel.generic go through the reference lowering in a module of their own, inside of the one of kernels,
// and come back when both are in LLVM's dialect.

#include "lariat/Compiler/Passes.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"

namespace lariat {
#define GEN_PASS_DEF_OUTLINEGENERICPASS
#define GEN_PASS_DEF_KEEPARGUMENTSPASS
#define GEN_PASS_DEF_INLINEGENERICPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

/// The nested module; null without one.
static ModuleOp findGenericModule(ModuleOp module) {
  return dyn_cast_or_null<ModuleOp>(module.lookupSymbol(kGenericModule));
}

namespace {

struct OutlineGenericPass : lariat::impl::OutlineGenericPassBase<OutlineGenericPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (Operation *taken = module.lookupSymbol(kGenericModule)) {
      taken->emitError() << "a symbol has the name '" << kGenericModule
                         << "', which is kept for bodies of kernel.generic";
      return signalPassFailure();
    }
    OpBuilder builder(&getContext());
    SmallVector<Attribute> states;
    OwningOpRef<ModuleOp> part = ModuleOp::create(module.getLoc(), kGenericModule);
    for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
      if (auto state = dyn_cast<StateOp>(op))
        states.push_back(builder.getDenseI64ArrayAttr(
            {static_cast<int64_t>(state.getLayers()), static_cast<int64_t>(state.getWidth())}));
      else if (op.hasAttr(kernel::kGenericBodyAttr))
        cast<func::FuncOp>(op).setPublic();
      else
        continue;
      op.removeAttr(kernel::kGenericBodyAttr);
      op.moveBefore(part->getBody(), part->getBody()->end());
      numOutlined += isa<func::FuncOp>(op);
    }
    if (!states.empty())
      module->setAttr(kStatesAttr, builder.getArrayAttr(states));
    if (!part->getOps<func::FuncOp>().empty())
      module.push_back(part.release());
  }
};

struct KeepArgumentsPass : lariat::impl::KeepArgumentsPassBase<KeepArgumentsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function.isPublic())
      return;
    for (BlockArgument argument : function.getArguments())
      if (isa<TensorType>(argument.getType())) {
        function.setArgAttr(argument.getArgNumber(), bufferization::BufferizationDialect::kWritableAttrName,
                            BoolAttr::get(&getContext(), false));
        ++numKept;
      }
  }
};

struct InlineGenericPass : lariat::impl::InlineGenericPassBase<InlineGenericPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation(), part = findGenericModule(module);
    if (!part)
      return;
    part->remove();
    OwningOpRef<ModuleOp> owner(part);
    SymbolTable symbols(module);
    for (Operation &op : llvm::make_early_inc_range(part.getOps())) {
      StringRef name = cast<SymbolOpInterface>(op).getName();
      auto added = dyn_cast<LLVM::LLVMFuncOp>(op);
      if (Operation *known = symbols.lookup(name)) {
        auto function = dyn_cast<LLVM::LLVMFuncOp>(known);
        bool isSame = added && function && added.getFunctionType() == function.getFunctionType();
        if (isSame && added.isExternal())
          continue;
        if (!isSame || !function.isExternal()) {
          known->emitError() << "the generic path and the kernels both have a symbol '" << name << "'";
          return signalPassFailure();
        }
        symbols.erase(known);
      }
      op.remove();
      symbols.insert(&op);
      ++numInlined;
    }
  }
};

} // namespace
