// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Moves the router of a loop step to the end of the step before, so that every row that enters the block runs it.
//   before:  recur over e carry(x = x0) { ^(a, x): z = router(a, x); k = select a where go(z);
//                                         y = block(take x at k, take z at k); next keep k carry(y) }
//   after:   z0 = router(e at depth from, x0); f = select e where go(z0)
//            recur over f carry(x = take x0 at f, z = take z0 at f) {
//              ^(a, x, z): y = block(x, z); z1 = router(a advanced, y); next keep a carry(y, z1) stop(not go(z1)) }
//            finals = put finals of f into x0; steps = put steps of f into from
// A row that fails at depth d > 0 stopped, with steps = d, before that step in both; one that fails at entry keeps x0
// and steps = from. A row that ends at max is scored once more, without effect: weights of the router that end with the
// depths get beyond = clamp. Left alone, with a missed remark: anything else.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

#define DEBUG_TYPE "lariat-rotate-router"

namespace lariat {
#define GEN_PASS_DEF_ROTATEROUTERPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// How the steps of one loop decide which of their rows go on.
struct Router {
  SelectOp select;
  /// The ops that compute the bits, in order.
  SmallVector<Operation *> ops;
  /// What they compute and the step uses behind the selection, so that it must be carried.
  SmallVector<Value> remembered;
};

/// The router's values for some rows.
struct Decision {
  Value go;
  SmallVector<Value> remembered;
};

struct RotateRouterPass : lariat::impl::RotateRouterPassBase<RotateRouterPass> {
  void runOnOperation() override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// The first selection from the rows of the step that leads to the rows it keeps; null if it keeps all.
static Operation *findFirstSelection(RecurOp loop) {
  Operation *first = nullptr;
  for (Value kept = loop.getNext().getKept(); kept != loop.getStepRows();) {
    first = kept.getDefiningOp();
    kept = isa<TopKOp>(first) ? cast<TopKOp>(first).getFrom() : first->getOperand(0);
  }
  return first;
}

static bool isRowTensor(Value value) { return isa<RankedTensorType>(value.getType()) && isRowValue(value); }

/// Whether `op` decides on each row of the step by itself.
static bool isRouterOp(Operation *op, RecurOp loop) {
  if (op->getBlock() != &loop.getBody().front())
    return false;
  Value rows = loop.getStepRows();
  if (auto take = dyn_cast<TakeOp>(op))
    return take.getAt() == rows && loop.isDefinedOutsideOfLoop(take.getValue());
  if (isa<DepthOfOp, GeneratedOfOp, PositionOfOp>(op))
    return op->getOperand(0) == rows;
  // It also runs for rows at max, whose decision does not matter.
  if (!isRowLocal(op) || !isSpeculatable(op) || !capturesFromOutsideOnly(op, loop))
    return false;
  return llvm::all_of(op->getOperands(),
                      [&](Value operand) { return !isa<RowsType>(operand.getType()) || operand == rows; });
}

/// Whether a step may compute the op anew, for it needs neither what the step carries nor the router's work.
static bool isCheap(Operation *op) {
  auto spread = dyn_cast<SpreadOp>(op);
  return isa<TakeOp, DepthOfOp, GeneratedOfOp, PositionOfOp>(op) || llvm::none_of(op->getResults(), isRowTensor) ||
         (spread && !isRowValue(spread.getValue()));
}

/// The ops behind `select`, in order; false if one of them sees other rows.
static bool collectRouterOps(RecurOp loop, Router &router) {
  llvm::SetVector<Operation *> found;
  SmallVector<Value> pending{router.select.getWhere()};
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val().getDefiningOp();
    if (!op || !loop->isProperAncestor(op) || found.contains(op))
      continue;
    if (!isRouterOp(op, loop))
      return false;
    found.insert(op);
    llvm::append_range(pending, op->getOperands());
  }
  for (Operation &op : loop.getBody().front())
    if (found.contains(&op))
      router.ops.push_back(&op);
  return true;
}

/// Whether a use of a value of all rows of the step is the router's, or takes from it.
static bool isAllowedUse(OpOperand &use, Router &router, Value rows) {
  Operation *user = use.getOwner();
  if (user == router.select.getOperation() || llvm::is_contained(router.ops, user))
    return true;
  auto take = dyn_cast<TakeOp>(user);
  return take && take.getAt() != rows;
}

/// Fills in the router of a loop; says why there is none, or nothing.
static std::string findRouter(RecurOp loop, Router &router) {
  if (loop.getNext().getStop())
    return "the loop already stops rows";
  if (loop.hasFill())
    return "the fill region would run one depth earlier";
  Operation *first = findFirstSelection(loop);
  if (!first)
    return "each step keeps all of its rows";
  router.select = dyn_cast<SelectOp>(first);
  if (!router.select || !collectRouterOps(loop, router))
    return "the router mixes rows";
  SmallVector<Value> values(loop.getBody().getArguments());
  for (Operation *op : router.ops)
    llvm::copy_if(op->getResults(), std::back_inserter(values), isRowTensor);
  for (Value value : values) {
    for (OpOperand &use : value.getUses())
      if (!isAllowedUse(use, router, loop.getStepRows()))
        return ("'" + use.getOwner()->getName().getStringRef() +
                "' uses rows of the step that the router did not choose")
            .str();
    Operation *def = value.getDefiningOp();
    bool usedBehind = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return user != router.select.getOperation() && !llvm::is_contained(router.ops, user);
    });
    if (def && usedBehind && !isCheap(def))
      router.remembered.push_back(value);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Rewrite
//===----------------------------------------------------------------------===//

/// Runs the router on `rows` at their next depth, or at depth `to`, with these carried values.
static Decision decide(OpBuilder &builder, RecurOp loop, const Router &router, Value rows, ValueRange carried,
                       Value to) {
  auto type = cast<RowsType>(rows.getType());
  auto advanced = AdvanceOp::create(builder, router.select->getLoc(), type, rows, to);
  IRMapping mapping;
  mapping.map(loop.getStepRows(), advanced);
  mapping.map(loop.getCarried(), carried);
  for (Operation *op : router.ops) {
    auto take = dyn_cast<TakeOp>(op);
    if (take && take.getFrom().getType() == type)
      mapping.map(take.getResult(), take.getValue());
    else
      cloneForRows(builder, op, mapping, type);
  }
  if (advanced->use_empty())
    advanced.erase();
  SelectOp select = router.select;
  Decision decision{mapping.lookupOrDefault(select.getWhere()), {}};
  for (Value value : router.remembered)
    decision.remembered.push_back(mapping.lookup(value));
  return decision;
}

/// Clones the body for rows that have all been chosen.
static void cloneBody(RecurOp loop, RecurOp rotated, const Router &router) {
  SmallVector<Type> types(loop.getBody().getArgumentTypes());
  llvm::append_range(types, ValueRange(router.remembered).getTypes());
  OpBuilder builder(loop.getContext());
  Block *body = builder.createBlock(&rotated.getBody(), {}, types, SmallVector<Location>(types.size(), loop.getLoc()));
  auto arguments = body->getArguments();
  unsigned numOld = loop.getBody().getNumArguments();
  SelectOp select = router.select;
  IRMapping mapping;
  mapping.map(loop.getBody().getArguments(), arguments.take_front(numOld));
  mapping.map(router.remembered, arguments.drop_front(numOld));
  mapping.map(select.getResult(), rotated.getStepRows());
  for (Operation &op : loop.getBody().front().without_terminator())
    if (&op != select.getOperation() && (!llvm::is_contained(router.ops, &op) || isCheap(&op)))
      builder.clone(op, mapping);
  NextOp next = loop.getNext();
  Location loc = next.getLoc();
  Value kept = mapping.lookup(next.getKept());
  SmallVector<Value> values;
  for (Value value : next.getValues())
    values.push_back(mapping.lookup(value));
  Decision decision = decide(builder, loop, router, kept, values, /*to=*/Value());
  llvm::append_range(values, decision.remembered);
  Value stop = arith::XOrIOp::create(builder, loc, decision.go, buildBits(builder, loc, kept, /*bit=*/true));
  NextOp::create(builder, loc, kept, values, stop);
}

/// Renames the chosen rows' set to that of the step, which now are the same.
static void renameChosen(RecurOp rotated, RowsType chosen, RowsType step) {
  AttrTypeReplacer replacer;
  replacer.addReplacement(
      [=](RowsType type) -> std::optional<Type> { return type == chosen ? std::optional<Type>(step) : std::nullopt; });
  replacer.addReplacement([=](OfAttr of) -> std::optional<Attribute> {
    if (of.getLabel() != chosen.getLabel())
      return std::nullopt;
    return OfAttr::get(of.getContext(), step.getLabel());
  });
  replacer.recursivelyReplaceElementsIn(rotated, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
  dropWholeTakes(rotated);
  eraseDeadOps(rotated.getBody().front());
}

static void rotate(RecurOp loop, const Router &router) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  Value over = loop.getOver(), from = loop.getFrom();
  Value depth = from ? from : arith::ConstantIndexOp::create(builder, loc, 0).getResult();
  Decision decision = decide(builder, loop, router, over, loop.getInitial(), depth);
  if (!from && depth.use_empty())
    depth.getDefiningOp()->erase();
  RowsType type = LabelPool(loop->getParentWithTrait<OpTrait::IsIsolatedFromAbove>()).getFresh("chosen");
  Value chosen = SelectOp::create(builder, loc, type, over, decision.go);
  auto atChosen = [&](Value value) -> Value { return TakeOp::create(builder, loc, value, over, chosen); };
  SmallVector<Value> initial;
  for (ValueRange values : {ValueRange(loop.getInitial()), ValueRange(decision.remembered)})
    llvm::append_range(initial, llvm::map_range(values, atChosen));
  Value max = isa<RankedTensorType>(loop.getMax().getType()) ? atChosen(loop.getMax()) : Value(loop.getMax());
  auto rotated = RecurOp::create(builder, loc, ValueRange(initial).getTypes(),
                                 getRowTensorType(type, builder.getI32Type()), max, from, chosen, initial);
  rotated->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
  cloneBody(loop, rotated, router);
  SelectOp select = router.select;
  renameChosen(rotated, select.getResult().getType(), loop.getStepRows().getType());
  auto putBack = [&](Value result, Value value, Value into) {
    if (!result.use_empty())
      result.replaceAllUsesWith(
          PutOp::create(builder, loc, into.getType(), value, chosen, into, over, PutKind::Replace));
  };
  for (auto [final, value, init] : llvm::zip(loop.getFinals(), rotated.getFinals(), loop.getInitial()))
    putBack(final, value, init);
  if (!loop.getSteps().use_empty())
    putBack(loop.getSteps(), rotated.getSteps(), buildSteps(builder, loc, over, from));
  loop.erase();
}

/// The router is asked for the depth behind the last one too, where the answer does not matter.
static void clampWeights(const Router &router) {
  for (Operation *op : router.ops)
    op->getAttrDictionary().walk([&](FlatSymbolRefAttr name) {
      auto weight = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, name);
      if (weight && weight.getDepths())
        weight.setBeyond(Beyond::Clamp);
    });
}

void RotateRouterPass::runOnOperation() {
  SmallVector<RecurOp> loops;
  getOperation().walk<WalkOrder::PostOrder>([&](RecurOp loop) { loops.push_back(loop); });
  for (RecurOp loop : loops) {
    Router router;
    std::string reason = findRouter(loop, router);
    if (!reason.empty()) {
      remark::missed(loop.getLoc(), remark::RemarkOpts::name("router").category(DEBUG_TYPE))
          << ("not rotated: " + reason);
      continue;
    }
    clampWeights(router);
    rotate(loop, router);
    ++numRotated;
  }
}
