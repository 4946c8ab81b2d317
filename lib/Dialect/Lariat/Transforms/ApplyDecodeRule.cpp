// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Replaces each top_k by the causal rule that the model declares for it.
//   before:  k = top_k z of a decode { ^(rows, first, score): ...; end go }
//   after:   first = depth_of a == 0; go = rule(a, first, z); k = select a where go
// Refused: a top_k without a rule, which needs whole sequences. Afterwards no selection depends on later rows.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#define DEBUG_TYPE "lariat-apply-decode-rule"

namespace lariat {
#define GEN_PASS_DEF_APPLYDECODERULEPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct ApplyDecodeRulePass : lariat::impl::ApplyDecodeRulePassBase<ApplyDecodeRulePass> {
  void runOnOperation() override;
};

} // namespace

static void replaceByRule(TopKOp op) {
  OpBuilder builder(op);
  Block &rule = op.getDecode().front();
  if (!rule.getArgument(1).use_empty())
    rule.getArgument(1).replaceAllUsesWith(buildIsAtDepth(builder, op.getLoc(), op.getFrom(), /*depth=*/0));
  rule.getArgument(0).replaceAllUsesWith(op.getFrom());
  rule.getArgument(2).replaceAllUsesWith(op.getScores());
  auto end = cast<EndOp>(rule.getTerminator());
  op->getBlock()->getOperations().splice(op->getIterator(), rule.getOperations(), rule.begin(), end->getIterator());
  Value kept = SelectOp::create(builder, op.getLoc(), op.getResult().getType(), op.getFrom(), end.getGo());
  op.getResult().replaceAllUsesWith(kept);
  op.erase();
}

void ApplyDecodeRulePass::runOnOperation() {
  SmallVector<TopKOp> routers;
  bool complete = true;
  getOperation().walk([&](TopKOp op) {
    routers.push_back(op);
    if (!op.getDecode().empty())
      return;
    complete = false;
    op.emitError("cannot generate: 'lariat.top_k' scores whole sequences and declares no decode rule");
  });
  if (!complete)
    return signalPassFailure();
  for (TopKOp op : routers) {
    remark::passed(op.getLoc(), remark::RemarkOpts::name("replaced").category(DEBUG_TYPE))
        << "the decode rule selects rows";
    replaceByRule(op);
  }
  numReplaced += routers.size();
}
