// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Leaves out the causal rule of each top_k. Scoring selects by capacity, so what a rule computes is for nothing; a rule
// may read weights and values of its own, which go with it.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "lariat-drop-decode-rule"

namespace lariat {
#define GEN_PASS_DEF_DROPDECODERULEPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct DropDecodeRulePass : lariat::impl::DropDecodeRulePassBase<DropDecodeRulePass> {
  void runOnOperation() override {
    getOperation().walk([&](TopKOp op) {
      if (op.getDecode().empty())
        return;
      remark::passed(op.getLoc(), remark::RemarkOpts::name("dropped").category(DEBUG_TYPE))
          << "the decode rule is not asked";
      op.getDecode().dropAllReferences();
      op.getDecode().getBlocks().clear();
      ++numDropped;
    });
  }
};

} // namespace
