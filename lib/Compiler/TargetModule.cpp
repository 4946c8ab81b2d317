// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last steps before translation to LLVM IR: nothing but LLVM's dialect is left, and it names its machine.

#include "lariat/Compiler/Passes.h"
#include "lariat/Target/Description/CPUTarget.h"

namespace lariat {
#define GEN_PASS_DEF_VERIFYLLVMPASS
#define GEN_PASS_DEF_SETTARGETPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct VerifyLLVMPass : lariat::impl::VerifyLLVMPassBase<VerifyLLVMPass> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      ++numChecked;
      if (op == getOperation() || isa_and_present<LLVM::LLVMDialect>(op->getDialect()))
        return WalkResult::advance();
      emitError(op->getLoc()) << "'" << op->getName() << "' has no code on a CPU";
      signalPassFailure();
      return WalkResult::interrupt();
    });
    markAllAnalysesPreserved();
  }
};

struct SetTargetPass : lariat::impl::SetTargetPassBase<SetTargetPass> {
  using SetTargetPassBase::SetTargetPassBase;

  void runOnOperation() override {
    const CPUTarget *description = findCPUTarget(target);
    if (!description) {
      emitError(getOperation().getLoc()) << "target is '" << target << "', which is not in the table of targets";
      return signalPassFailure();
    }
    MLIRContext *context = &getContext();
    getOperation()->setAttr(LLVM::LLVMDialect::getTargetTripleAttrName(),
                            StringAttr::get(context, description->triple));
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>()) {
      if (function.isExternal())
        continue;
      function.setTargetCpu(description->cpu);
      if (!description->features.empty())
        function.setTargetFeaturesAttr(LLVM::TargetFeaturesAttr::get(context, description->features));
      ++numSet;
    }
  }
};

} // namespace
