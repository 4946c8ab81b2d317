// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns recur into scf.while.
//   before:  finals, steps = recur max over all carry(x = init) { ^(a, x): ...; next keep k carry(y) stop(s) } fill { f }
//   after:   cur = rows of all with from < max; d = from; X = init; STEPS = from
//            while count(cur) > 0, or with a fill while d < the largest max:
//              f(rows of all outside cur with d < max, at depth d)
//              a = cur at depth d; body(a, take X at a)
//              X = put y of k; STEPS = put d + 1 of k; cur = rows of k with not s and d + 1 < max; d = d + 1
// Equal because a row outside k keeps its line of X and STEPS, which is what recur says it stops with.
// Row sets have no labels any more: cur changes from step to step but keeps its type.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

#define DEBUG_TYPE "lariat-lower-recur"

namespace lariat {
#define GEN_PASS_DEF_LOWERRECURPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// Lowers one recur.
class RecurLowering {
public:
  RecurLowering(RecurOp op, IRRewriter &rewriter)
      : op(op), rewriter(rewriter), loc(op.getLoc()), all(op.getOver()),
        rowsType(cast<RowsType>(op.getOver().getType())) {}

  void run();

private:
  Value constant(int64_t value) { return arith::ConstantIndexOp::create(rewriter, loc, value); }
  Value spread(Value value, Value rows) {
    return SpreadOp::create(rewriter, loc, getRowTensorType(rowsType, value.getType()), value, rows);
  }
  Value take(Value value, Value at) { return TakeOp::create(rewriter, loc, value.getType(), value, /*from=*/all, at); }
  Value put(Value value, Value from, Value into) {
    return PutOp::create(rewriter, loc, into.getType(), value, from, into, /*of=*/all, PutKind::Replace);
  }
  Value select(Value rows, Value bits) { return SelectOp::create(rewriter, loc, rowsType, rows, bits); }

  /// One bit per row of `rows`: depth < max of the row.
  Value isBelowMax(Value depth, Value rows);
  /// The largest max of the entering rows.
  Value buildBound();
  Value buildCondition(Value cur, Value depth);
  void buildStep(ValueRange args);
  void buildFill(Value cur, Value depth, ValueRange carried);
  /// Moves a region's block to the insertion point and returns its terminator.
  Operation *inlineBlock(Region &region, Value rows, ValueRange carried);

  RecurOp op;
  IRRewriter &rewriter;
  Location loc;
  Value all;
  RowsType rowsType;
  Value bound; ///< the largest max, only where a fill needs it
};

struct LowerRecurPass : lariat::impl::LowerRecurPassBase<LowerRecurPass> {
  void runOnOperation() override;
};

} // namespace

Value RecurLowering::isBelowMax(Value depth, Value rows) {
  Value max = op.getMax();
  if (!isa<RankedTensorType>(max.getType())) {
    Value below = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ult, depth, max);
    return spread(below, rows);
  }
  return arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ult, spread(depth, rows), take(max, rows));
}

Value RecurLowering::buildBound() {
  Value max = op.getMax();
  if (!isa<RankedTensorType>(max.getType()))
    return max;
  Value zero = constant(0);
  auto loop = scf::ForOp::create(
      rewriter, loc, zero, CountOp::create(rewriter, loc, all), constant(1), ValueRange{zero},
      [&](OpBuilder &builder, Location loc, Value row, ValueRange largest) {
        Value value = tensor::ExtractOp::create(builder, loc, max, row);
        scf::YieldOp::create(builder, loc, {arith::MaxUIOp::create(builder, loc, largest.front(), value)});
      });
  return loop.getResult(0);
}

Value RecurLowering::buildCondition(Value cur, Value depth) {
  Value count = CountOp::create(rewriter, loc, cur);
  Value active = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ne, count, constant(0));
  if (!bound)
    return active;
  Value owed = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ult, depth, bound);
  return arith::OrIOp::create(rewriter, loc, active, owed);
}

Operation *RecurLowering::inlineBlock(Region &region, Value rows, ValueRange carried) {
  SmallVector<Value> args{rows};
  llvm::append_range(args, carried);
  Operation *end = region.front().getTerminator();
  rewriter.inlineBlockBefore(&region.front(), rewriter.getInsertionBlock(), rewriter.getInsertionPoint(), args);
  rewriter.setInsertionPoint(end);
  return end;
}

