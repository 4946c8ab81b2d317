// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns recur into scf.while.
//   before:  finals, steps = recur max over all carry(x = init) { ^(a, x): ...; next keep k carry(y) stop(s) } fill { f
//   } after:   cur = rows of all with from < max; d = from; X = init; STEPS = from
//            while count(cur) > 0, or with a fill while d < the largest max:
//              f(rows of all outside cur with d < max, at depth d)
//              a = cur at depth d; body(a, take X at a)
//              X = put y of k; STEPS = put d + 1 of k; cur = rows of k with not s and d + 1 < max; d = d + 1
// Equal because a row outside k keeps its line of X and STEPS, which is what recur says it stops with.
// A loop inside of another one, in step D of that:
//   shift s at r  becomes  shift s at (advance r to D * m + depth of r), and so do scan, append and attend without slot
// where m bounds the depths of the loop. So each step of both has places of its own. Outer loops go first.
// Row sets have no labels any more: cur changes from step to step but keeps its type.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

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
  /// `outerKeys`: of loops inside of others, the key of the step around; gets those of the loops inside of this one.
  RecurLowering(RecurOp op, IRRewriter &rewriter, llvm::DenseMap<Operation *, Value> &outerKeys)
      : op(op), rewriter(rewriter), loc(op.getLoc()), all(op.getOver()), max(op.getMax()),
        rowsType(cast<RowsType>(op.getOver().getType())), outerKeys(outerKeys), outerKey(outerKeys.lookup(op)) {}

  LogicalResult run();

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
  /// Sees to it that a loop of any max comes to an end behind the deepest depth, where it is a fault.
  void limitMax();
  LogicalResult buildStep(ValueRange args);
  /// Notes the memory and the loops of the step before its regions are moved.
  void collectKeyed();
  /// Gives memory of a step its places, from the step's depth.
  LogicalResult keyMemory(Value depth);
  LogicalResult keyUse(OpOperand &rows, Value firstKey);
  LogicalResult checkNoMemory();
  void buildFill(Value cur, Value depth, ValueRange carried);
  /// Moves a region's block to the insertion point and returns its terminator.
  Operation *inlineBlock(Region &region, Value rows, ValueRange carried);

  RecurOp op;
  IRRewriter &rewriter;
  Location loc;
  Value all, max;
  RowsType rowsType;
  Value bound; ///< the largest max, only where a fill needs it
  llvm::DenseMap<Operation *, Value> &outerKeys;
  Value outerKey;
  SmallVector<OpOperand *> keyed; ///< row sets by whose depth memory of the step is used
  SmallVector<Operation *> innerLoops;
  llvm::DenseMap<Value, Value> keyedRows;
};

struct LowerRecurPass : lariat::impl::LowerRecurPassBase<LowerRecurPass> {
  void runOnOperation() override;
};

} // namespace

Value RecurLowering::isBelowMax(Value depth, Value rows) {
  if (!isa<RankedTensorType>(max.getType())) {
    Value below = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, depth, max);
    return spread(below, rows);
  }
  return arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, spread(depth, rows), take(max, rows));
}

Value RecurLowering::buildBound() {
  if (!isa<RankedTensorType>(max.getType()))
    return max;
  Value zero = constant(0);
  auto loop = scf::ForOp::create(
      rewriter, loc, zero, CountOp::create(rewriter, loc, all), constant(1), ValueRange{zero},
      [&](OpBuilder &builder, Location loc, Value row, ValueRange largest) {
        Value value = tensor::ExtractOp::create(builder, loc, max, row);
        scf::YieldOp::create(builder, loc, {arith::MaxSIOp::create(builder, loc, largest.front(), value)});
      });
  return loop.getResult(0);
}

Value RecurLowering::buildCondition(Value cur, Value depth) {
  Value count = CountOp::create(rewriter, loc, cur);
  Value active = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ne, count, constant(0));
  if (!bound)
    return active;
  Value owed = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::slt, depth, bound);
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
  Value storing = arith::AndIOp::create(rewriter, loc, stopped, isBelowMax(depth, all));
  Value rows = AdvanceOp::create(rewriter, loc, rowsType, select(all, storing), depth);
  op.getFill().walk([](AppendOp append) { append.setFilled(true); });
  SmallVector<Value> values;
  for (Value value : carried)
    values.push_back(take(value, rows));
  rewriter.eraseOp(inlineBlock(op.getFill(), rows, values));
}

void RecurLowering::limitMax() {
  if (isBoundedByRequest(op))
    return;
  Value limit = constant(kMaxDepth + 2);
  if (isa<RankedTensorType>(max.getType()))
    limit = spread(limit, all);
  max = arith::MinSIOp::create(rewriter, loc, max, limit);
}

/// The row set by whose depth an op uses memory; null for any other.
static OpOperand *getKeyingRows(Operation *op) {
  if (auto append = dyn_cast<AppendOp>(op))
    return append.getSlot() ? nullptr : &append.getAtMutable();
  if (auto attend = dyn_cast<AttendOp>(op))
    return attend.getSlot() ? nullptr : &attend.getAtMutable();
  if (auto shift = dyn_cast<ShiftOp>(op))
    return &shift.getAtMutable();
  auto scan = dyn_cast<ScanOp>(op);
  return scan ? &scan.getAtMutable() : nullptr;
}

