// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels and host code for one target: bodies by the target's code generator, and the calling thread's part around them.

#include "lariat/Compiler/Passes.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Conversion/KernelToVector/KernelToVector.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lariat {
#define GEN_PASS_DEF_CONVERTKERNELTOLLVMPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct ConvertKernelToLLVMPass : lariat::impl::ConvertKernelToLLVMPassBase<ConvertKernelToLLVMPass> {
  using ConvertKernelToLLVMPassBase::ConvertKernelToLLVMPassBase;

  void runOnOperation() override {
    const CPUTarget *description = findCPUTarget(target);
    if (!description) {
      emitError(getOperation().getLoc()) << "target is '" << target << "', which is not in the table of targets";
      return signalPassFailure();
    }
    KernelEmitter codegen(getOperation(), *description);
    if (failed(lowerKernelsToHost(getOperation(), codegen)))
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      numEntries += function->hasAttr(kCellsAttr);
  }
};

} // namespace
