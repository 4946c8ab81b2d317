// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The functions go through the reference pipeline in a module of their own, since that pipeline knows tensors and the
// kernel level does not. They stay apart until kernels are LLVM's dialect too: both may declare the same function of the C
// library, and only there they declare it in the same words.

#include "lariat/Compiler/GenericRoad.h"

#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Conversion/KernelToVector/HostLowering.h"
#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "lariat/Support/Error.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lariat;

/// Moves bodies and states out of the module.
static OwningOpRef<ModuleOp> takeGenericFunctions(ModuleOp module) {
  OpBuilder builder(module.getContext());
  SmallVector<Attribute> states;
  OwningOpRef<ModuleOp> part = ModuleOp::create(module.getLoc());
  for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
    if (auto state = dyn_cast<StateOp>(op))
      states.push_back(builder.getDenseI64ArrayAttr(
          {static_cast<int64_t>(state.getLayers()), static_cast<int64_t>(state.getWidth())}));
    else if (op.hasAttr(kGenericBodyAttr))
      cast<func::FuncOp>(op).setPublic();
    else
      continue;
    op.removeAttr(kGenericBodyAttr);
    op.moveBefore(part->getBody(), part->getBody()->end());
  }
  if (!states.empty())
    module->setAttr(kStatesAttr, builder.getArrayAttr(states));
  return part;
}

/// Arguments may be the kernels' own buffers.
static void forbidWritingArguments(ModuleOp module) {
  Builder builder(module.getContext());
  for (auto function : module.getOps<func::FuncOp>())
    for (BlockArgument argument : function.getArguments())
      if (function.isPublic() && isa<TensorType>(argument.getType()))
        function.setArgAttr(argument.getArgNumber(), bufferization::BufferizationDialect::kWritableAttrName,
                            builder.getBoolAttr(false));
}

llvm::Expected<OwningOpRef<ModuleOp>> lariat::lowerGenericFunctions(ModuleOp module) {
  OwningOpRef<ModuleOp> part = takeGenericFunctions(module);
  if (part->getOps<func::FuncOp>().empty())
    return ModuleOp::create(module.getLoc());
  if (llvm::Error error = runPipeline(*part, buildLowerToTensorsPipeline))
    return std::move(error);
  forbidWritingArguments(*part);
  if (llvm::Error error = runPipeline(*part, buildGenericToLLVMPipeline))
    return std::move(error);
  if (llvm::Error error = verifyLLVMDialect(*part))
    return std::move(error);
  return part;
}

llvm::Error lariat::addGenericFunctions(ModuleOp module, ModuleOp functions) {
  SymbolTable symbols(module);
  for (Operation &op : functions.getOps()) {
    StringRef name = cast<SymbolOpInterface>(op).getName();
    auto added = dyn_cast<LLVM::LLVMFuncOp>(op);
    if (Operation *known = symbols.lookup(name)) {
      auto function = dyn_cast<LLVM::LLVMFuncOp>(known);
      bool isSame = added && function && added.getFunctionType() == function.getFunctionType();
      if (isSame && added.isExternal())
        continue;
      if (!isSame || !function.isExternal())
        return makeError("the slow road and the kernels both have a symbol '" + name + "'");
      symbols.erase(known);
    }
    symbols.insert(op.clone());
  }
  return llvm::Error::success();
}
