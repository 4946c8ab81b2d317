// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fixes what rows that stopped leave in the caches of a loop.
//   compute    before: next keep k carry(y) stop(s)
//              after:  carried also done = false, steps = from and, for each result that is used, a copy z = init;
//                      next keep k carry(y, done or s, done ? steps : d + 1, done ? z : y); results are z and steps
//   otherwise  appends of `fill` go unless the cache propagates, and with the last of them the region
//   one depth  before: f = work(x of k); append f at k      (a policy that writes at depth 0 only)
//              after:  w = select k where depth == 0; append work(take x at w) at w; `work` runs for w only
//   scope      before: next keep k stop(s)                  (a policy whose exit scope is generated rows)
//              after:  next keep k stop(s and generated_of k)
// The latch gives the same results: until `done` is set, z is the carried value and steps counts the steps kept, also
// of a row that is dropped or stays below max. Refused: a mode that a cache does not allow or that would change what it
// shows of dropped rows, `compute` without an exit, `propagate` without a fill, an exit scope where the loop drops rows
// or its caches disagree, a look ahead where rows run one by one.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "lariat-resolve-kv-policy"

namespace lariat {
#define GEN_PASS_DEF_RESOLVEKVPOLICYPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// The caches that loops append to, with those appends; appends of `fill` regions apart.
struct LoopedCaches {
  llvm::MapVector<CacheOp, SmallVector<AppendOp>> appends;
  llvm::MapVector<CacheOp, SmallVector<AppendOp>> fills;
};

/// Moves the work behind some appends to the rows that write.
class Narrowing {
public:
  Narrowing(Value rows, ArrayRef<AppendOp> appends) : rows(rows), appends(appends) {}

  void run();

private:
  /// Whether `op` computes row tensors of `rows`, row by row, that nothing but the appends needs.
  bool isOnlyForAppends(Operation *op) const;

  /// `value` at the rows that write.
  Value narrow(Value value);

  Value rows;
  ArrayRef<AppendOp> appends;
  /// Operations that are computed for the writing rows only, the last first.
  llvm::SetVector<Operation *> moved;
  IRMapping narrowed;
  Value writing;
};

struct ResolveKVPolicyPass : lariat::impl::ResolveKVPolicyPassBase<ResolveKVPolicyPass> {
  using ResolveKVPolicyPassBase::ResolveKVPolicyPassBase;

  void runOnOperation() override;

private:
  LogicalResult resolve(LoopedCaches &caches);
};

} // namespace

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// More depths than a policy has slots, for caches that set no bound.
static constexpr int64_t kManyDepths = int64_t(1) << 20;

/// The outermost loop around `op` whose steps may stop a row; null if none does.
static RecurOp getStoppingLoop(Operation *op) {
  RecurOp found;
  for (auto loop = op->getParentOfType<RecurOp>(); loop; loop = loop->getParentOfType<RecurOp>())
    if (loop.getNext().getStop())
      found = loop;
  return found;
}

/// The loop whose `fill` region holds `op`; null if none does.
static RecurOp getFilledLoop(Operation *op) {
  for (auto loop = op->getParentOfType<RecurOp>(); loop; loop = loop->getParentOfType<RecurOp>())
    if (loop.hasFill() && loop.getFill().isAncestor(op->getParentRegion()))
      return loop;
  return {};
}

static LoopedCaches collectCaches(ModuleOp module) {
  LoopedCaches caches;
  SymbolTableCollection symbols;
  module.walk([&](AppendOp append) {
    if (!append->getParentOfType<RecurOp>())
      return;
    auto cache = symbols.lookupNearestSymbolFrom<CacheOp>(append, append.getCacheAttr());
    (getFilledLoop(append) ? caches.fills : caches.appends)[cache].push_back(append);
  });
  return caches;
}

/// Whether rows write at depth 0 only.
static bool writesFirstOnly(KVPolicyAttrInterface policy) {
  return !isPhased(policy) && policy.getSlotRule().kind == SlotRule::First;
}

//===----------------------------------------------------------------------===//
// Decision: which mode each cache has
//===----------------------------------------------------------------------===//

