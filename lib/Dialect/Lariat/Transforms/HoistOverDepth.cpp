// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Computes once, before a loop, what its steps would compute again for each row.
//   before:  recur over e { ^(a): y = f(take x of all at a, c) }
//   after:   g = f(x, c); recur over e { ^(a): y = take g of all at a }
// Equal because f is row-local and not indexed by depth. c stands for values that are the same for every row; where the
// loop computes them, the outside does so again. Left alone: ops on carried values, ops that mix rows or whose rows
// have a depth in them, ops that only spread a value, and ops on takes of different sets. Runs from the inner loops
// outwards and in order, so chains move op by op.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "lariat-hoist-over-depth"

namespace lariat {
#define GEN_PASS_DEF_HOISTOVERDEPTHPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// The outer set from which an op's operands are taken, and the inner one at which.
struct Movement {
  Value from, at;
};

struct HoistOverDepthPass : lariat::impl::HoistOverDepthPassBase<HoistOverDepthPass> {
  void runOnOperation() override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Decision
//===----------------------------------------------------------------------===//

/// `value` as a take from outside of the loop; null if it is none.
static TakeOp getOuterTake(Value value, RecurOp loop) {
  auto take = value.getDefiningOp<TakeOp>();
  return take && loop.isDefinedOutsideOfLoop(take.getValue()) && loop.isDefinedOutsideOfLoop(take.getFrom()) ? take
                                                                                                             : TakeOp();
}

/// Whether a value is the same for every row, inside the loop and before it.
static bool isSameForAll(Value value, RecurOp loop) {
  return !isRowValue(value) && (loop.isDefinedOutsideOfLoop(value) || isRepeatable(value));
}

/// What a row tensor repeats over columns or rows, if that is all it does; else the value itself.
static Value getSpreadValue(Value value) {
  auto spread = value.getDefiningOp<SpreadOp>();
  return spread ? Value(spread.getValue()) : value;
}

/// Whether the op's row set operand stands for positions, not for depths.
static bool ignoresDepth(Operation *op) { return isa<RopeOp>(op); }

/// Where the operands of an op that can move come from; nothing if it cannot, and then `reason` says why, where the op
/// is of a kind that moves.
static std::optional<Movement> canHoistOverDepth(Operation *op, RecurOp loop, StringRef &reason) {
  // A spread moves with the op that uses it: alone it would only keep more columns.
  if (isa<SpreadOp>(op) || op->getNumResults() == 0 || !isRowLocal(op))
    return std::nullopt;
  // Outside it also runs for rows and values that the loop never sees.
  reason = "it may not run for rows that the loop never sees";
  if (!isSpeculatable(op) || !capturesFromOutsideOnly(op, loop))
    return std::nullopt;
  Movement movement;
  for (Value operand : op->getOperands()) {
    Value source = getSpreadValue(operand);
    if (isSameForAll(source, loop))
      continue;
    if (isa<RowsType>(operand.getType())) {
      reason = "it depends on the depth";
      if (!ignoresDepth(op))
        return std::nullopt;
      continue;
    }
    TakeOp take = getOuterTake(source, loop);
    reason = take ? "its operands are of several row sets" : "it uses values of the loop step";
    if (!take || (movement.from && (movement.from != take.getFrom() || movement.at != take.getAt())))
      return std::nullopt;
    movement = {take.getFrom(), take.getAt()};
  }
  reason = "its rows are not those of its operands";
  if (!movement.from || !getRowLabel(movement.from.getType()))
    return std::nullopt;
  bool givesRows = llvm::all_of(op->getResults(), [&](Value result) {
    return isa<RankedTensorType>(result.getType()) &&
           getRowLabel(result.getType()) == getRowLabel(movement.at.getType());
  });
  return givesRows ? std::optional(movement) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Rewrite
//===----------------------------------------------------------------------===//

static void hoist(Operation *op, RecurOp loop, Movement movement) {
  OpBuilder builder(loop);
  auto rows = cast<RowsType>(movement.from.getType());
  IRMapping mapping;
  auto bring = [&](Value value) -> Value {
    if (TakeOp take = getOuterTake(value, loop))
      return take.getValue();
    return loop.isDefinedOutsideOfLoop(value) ? value : repeat(builder, value, mapping);
  };
  for (Value operand : op->getOperands()) {
    Value source = getSpreadValue(operand);
    if (isa<RowsType>(operand.getType()))
      mapping.map(operand, movement.from);
    else if (source == operand)
      mapping.map(operand, bring(operand));
    else
      mapping.map(operand,
                  SpreadOp::create(builder, operand.getLoc(), withRows(cast<RankedTensorType>(operand.getType()), rows),
                                   bring(source), movement.from)
                      .getResult());
  }
  Operation *moved = cloneForRows(builder, op, mapping, rows);
  builder.setInsertionPoint(op);
  for (auto [old, value] : llvm::zip_equal(op->getResults(), moved->getResults()))
    old.replaceAllUsesWith(TakeOp::create(builder, op->getLoc(), value, movement.from, movement.at));
  op->erase();
}

void HoistOverDepthPass::runOnOperation() {
  SmallVector<RecurOp> loops;
  getOperation().walk<WalkOrder::PostOrder>([&](RecurOp loop) { loops.push_back(loop); });
  for (RecurOp loop : loops) {
    SmallVector<Operation *> ops;
    for (Region &region : loop->getRegions())
      region.walk([&](Operation *op) {
        if (op->getParentOfType<RecurOp>() == loop)
          ops.push_back(op);
      });
    for (Operation *op : ops) {
      StringRef reason;
      std::optional<Movement> movement = canHoistOverDepth(op, loop, reason);
      if (!movement && !reason.empty())
        remark::missed(op->getLoc(), remark::RemarkOpts::name("kept").category(DEBUG_TYPE))
            << ("'" + op->getName().getStringRef() + "' stays in the loop: " + reason).str();
      if (!movement)
        continue;
      remark::passed(op->getLoc(), remark::RemarkOpts::name("hoisted").category(DEBUG_TYPE))
          << ("'" + op->getName().getStringRef() + "' runs once, before the loop").str();
      hoist(op, loop, *movement);
      ++numHoisted;
    }
    for (Region &region : loop->getRegions())
      if (!region.empty())
        eraseDeadOps(region.front());
  }
}