void RecurLowering::buildFill(Value cur, Value depth, ValueRange carried) {
  Value no = spread(arith::ConstantOp::create(rewriter, loc, rewriter.getBoolAttr(false)), all);
  Value yes = spread(arith::ConstantOp::create(rewriter, loc, rewriter.getBoolAttr(true)), cur);
  Value active = put(yes, cur, no);
  Value stopped = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::eq, active, no);
  Value owing = arith::AndIOp::create(rewriter, loc, stopped, isBelowMax(depth, all));
  Value rows = AdvanceOp::create(rewriter, loc, rowsType, select(all, owing), depth);
  op.getFill().walk([](AppendOp append) { append.setFilled(true); });
  SmallVector<Value> values;
  for (Value value : carried)
    values.push_back(take(value, rows));
  rewriter.eraseOp(inlineBlock(op.getFill(), rows, values));
}

void RecurLowering::buildStep(ValueRange args) {
  Value depth = args[1], steps = args.back();
  ValueRange carried = args.slice(2, op.getInitial().size());
  // The yield comes first, so that everything else has a place to go before it.
  auto yield = scf::YieldOp::create(rewriter, loc, args);
  rewriter.setInsertionPoint(yield);
  if (op.hasFill()) {
    buildFill(args[0], depth, carried);
    rewriter.setInsertionPoint(yield);
  }
  Value rows = AdvanceOp::create(rewriter, loc, rowsType, args[0], depth);
  SmallVector<Value> values;
  for (Value value : carried)
    values.push_back(take(value, rows));
  auto next = cast<NextOp>(inlineBlock(op.getBody(), rows, values));
  Value kept = next.getKept();
  Value nextDepth = arith::AddIOp::create(rewriter, loc, depth, constant(1));
  Value count = arith::IndexCastOp::create(rewriter, loc, rewriter.getI32Type(), nextDepth);
  Value goesOn = isBelowMax(nextDepth, kept);
  if (Value stop = next.getStop()) {
    Value yes = spread(arith::ConstantOp::create(rewriter, loc, rewriter.getBoolAttr(true)), kept);
    goesOn = arith::AndIOp::create(rewriter, loc, goesOn, arith::XOrIOp::create(rewriter, loc, stop, yes));
  }
  SmallVector<Value> results{select(kept, goesOn), nextDepth};
  for (auto [value, old] : llvm::zip(next.getValues(), carried))
    results.push_back(put(value, kept, old));
  results.push_back(put(spread(count, kept), kept, steps));
  rewriter.eraseOp(next);
  yield->setOperands(results);
}

void RecurLowering::run() {
  rewriter.setInsertionPoint(op);
  Value from = op.getFrom() ? op.getFrom() : constant(0);
  Value entering = select(all, isBelowMax(from, all));
  if (op.hasFill())
    bound = buildBound();
  SmallVector<Value> inits{entering, from};
  llvm::append_range(inits, op.getInitial());
  inits.push_back(spread(arith::IndexCastOp::create(rewriter, loc, rewriter.getI32Type(), from), all));
  SmallVector<Type> types(ValueRange(inits).getTypes());
  SmallVector<Location> locs(types.size(), loc);

  auto loop = scf::WhileOp::create(rewriter, loc, types, inits);
  Block *before = rewriter.createBlock(&loop.getBefore(), {}, types, locs);
  scf::ConditionOp::create(rewriter, loc, buildCondition(before->getArgument(0), before->getArgument(1)),
                           before->getArguments());
  Block *after = rewriter.createBlock(&loop.getAfter(), {}, types, locs);
  buildStep(after->getArguments());
  rewriter.replaceOp(op, loop.getResults().drop_front(2));
}

void LowerRecurPass::runOnOperation() {
  SmallVector<RecurOp> loops;
  getOperation().walk([&](RecurOp op) { loops.push_back(op); });
  IRRewriter rewriter(&getContext());
  for (RecurOp op : loops) {
    if (getRowLabel(op.getOver().getType())) {
      op.emitError() << "cannot lower 'lariat.recur' over " << op.getOver().getType()
                     << ": row sets still have labels, run lariat-erase-row-sets first";
      return signalPassFailure();
    }
    RecurLowering(op, rewriter).run();
  }
}
