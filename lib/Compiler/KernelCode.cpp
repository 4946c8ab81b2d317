// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels and host code for one target: bodies by the target's code generator, and the calling thread's part around
// them.

#include "lariat/Compiler/Passes.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

namespace lariat {
#define GEN_PASS_DEF_CONVERTKERNELTOLLVMPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

/// Whether a target forms the sums of all kernels in the orders that they declare.
static LogicalResult verifySums(ModuleOp module, const Target &target) {
  WalkResult result = module.walk([&](kernel::ParallelKernelInterface op) {
    auto declared = op->getAttrOfType<kernel::SumAttr>("sum");
    auto isFormed = [&](const Sum &sum) { return sum.kind == declared.getKind() && sum.size == declared.getSize(); };
    if (!declared || llvm::any_of(target.getSums(), isFormed))
      return WalkResult::advance();
    op->emitOpError() << "declares " << declared << ", which target '" << target.getName() << "' does not form";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {

struct ConvertKernelToLLVMPass : lariat::impl::ConvertKernelToLLVMPassBase<ConvertKernelToLLVMPass> {
  using ConvertKernelToLLVMPassBase::ConvertKernelToLLVMPassBase;

  void runOnOperation() override {
    FailureOr<const Target *> found = findTarget(getOperation(), target);
    if (failed(found) || failed(verifySums(getOperation(), **found)))
      return signalPassFailure();
    int64_t numKernels = 0;
    getOperation().walk([&](kernel::ParallelKernelInterface) { ++numKernels; });
    std::unique_ptr<KernelCodegen> codegen = (*found)->createCodegen(getOperation());
    if (failed(lowerKernelsToHost(getOperation(), *codegen)))
      return signalPassFailure();
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("shared").category(getArgument()))
        << llvm::formatv("{0} kernels have {1} functions: those that differ in places of data alone share one",
                         numKernels, codegen->getFunctions().size())
               .str();
    for (auto function : getOperation().getOps<func::FuncOp>())
      numEntries += function->hasAttr(kCellsAttr);
  }
};

} // namespace