/// A row that runs before the next one starts cannot see it.
static LogicalResult checkSeen(ModuleOp module) {
  SymbolTableCollection symbols;
  WalkResult result = module.walk([&](AttendOp attend) {
    auto cache = symbols.lookupNearestSymbolFrom<CacheOp>(attend, attend.getCacheAttr());
    bool runsOneByOne = attend->getParentOfType<RecurOp>() && !attend.getSlot() &&
                        cache.getPolicy().getRowOrder(cache.getDepths().value_or(kManyDepths)) == RowOrder::Sequential;
    if (!runsOneByOne || attend.getMask().getKind() != MaskKind::Full)
      return WalkResult::advance();
    attend.emitError() << "cannot look ahead in cache @" << cache.getSymName()
                       << ": its order is sequential, so a row runs before later ones are there";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// A row that the router of `loop` drops is looked up as before only if the policy looks up the same way.
static LogicalResult checkDroppedRows(CacheOp cache, MissingMode mode, RecurOp loop) {
  KVPolicyAttrInterface policy = cache.getPolicy();
  NextOp next = loop.getNext();
  if (policy.getLookUp() == policy.withMissing(mode).getLookUp() || next.getKept() == loop.getStepRows())
    return success();
  return (next.emitError() << "cannot run rows on for cache @" << cache.getSymName()
                           << ": the loop also drops rows, for "
                           << "which the cache declares missing = " << stringifyMissingMode(*policy.getMissingMode()))
             .attachNote(cache.getLoc())
         << "the cache is declared here";
}

static LogicalResult checkAllowed(CacheOp cache, MissingMode mode) {
  KVPolicyAttrInterface policy = cache.getPolicy();
  if (policy.allowsMissing(mode))
    return success();
  InFlightDiagnostic diag = cache.emitError()
                            << "cache @" << cache.getSymName()
                            << " does not allow missing = " << stringifyMissingMode(mode) << ", expected one of ";
  SmallVector<StringRef> allowed;
  for (uint32_t value = 0; value <= getMaxEnumValForMissingMode(); ++value)
    if (auto other = symbolizeMissingMode(value); other && policy.allowsMissing(*other))
      allowed.push_back(stringifyMissingMode(*other));
  llvm::interleaveComma(allowed, diag);
  return diag;
}

/// Gives each cache that distinguishes the picked mode.
static LogicalResult pickMode(ModuleOp module, LoopedCaches &caches, MissingMode mode) {
  bool applies = false;
  for (auto &[cache, appends] : caches.appends) {
    if (!cache.getPolicy().getMissingMode())
      continue;
    if (failed(checkAllowed(cache, mode)))
      return failure();
    if (mode == MissingMode::Compute) {
      RecurOp loop = getStoppingLoop(appends.front());
      if (!loop)
        continue;
      if (failed(checkDroppedRows(cache, mode, loop)))
        return failure();
    }
    applies = true;
    cache.setPolicyAttr(cache.getPolicy().withMissing(mode));
  }
  if (applies)
    return success();
  if (mode == MissingMode::Compute)
    return module.emitError("cannot apply missing = compute: no loop that appends to a cache with missing entries "
                            "stops rows");
  return module.emitError() << "cannot apply missing = " << stringifyMissingMode(mode)
                            << ": no cache of a loop distinguishes what is missing";
}

/// A declared `compute` is what this pass leaves behind: then no loop stops rows any more.
static LogicalResult checkDeclared(LoopedCaches &caches) {
  for (auto &[cache, appends] : caches.appends) {
    if (cache.getPolicy().getMissingMode() != MissingMode::Compute)
      continue;
    if (RecurOp loop = getStoppingLoop(appends.front()))
      return (cache.emitError() << "cache @" << cache.getSymName()
                                << " declares missing = compute, which is a choice of the caller: declare another mode")
                 .attachNote(loop.getLoc())
             << "this loop stops rows";
  }
  return success();
}

static LogicalResult checkFilled(LoopedCaches &caches) {
  for (auto &[cache, appends] : caches.appends) {
    if (!propagates(cache.getPolicy()))
      continue;
    for (AppendOp append : appends) {
      bool filled = llvm::any_of(caches.fills.lookup(cache), [&](AppendOp fill) {
        return fill.getLayer() == append.getLayer() && getFilledLoop(fill)->isAncestor(append);
      });
      if (!filled)
        return (append.emitError() << "cannot use missing = propagate: no fill region appends to layer "
                                   << append.getLayer() << " of @" << cache.getSymName())
                   .attachNote(append->getParentOfType<RecurOp>().getLoc())
               << "the loop starts here";
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Rewrite: exit scope
//===----------------------------------------------------------------------===//

/// Loops that stop generated rows only, with the cache that says so.
using ScopedLoops = llvm::MapVector<Operation *, CacheOp>;

static LogicalResult collectScoped(LoopedCaches &caches, ScopedLoops &scoped) {
  for (auto &[cache, appends] : caches.appends)
    if (cache.getPolicy().findExitScope() == ExitScope::Generated)
      for (AppendOp append : appends)
        for (auto loop = append->getParentOfType<RecurOp>(); loop; loop = loop->getParentOfType<RecurOp>())
          scoped.try_emplace(loop.getOperation(), cache);
  for (auto [op, cache] : scoped) {
    NextOp next = cast<RecurOp>(op).getNext();
    if (next.getKept() != cast<RecurOp>(op).getStepRows())
      return (next.emitError() << "cannot keep rows of the prompt in the loop of cache @" << cache.getSymName()
                               << ": its exit scope is generated rows, but the loop drops rows")
                 .attachNote(cache.getLoc())
             << "the cache is declared here";
  }
  for (auto &[cache, appends] : caches.appends)
    if (cache.getPolicy().findExitScope() == ExitScope::All)
      for (AppendOp append : appends)
        if (CacheOp other = scoped.lookup(append->getParentOfType<RecurOp>().getOperation()))
          return (cache.emitError() << "cache @" << cache.getSymName() << " lets all rows exit, but @"
                                    << other.getSymName() << " of the same loop only generated ones")
                     .attachNote(other.getLoc())
                 << "the other cache is declared here";
  return success();
}

/// Lets the stop bit of a loop count for generated rows only.
static void narrowStop(RecurOp loop) {
  NextOp next = loop.getNext();
  if (!next.getStop())
    return;
  OpBuilder builder(next);
  Value generated = buildIsGenerated(builder, next.getLoc(), next.getKept());
  next.getStopMutable().assign(arith::AndIOp::create(builder, next.getLoc(), next.getStop(), generated).getResult());
}

//===----------------------------------------------------------------------===//
// Rewrite: fill regions
//===----------------------------------------------------------------------===//

static void dropFills(LoopedCaches &caches) {
  SmallVector<RecurOp> loops;
  for (auto &[cache, fills] : caches.fills) {
    if (propagates(cache.getPolicy()))
      continue;
    for (AppendOp fill : fills) {
      loops.push_back(getFilledLoop(fill));
      fill.erase();
    }
  }
  for (RecurOp loop : loops) {
    if (!loop.hasFill())
      continue;
    Region &fill = loop.getFill();
    eraseDeadOps(fill.front());
    if (!fill.front().getOps<AppendOp>().empty())
      continue;
    fill.dropAllReferences();
    fill.getBlocks().clear();
  }
}

//===----------------------------------------------------------------------===//
// Rewrite: the latch of `compute`
//===----------------------------------------------------------------------===//

/// `done ? latched : value`, row by row.
static Value buildLatch(OpBuilder &builder, Location loc, Value done, Value latched, Value value, Value rows) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() > 1)
    done = SpreadOp::create(
        builder, loc, getRowTensorType(rows.getType(), builder.getI1Type(), type.getShape().drop_front()), done, rows);
  return arith::SelectOp::create(builder, loc, done, latched, value);
}

/// depth + 1 as i32 for each row.
static Value buildReached(OpBuilder &builder, Location loc, Value rows) {
  Type index = getRowTensorType(rows.getType(), builder.getIndexType());
  Type i32 = getRowTensorType(rows.getType(), builder.getI32Type());
  Value depth = arith::IndexCastOp::create(builder, loc, i32, DepthOfOp::create(builder, loc, index, rows));
  Value one = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(1));
  return arith::AddIOp::create(builder, loc, depth, SpreadOp::create(builder, loc, i32, one, rows));
}

static LogicalResult checkLatch(RecurOp loop) {
  for (auto [index, value] : llvm::enumerate(loop.getFinals()))
    if (auto type = cast<RankedTensorType>(value.getType()); type.getRank() > 2 && !value.use_empty())
      return loop.emitError() << "cannot latch carried value " << index << " of type " << type
                              << ", expected rank 1 or 2";
  return success();
}

/// Adds what the step computes for the latched values, in the order of the new carried values, and drops `stop`.
static void latchNext(RecurOp loop, ArrayRef<unsigned> copied, unsigned numCarried) {
  NextOp next = loop.getNext();
  OpBuilder builder(next);
  Location loc = next.getLoc();
  Value rows = loop.getStepRows(), kept = next.getKept();
  auto atKept = [&](Value value) -> Value {
    return kept.getType() == rows.getType() ? value : TakeOp::create(builder, loc, value, rows, kept).getResult();
  };
  auto extra = loop.getCarried().drop_front(numCarried);
  Value done = atKept(extra[0]);
  SmallVector<Value> values(next.getValues());
  values.push_back(arith::OrIOp::create(builder, loc, done, next.getStop()));
  values.push_back(buildLatch(builder, loc, done, atKept(extra[1]), atKept(buildReached(builder, loc, rows)), kept));
  for (auto [copy, index] : llvm::zip_equal(extra.drop_front(2), copied))
    values.push_back(buildLatch(builder, loc, done, atKept(copy), next.getValues()[index], kept));
  NextOp::create(builder, loc, kept, values, /*stop=*/Value());
  next.erase();
}

static void latchStop(RecurOp loop) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  unsigned numCarried = loop.getInitial().size();
  SmallVector<unsigned> copied;
  SmallVector<Value> initial(loop.getInitial());
  initial.push_back(buildBits(builder, loc, loop.getOver(), /*bit=*/false));
  initial.push_back(buildSteps(builder, loc, loop.getOver(), loop.getFrom()));
  for (auto [index, value] : llvm::enumerate(loop.getFinals())) {
    if (value.use_empty())
      continue;
    copied.push_back(index);
    initial.push_back(loop.getInitial()[index]);
  }
  auto latched = RecurOp::create(builder, loc, ValueRange(initial).getTypes(), loop.getSteps().getType(), loop.getMax(),
                                 loop.getFrom(), loop.getOver(), initial);
  latched->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
  for (auto [region, old] : llvm::zip_equal(latched->getRegions(), loop->getRegions())) {
    region.takeBody(old);
    if (region.empty())
      continue;
    auto rows = cast<RowsType>(region.getArgument(0).getType());
    for (Value value : ArrayRef<Value>(initial).drop_front(numCarried))
      region.addArgument(withRows(cast<RankedTensorType>(value.getType()), rows), loc);
  }
  latchNext(latched, copied, numCarried);
  loop.getSteps().replaceAllUsesWith(latched.getFinals()[numCarried + 1]);
  for (auto [copy, index] : llvm::zip_equal(latched.getFinals().drop_front(numCarried + 2), copied))
    loop.getFinals()[index].replaceAllUsesWith(copy);
  loop.erase();
}

/// Loops that stop rows and append to a cache for which rows run on, the inner ones first.
static SmallVector<RecurOp> findLoopsToLatch(ModuleOp module, LoopedCaches &caches) {
  llvm::SetVector<Operation *> wanted;
  for (auto &[cache, appends] : caches.appends)
    if (cache.getPolicy().getMissingMode() == MissingMode::Compute)
      for (AppendOp append : appends)
        for (auto loop = append->getParentOfType<RecurOp>(); loop; loop = loop->getParentOfType<RecurOp>())
          if (loop.getNext().getStop())
            wanted.insert(loop);
  SmallVector<RecurOp> loops;
  module.walk<WalkOrder::PostOrder>([&](RecurOp loop) {
    if (wanted.contains(loop))
      loops.push_back(loop);
  });
  return loops;
}

//===----------------------------------------------------------------------===//
// Rewrite: appends of one depth
//===----------------------------------------------------------------------===//

bool Narrowing::isOnlyForAppends(Operation *op) const {
  auto isOurs = [&](Operation *user) { return moved.contains(user) || llvm::is_contained(appends, user); };
  if (op->use_empty() || !llvm::all_of(op->getUsers(), isOurs))
    return false;
  auto belongs = [&](Value value) { return getRowLabel(value.getType()) == getRowLabel(rows.getType()); };
  if (!llvm::all_of(op->getResults(),
                    [&](Value value) { return isa<RankedTensorType>(value.getType()) && belongs(value); }))
    return false;
  if (auto take = dyn_cast<TakeOp>(op))
    return take.getAt() == rows;
  // Without a row operand nothing says how many rows there are.
  return isRowLocal(op) && llvm::any_of(op->getOperands(), belongs) &&
         llvm::all_of(op->getOperands(), [&](Value value) { return !isa<RowsType>(value.getType()) || value == rows; });
}

Value Narrowing::narrow(Value value) {
  if (Value known = narrowed.lookupOrNull(value))
    return known;
  Operation *def = value.getDefiningOp();
  OpBuilder builder(rows.getContext());
  if (!def || !moved.contains(def)) {
    builder.setInsertionPointAfterValue(def ? value : writing);
    narrowed.map(value, TakeOp::create(builder, value.getLoc(), value, rows, writing).getResult());
    return narrowed.lookup(value);
  }
  IRMapping mapping;
  mapping.map(rows, writing);
  if (!isa<TakeOp>(def))
    for (Value operand : def->getOperands())
      if (operand != rows && getRowLabel(operand.getType()))
        mapping.map(operand, narrow(operand));
  builder.setInsertionPoint(def);
  Operation *clone = cloneForRows(builder, def, mapping, cast<RowsType>(writing.getType()));
  narrowed.map(def->getResults(), clone->getResults());
  return narrowed.lookup(value);
}

void Narrowing::run() {
  Operation *root = appends.front()->getParentWithTrait<OpTrait::IsIsolatedFromAbove>();
  OpBuilder builder(rows.getContext());
  builder.setInsertionPointAfterValue(rows);
  AppendOp first = appends.front();
  Location loc = first.getLoc();
  Value bits = buildIsAtDepth(builder, loc, rows, /*depth=*/0);
  writing = SelectOp::create(builder, loc, LabelPool(root).getFresh("writing"), rows, bits);
  for (Operation &op : llvm::reverse(*appends.front()->getBlock()))
    if (isOnlyForAppends(&op))
      moved.insert(&op);
  for (AppendOp append : appends) {
    append.getKeyMutable().assign(narrow(append.getKey()));
    append.getValueMutable().assign(narrow(append.getValue()));
    append.getAtMutable().assign(writing);
  }
  for (Operation *op : moved)
    op->erase();
}

/// Narrows the appends of one-depth policies; returns how many.
static unsigned narrowAppends(LoopedCaches &caches) {
  llvm::MapVector<std::pair<Block *, Value>, SmallVector<AppendOp>> groups;
  unsigned numNarrowed = 0;
  for (auto &[cache, appends] : caches.appends)
    for (AppendOp append : appends)
      if (writesFirstOnly(cache.getPolicy()) && !append.getSlot() && getRowLabel(append.getAt().getType()))
        groups[{append->getBlock(), append.getAt()}].push_back(append);
  for (auto &[key, appends] : groups) {
    remark::passed(appends.front().getLoc(), remark::RemarkOpts::name("narrowed").category(DEBUG_TYPE))
        << llvm::formatv("keys and values of {0} appends are those of rows at depth 0", appends.size()).str();
    Narrowing(key.second, appends).run();
    numNarrowed += appends.size();
  }
  return numNarrowed;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

LogicalResult ResolveKVPolicyPass::resolve(LoopedCaches &caches) {
  ScopedLoops scoped;
  if (failed(checkSeen(getOperation())) || failed(checkDeclared(caches)) || failed(collectScoped(caches, scoped)))
    return failure();
  if (!missing.empty()) {
    std::optional<MissingMode> mode = symbolizeMissingMode(missing);
    if (!mode)
      return getOperation().emitError() << "unknown missing mode '" << missing.getValue()
                                        << "', expected skip, slot0, copy_last, propagate or compute";
    if (failed(pickMode(getOperation(), caches, *mode)))
      return failure();
  }
  if (failed(checkFilled(caches)))
    return failure();
  SmallVector<RecurOp> loops = findLoopsToLatch(getOperation(), caches);
  if (llvm::any_of(loops, [](RecurOp loop) { return failed(checkLatch(loop)); }))
    return failure();
  dropFills(caches);
  for (auto [loop, cache] : scoped) {
    remark::passed(loop->getLoc(), remark::RemarkOpts::name("scoped").category(DEBUG_TYPE))
        << "only generated rows may leave this loop";
    narrowStop(cast<RecurOp>(loop));
  }
  numScoped += scoped.size();
  for (RecurOp loop : loops) {
    remark::passed(loop.getLoc(), remark::RemarkOpts::name("latched").category(DEBUG_TYPE))
        << "rows that stop run on, and keep their results";
    latchStop(loop);
  }
  numLatched += loops.size();
  numNarrowed += narrowAppends(caches);
  return success();
}

void ResolveKVPolicyPass::runOnOperation() {
  LoopedCaches caches = collectCaches(getOperation());
  if (failed(resolve(caches)))
    signalPassFailure();
}
