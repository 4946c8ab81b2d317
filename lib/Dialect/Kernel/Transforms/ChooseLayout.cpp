// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gives panels and pages the form that a target's code reads. It only marks declarations: packers, planning and code
// generation follow them.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "kernel-choose-layout"

namespace lariat {
#define GEN_PASS_DEF_CHOOSELAYOUTPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

struct ChooseLayoutPass : lariat::impl::ChooseLayoutPassBase<ChooseLayoutPass> {
  using ChooseLayoutPassBase::ChooseLayoutPassBase;

  void runOnOperation() override {
    for (auto packed : getOperation().getOps<PackedOp>())
      if (packed.getKind() == PackKind::Panels) {
        packed.setPanelColumns(panelColumns);
        ++numPanels;
      }
    for (auto cache : getOperation().getOps<CacheOp>()) {
      cache.setKeys(keys);
      ++numCaches;
    }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("chosen").category(DEBUG_TYPE))
        << llvm::formatv("panels have {0} columns, and pages keys by {1}", panelColumns.getValue(),
                         stringifyKeyOrder(keys))
               .str();
  }
};

} // namespace