void RecurLowering::collectKeyed() {
  op->walk([&](Operation *inner) {
    if (inner == op || inner->getParentOfType<RecurOp>() != op)
      return;
    if (isa<RecurOp>(inner))
      innerLoops.push_back(inner);
    else if (OpOperand *rows = outerKey ? getKeyingRows(inner) : nullptr)
      keyed.push_back(rows);
  });
}

/// The depth of rows of a step, from selections and advances to some depth; null if it is unknown.
static Value buildDepth(OpBuilder &builder, Value rows) {
  Operation *op = rows.getDefiningOp();
  if (auto advance = dyn_cast_or_null<AdvanceOp>(op)) {
    if (advance.getTo())
      return advance.getTo();
    Value before = buildDepth(builder, advance.getFrom());
    Value one = before ? arith::ConstantIndexOp::create(builder, advance.getLoc(), 1).getResult() : Value();
    return before ? arith::AddIOp::create(builder, advance.getLoc(), before, one).getResult() : Value();
  }
  auto choice = dyn_cast_or_null<RowChoiceOpInterface>(op);
  return choice ? buildDepth(builder, choice.getFrom()) : Value();
}

LogicalResult RecurLowering::keyUse(OpOperand &use, Value firstKey) {
  Value rows = use.get();
  Value &known = keyedRows[rows];
  if (!known) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointAfterValue(rows);
    Value depth = buildDepth(rewriter, rows);
    if (!depth)
      return use.getOwner()->emitError()
             << "uses memory by the depth of rows that are not selected from a loop step, in a "
                "loop inside of another one";
    Value key = arith::AddIOp::create(rewriter, loc, firstKey, depth);
    known = AdvanceOp::create(rewriter, loc, rowsType, rows, key);
  }
  use.set(known);
  return success();
}

/// Fails if a loop uses memory by depth whose steps cannot be told apart from those of the loop around it.
LogicalResult RecurLowering::checkNoMemory() {
  Operation *user = keyed.empty() ? nullptr : keyed.front()->getOwner();
  for (Operation *loop : innerLoops)
    loop->walk([&](Operation *inner) {
      if (!user && getKeyingRows(inner))
        user = inner;
    });
  if (!user)
    return success();
  return user->emitError()
         << "uses memory by depth in a loop inside of another one, whose max is neither constant nor the "
            "input 'loops' with a limit";
}

LogicalResult RecurLowering::keyMemory(Value depth) {
  if (!outerKey) {
    for (Operation *inner : innerLoops)
      outerKeys[inner] = depth;
    return success();
  }
  if (keyed.empty() && innerLoops.empty())
    return success();
  std::optional<int64_t> steps = getStepBound(op);
  if (!steps)
    return checkNoMemory();
  Value firstKey = arith::MulIOp::create(rewriter, loc, outerKey, constant(*steps));
  if (!innerLoops.empty()) {
    Value key = arith::AddIOp::create(rewriter, loc, firstKey, depth);
    for (Operation *inner : innerLoops)
      outerKeys[inner] = key;
  }
  return failure(llvm::any_of(keyed, [&](OpOperand *use) { return failed(keyUse(*use, firstKey)); }));
}

LogicalResult RecurLowering::buildStep(ValueRange args) {
  Value depth = args[1], steps = args.back();
  ValueRange carried = args.slice(2, op.getInitial().size());
  // The yield comes first, so that everything else has a place to go before it.
  auto yield = scf::YieldOp::create(rewriter, loc, args);
  rewriter.setInsertionPoint(yield);
  collectKeyed();
  Operation *start = constant(0).getDefiningOp(); // keys stand behind it, before what they are for
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
  rewriter.setInsertionPoint(start);
  LogicalResult result = keyMemory(depth);
  rewriter.eraseOp(start);
  return result;
}

LogicalResult RecurLowering::run() {
  rewriter.setInsertionPoint(op);
  limitMax();
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
  if (failed(buildStep(after->getArguments())))
    return failure();
  rewriter.replaceOp(op, loop.getResults().drop_front(2));
  return success();
}

void LowerRecurPass::runOnOperation() {
  SmallVector<RecurOp> loops;
  getOperation().walk<WalkOrder::PreOrder>([&](RecurOp op) { loops.push_back(op); });
  IRRewriter rewriter(&getContext());
  llvm::DenseMap<Operation *, Value> outerKeys;
  for (RecurOp op : loops) {
    if (getRowLabel(op.getOver().getType())) {
      op.emitError() << "cannot lower 'lariat.recur' over " << op.getOver().getType()
                     << ": row sets still have labels, run lariat-erase-row-sets first";
      return signalPassFailure();
    }
    Location loc = op.getLoc();
    if (failed(RecurLowering(op, rewriter, outerKeys).run()))
      return signalPassFailure();
    remark::passed(loc, remark::RemarkOpts::name("lowered").category(DEBUG_TYPE))
        << "the loop over depth is 'scf.while'";
    ++numLowered;
  }
}
