// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A place of a state (sequence, layer, depth) holds what one op left at its last row. A second op, or the same one in
// the next step of a loop that is not over depth, would find there what the other left instead of nothing.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <map>

#define DEBUG_TYPE "lariat-verify-states"

namespace lariat {
#define GEN_PASS_DEF_VERIFYSTATESPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct VerifyStatesPass : lariat::impl::VerifyStatesPassBase<VerifyStatesPass> {
  void runOnOperation() override;
};

/// An op that keeps something, and where.
struct StateUse {
  Operation *op;
  FlatSymbolRefAttr state;
  int64_t layer;
  Value rows;
};

} // namespace

static std::optional<StateUse> getStateUse(Operation *op) {
  if (auto shift = dyn_cast<ShiftOp>(op))
    return StateUse{op, shift.getStateAttr(), static_cast<int64_t>(shift.getLayer()), shift.getAt()};
  if (auto scan = dyn_cast<ScanOp>(op))
    return StateUse{op, scan.getStateAttr(), static_cast<int64_t>(scan.getLayer()), scan.getAt()};
  return std::nullopt;
}

/// Whether at most one of two ops runs.
static bool areInDifferentBranches(Operation *a, Operation *b) {
  for (auto branch = a->getParentOfType<scf::IfOp>(); branch; branch = branch->getParentOfType<scf::IfOp>())
    if (branch->isProperAncestor(b))
      return branch.getThenRegion().isAncestor(a->getParentRegion()) !=
             branch.getThenRegion().isAncestor(b->getParentRegion());
  return false;
}

/// Whether two uses keep what they do at different depths.
static bool areAtDifferentDepths(const StateUse &a, const StateUse &b) {
  std::optional<int64_t> depth = getConstantDepth(a.rows), other = getConstantDepth(b.rows);
  return depth && other && depth != other;
}

static LogicalResult checkLoops(const StateUse &use) {
  for (Operation *loop = use.op->getParentOp(); loop; loop = loop->getParentOp())
    if (isa<LoopLikeOpInterface>(loop) && !isa<RecurOp>(loop))
      return (use.op->emitError() << "uses layer " << use.layer << " of " << use.state
                                  << " in a loop that is not over depth, whose steps would share it")
                 .attachNote(loop->getLoc())
             << "the loop starts here";
  return success();
}

void VerifyStatesPass::runOnOperation() {
  std::map<std::pair<StringRef, int64_t>, SmallVector<StateUse>> uses;
  WalkResult result = getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
    std::optional<StateUse> use = getStateUse(op);
    if (!use)
      return WalkResult::advance();
    ++numChecked;
    if (failed(checkLoops(*use)))
      return WalkResult::interrupt();
    SmallVector<StateUse> &others = uses[{use->state.getValue(), use->layer}];
    for (const StateUse &other : others)
      if (!areInDifferentBranches(op, other.op) && !areAtDifferentDepths(*use, other)) {
        (op->emitError() << "uses layer " << use->layer << " of " << use->state
                         << ", which another op uses: give each a layer of its own")
                .attachNote(other.op->getLoc())
            << "the other op is here";
        return WalkResult::interrupt();
      }
    others.push_back(*use);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return signalPassFailure();
  markAllAnalysesPreserved();
}
