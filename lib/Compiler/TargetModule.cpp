// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last steps before translation to LLVM IR: nothing but LLVM's dialect is left, and it names its machine.

#include "lariat/Compiler/Passes.h"
#include "lariat/Compiler/Targets.h"

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
    FailureOr<const Target *> found = findTarget(getOperation(), target);
    if (failed(found))
      return signalPassFailure();
    numSet += (*found)->setMachine(getOperation());
  }
};

} // namespace
