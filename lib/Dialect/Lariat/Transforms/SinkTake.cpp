// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes rows before the work on them instead of after.
//   before:  y = f(x, c); z = take y of a at k
//   after:   z = f(take x of a at k, c)
// Equal because f is row-local. Only where y has no other use, so that f runs on fewer rows and nothing runs twice, and
// within one block. An op indexed by depth moves only if the rows of k were selected from its own: then their depth is
// the same.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "lariat-sink-take"

namespace lariat {
#define GEN_PASS_DEF_SINKTAKEPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct SinkTakePass : lariat::impl::SinkTakePassBase<SinkTakePass> {
  void runOnOperation() override;
};

} // namespace

/// Whether `op`, whose result `take` takes, may run on the taken rows instead.
static bool canRunBehind(TakeOp take, Operation *op) {
  if (!op || op->getBlock() != take->getBlock() || op->getNumResults() != 1 || !op->hasOneUse() || !isRowLocal(op))
    return false;
  Type rows = take.getFrom().getType();
  if (!getRowLabel(rows))
    return false;
  bool hasRows = false;
  for (Value operand : op->getOperands()) {
    if (!isRowValue(operand))
      continue;
    hasRows = true;
    if (getRowLabel(operand.getType()) != getRowLabel(rows))
      return false;
    if (isa<RowsType>(operand.getType()) && !isSelectionOf(take.getAt(), operand))
      return false;
  }
  // Without a row operand nothing says how many rows there are.
  return hasRows;
}

/// Runs `op` on the taken rows; returns the new takes of its operands.
static SmallVector<TakeOp> runBehind(TakeOp take, Operation *op) {
  OpBuilder builder(take);
  SmallVector<TakeOp> takes;
  IRMapping mapping;
  for (Value operand : op->getOperands()) {
    if (!isRowValue(operand) || mapping.contains(operand))
      continue;
    if (isa<RowsType>(operand.getType())) {
      mapping.map(operand, take.getAt());
      continue;
    }
    takes.push_back(TakeOp::create(builder, take.getLoc(), operand, take.getFrom(), take.getAt()));
    mapping.map(operand, takes.back().getResult());
  }
  Operation *moved = cloneForRows(builder, op, mapping, cast<RowsType>(take.getAt().getType()));
  take.getResult().replaceAllUsesWith(moved->getResult(0));
  take.erase();
  op->erase();
  return takes;
}

void SinkTakePass::runOnOperation() {
  SmallVector<TakeOp> pending;
  getOperation().walk([&](TakeOp take) { pending.push_back(take); });
  while (!pending.empty()) {
    TakeOp take = pending.pop_back_val();
    Operation *op = take.getValue().getDefiningOp();
    if (!canRunBehind(take, op)) {
      if (op && isRowLocal(op))
        remark::missed(op->getLoc(), remark::RemarkOpts::name("kept").category(DEBUG_TYPE))
            << ("'" + op->getName().getStringRef() + "' runs for all rows: what is taken of it has other uses or rows")
                   .str();
      continue;
    }
    remark::passed(op->getLoc(), remark::RemarkOpts::name("moved").category(DEBUG_TYPE))
        << ("'" + op->getName().getStringRef() + "' runs for the taken rows alone").str();
    llvm::append_range(pending, runBehind(take, op));
    ++numMoved;
  }
}
