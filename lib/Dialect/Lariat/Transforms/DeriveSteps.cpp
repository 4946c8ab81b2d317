// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Splits a looped function, which stays, so that a scheduler can run one loop step at a time for rows of any depths.
//   entry:    P; finals, steps = recur max over e carry(x = init) { body } fill { f }; C
//   prelude:  P, then the seat record of each row of the call
//   core:     body for the rows given, carried values and invariants being arguments at those rows
//   fill:     f likewise
//   coda:     C, with finals and steps as arguments
// Where a latch settles all that C uses of the loop, its result of core says so: C may run while the row runs on.
// What the coda needs from P is computed again where it depends on constants and row sets alone, and kept in the record
// otherwise. Nothing in the body names a depth and rows mix through caches and state only, so running @core for the
// rows of one depth after the other is the loop. Refused: what breaks either, each with the op that does.

#include "Latch.h"
#include "RowSets.h"
#include "lariat/Dialect/Lariat/IR/StepRecord.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/RegionUtils.h"

#define DEBUG_TYPE "lariat-derive-steps"

namespace lariat {
#define GEN_PASS_DEF_DERIVESTEPSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// The split of one function at its loop.
class StepSplitter {
public:
  StepSplitter(func::FuncOp entry, RecurOp loop, Value root) : entry(entry), loop(loop), root(root) {}

  /// Collects what enters a region of the loop from outside; refuses what a step function cannot have.
  LogicalResult collectInvariants(Region &region);
  /// Builds the functions behind the entry; what the coda needs decides the record, so it is built first.
  LogicalResult build();
  /// Prints the record, field by field.
  void emitLayout();
  unsigned getNumFields() { return getRecord().size(); }

private:
  LogicalResult buildCoda();
  void buildPrelude();
  void buildCore();
  void buildFill();

  /// Parts and values of the record's fields, in order, behind the one that says which rows entered.
  SmallVector<std::pair<abi::RecordPart, Value>> getRecord();
  /// An empty function behind the entry with one block of these arguments.
  func::FuncOp createFunction(StringRef name, TypeRange inputs);
  /// Ends a function and gives it its type.
  void finish(func::FuncOp function, ValueRange results);
  /// Gives a function the entry's arguments, which come first, with their attributes.
  void copyArgumentAttrs(func::FuncOp function);
  /// Clones a region of the loop into a new function; `mapping` ends up with all of its values.
  func::FuncOp cloneRegion(StringRef name, Region &region, IRMapping &mapping);
  /// The first row set before the loop with the label of a row tensor; null without one.
  Value getRowsOf(Value tensor);
  bool isOfRoot(Value value) const { return getRowLabel(value.getType()) == getRowLabel(root.getType()); }
  /// `tensor` with one line per row of the call: zeros where it has none.
  Value spreadToRoot(OpBuilder &builder, Value tensor, Value rows, Value newRoot);
  /// Makes a value from before the loop available in the coda.
  LogicalResult bringToCoda(OpBuilder &builder, Value value, Operation *user);
  LogicalResult bringRowsToCoda(OpBuilder &builder, Value rows, Operation *user);

  func::FuncOp entry;
  RecurOp loop;
  Value root;
  llvm::SetVector<Value> invariants;
  /// Row sets from outside of which the loop takes, and constants it uses.
  llvm::SetVector<Value> outerRows, outerConstants;
  SmallVector<Value> codaValues;
  IRMapping codaMapping;
  Block *coda = nullptr;
};

struct DeriveStepsPass : lariat::impl::DeriveStepsPassBase<DeriveStepsPass> {
  using DeriveStepsPassBase::DeriveStepsPassBase;

  void runOnOperation() override;
};

} // namespace

static InFlightDiagnostic refuse(Operation *op) { return op->emitError() << "cannot derive step functions: "; }

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// The one loop over depth of a function, which is not inside another loop or branch.
static FailureOr<RecurOp> findLoop(func::FuncOp entry) {
  SmallVector<RecurOp> loops;
  entry.walk<WalkOrder::PreOrder>([&](RecurOp op) {
    loops.push_back(op);
    return WalkResult::skip();
  });
  if (loops.empty())
    return refuse(entry) << "@" << entry.getSymName() << " has no loop over depth";
  RecurOp loop = loops.front();
  if (loops.size() > 1)
    return (refuse(loops[1]) << "@" << entry.getSymName() << " has " << loops.size() << " loops over depth, expected 1")
               .attachNote(loop.getLoc())
           << "the first loop starts here";
  if (!llvm::hasSingleElement(entry.getBody()) || loop->getBlock() != &entry.front())
    return refuse(loop->getParentOp()) << "'" << loop->getParentOp()->getName() << "' contains the loop over depth";
  if (loop.getFrom() && !matchPattern(loop.getFrom(), m_Zero()))
    return refuse(loop) << "its rows enter at a depth of their own, expected 0";
  return loop;
}

/// Whether `op` sees rows together through caches, state and row sets at most; ops that do not say do not.
static bool keepsRowsApart(Operation *op) {
  bool usesMemory = isa<AppendOp, AttendOp, ScanOp, ShiftOp>(op);
  bool movesRows = isa<AdvanceOp, DepthOfOp, GeneratedOfOp, LastOp, NextOp, PositionOfOp, PutOp, SelectOp, TakeOp>(op);
  return usesMemory || movesRows || isa_and_nonnull<scf::SCFDialect>(op->getDialect()) || isRowLocal(op);
}

static LogicalResult checkRowsApart(RecurOp loop) {
  WalkResult result = loop.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    // The body of an op that is row-local as a whole is scalar code.
    if (keepsRowsApart(op))
      return isRowLocal(op) ? WalkResult::skip() : WalkResult::advance();
    InFlightDiagnostic diag = refuse(op);
    if (isa<RecurOp>(op))
      diag << "the loop holds another loop over depth";
    else
      diag << "'" << op->getName() << "' mixes rows";
    if (isa<TopKOp>(op))
      diag.attachNote() << "'lariat-apply-decode-rule' puts a causal rule in its place";
    diag.attachNote(loop.getLoc()) << "the loop starts here";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult StepSplitter::collectInvariants(Region &region) {
  llvm::SetVector<Value> outer;
  getUsedValuesDefinedAbove(region, outer);
  for (Value value : outer) {
    if (!isRowValue(value)) {
      outerConstants.insert(value);
      if (!isRepeatable(value))
        return refuse(loop) << "it uses an outer value of type " << value.getType()
                            << ", expected row tensors, constants and weights";
      continue;
    }
    for (OpOperand &use : value.getUses()) {
      auto take = dyn_cast<TakeOp>(use.getOwner());
      if (!region.isAncestor(use.getOwner()->getParentRegion()) || (take && &use != &take.getAtMutable()))
        continue;
      return (refuse(use.getOwner()) << "'" << use.getOwner()->getName() << "' uses the outer value of type "
                                     << value.getType() << ", expected a 'lariat.take' of it")
                 .attachNote(loop.getLoc())
             << "the loop starts here";
    }
    (isa<RowsType>(value.getType()) ? outerRows : invariants).insert(value);
  }
  return success();
}

SmallVector<std::pair<abi::RecordPart, Value>> StepSplitter::getRecord() {
  SmallVector<std::pair<abi::RecordPart, Value>> record;
  for (Value value : loop.getInitial())
    record.emplace_back(abi::RecordPart::Carried, value);
  for (Value value : invariants)
    record.emplace_back(abi::RecordPart::Invariant, value);
  record.emplace_back(abi::RecordPart::Max, loop.getMax());
  for (Value value : codaValues)
    record.emplace_back(abi::RecordPart::Coda, value);
  return record;
}

Value StepSplitter::getRowsOf(Value tensor) {
  auto matches = [&](Value value) {
    return isa<RowsType>(value.getType()) && getRowLabel(value.getType()) == getRowLabel(tensor.getType());
  };
  for (BlockArgument argument : entry.getArguments())
    if (matches(argument))
      return argument;
  for (Operation &op : llvm::make_range(entry.front().begin(), loop->getIterator()))
    for (Value result : op.getResults())
      if (matches(result))
        return result;
  return {};
}

//===----------------------------------------------------------------------===//
// Shared by the functions
//===----------------------------------------------------------------------===//

func::FuncOp StepSplitter::createFunction(StringRef name, TypeRange inputs) {
  OpBuilder builder(entry.getContext());
  builder.setInsertionPointAfter(entry);
  auto function = func::FuncOp::create(builder, entry.getLoc(), name, builder.getFunctionType(inputs, {}));
  function.addEntryBlock();
  return function;
}

void StepSplitter::finish(func::FuncOp function, ValueRange results) {
  Block &block = function.front();
  OpBuilder builder = OpBuilder::atBlockEnd(&block);
  if (!block.mightHaveTerminator())
    func::ReturnOp::create(builder, entry.getLoc(), results);
  function.setFunctionType(builder.getFunctionType(block.getArgumentTypes(), results.getTypes()));
  dropWholeTakes(function);
  eraseDeadOps(block);
}

void StepSplitter::copyArgumentAttrs(func::FuncOp function) {
  for (unsigned index = 0; index < entry.getNumArguments(); ++index)
    function.setArgAttrs(index, entry.getArgAttrDict(index));
}

Value StepSplitter::spreadToRoot(OpBuilder &builder, Value tensor, Value rows, Value newRoot) {
  if (isOfRoot(tensor))
    return tensor;
  Location loc = loop.getLoc();
  Value zeros = buildZeros(builder, loc, newRoot, cast<RankedTensorType>(tensor.getType()));
  return PutOp::create(builder, loc, zeros.getType(), tensor, rows, zeros, newRoot, PutKind::Replace);
}

//===----------------------------------------------------------------------===//
// prelude
//===----------------------------------------------------------------------===//

void StepSplitter::buildPrelude() {
  func::FuncOp function = createFunction("prelude", entry.getArgumentTypes());
  IRMapping mapping;
  mapping.map(entry.getArguments(), function.getArguments());
  OpBuilder builder = OpBuilder::atBlockEnd(&function.front());
  for (Operation &op : llvm::make_range(entry.front().begin(), loop->getIterator()))
    builder.clone(op, mapping);
  Value newRoot = mapping.lookup(root), over = mapping.lookup(loop.getOver());
  SmallVector<Value> results{
      spreadToRoot(builder, buildBits(builder, loop.getLoc(), over, /*bit=*/true), over, newRoot)};
  SmallVector<abi::RecordPart> parts{abi::RecordPart::Entered};
  for (auto [part, value] : getRecord()) {
    parts.push_back(part);
    Value field = mapping.lookup(value), rows = over;
    if (value == loop.getMax() && !isa<RankedTensorType>(value.getType()))
      field = SpreadOp::create(builder, loop.getLoc(), getRowTensorType(over.getType(), builder.getIndexType()), field,
                               over);
    else
      rows = mapping.lookup(getRowsOf(value));
    results.push_back(spreadToRoot(builder, field, rows, newRoot));
  }
  finish(function, results);
  setStepRecord(function, parts);
  copyArgumentAttrs(function);
}

//===----------------------------------------------------------------------===//
// core and fill
//===----------------------------------------------------------------------===//

func::FuncOp StepSplitter::cloneRegion(StringRef name, Region &region, IRMapping &mapping) {
  Block &body = region.front();
  SmallVector<Type> inputs(body.getArgumentTypes());
  auto rows = cast<RowsType>(inputs.front());
  for (Value value : invariants)
    inputs.push_back(withRows(cast<RankedTensorType>(value.getType()), rows));
  func::FuncOp function = createFunction(name, inputs);
  auto arguments = function.getArguments();
  mapping.map(body.getArguments(), arguments.take_front(body.getNumArguments()));
  mapping.map(invariants.getArrayRef(), arguments.drop_front(body.getNumArguments()));
  // A `take` of an invariant becomes one from the rows given.
  for (Value value : outerRows)
    mapping.map(value, arguments.front());
  OpBuilder builder = OpBuilder::atBlockEnd(&function.front());
  for (Value value : outerConstants)
    repeat(builder, value, mapping);
  for (Operation &op : body.without_terminator())
    builder.clone(op, mapping);
  return function;
}

void StepSplitter::buildCore() {
  IRMapping mapping;
  func::FuncOp function = cloneRegion("core", loop.getBody(), mapping);
  OpBuilder builder = OpBuilder::atBlockEnd(&function.front());
  NextOp next = loop.getNext();
  Location loc = next.getLoc();
  Value rows = function.getArgument(0), kept = mapping.lookup(next.getKept());
  auto putBack = [&](Value value, Value into) -> Value {
    if (value.getType() == into.getType())
      return value;
    return PutOp::create(builder, loc, into.getType(), value, kept, into, rows, PutKind::Replace);
  };
  SmallVector<Value> results;
  for (auto [value, old] : llvm::zip_equal(next.getValues(), loop.getCarried()))
    results.push_back(putBack(mapping.lookup(value), mapping.lookup(old)));
  Value none = buildBits(builder, loc, rows, /*bit=*/false);
  results.push_back(putBack(buildBits(builder, loc, kept, /*bit=*/true), none));
  results.push_back(next.getStop() ? putBack(mapping.lookup(next.getStop()), none) : none);
  finish(function, results);
  if (std::optional<unsigned> latch = findLatch(loop))
    function.setResultAttr(*latch, kOutputAttr, builder.getStringAttr("latch"));
}

void StepSplitter::buildFill() {
  IRMapping mapping;
  func::FuncOp function = cloneRegion("fill", loop.getFill(), mapping);
  function.walk([](AppendOp append) { append.setFilled(true); });
  finish(function, {});
}

//===----------------------------------------------------------------------===//
// coda
//===----------------------------------------------------------------------===//

LogicalResult StepSplitter::bringRowsToCoda(OpBuilder &builder, Value rows, Operation *user) {
  Operation *def = rows.getDefiningOp();
  if (!isa_and_nonnull<AdvanceOp, LastOp, SelectOp>(def))
    return refuse(user) << "it needs the rows " << rows.getType() << " from before the loop, expected selections";
  for (Value operand : def->getOperands())
    if (failed(bringToCoda(builder, operand, user)))
      return failure();
  builder.clone(*def, codaMapping);
  return success();
}

LogicalResult StepSplitter::bringToCoda(OpBuilder &builder, Value value, Operation *user) {
  if (codaMapping.contains(value))
    return success();
  if (isRepeatable(value)) {
    repeat(builder, value, codaMapping);
    return success();
  }
  if (isa<RowsType>(value.getType()))
    return bringRowsToCoda(builder, value, user);
  if (!isRowValue(value))
    return refuse(user) << "it uses a value of type " << value.getType()
                        << " from before the loop, expected row tensors, constants and weights";
  // Spreading a constant again is cheaper than keeping it for each row.
  if (auto spread = value.getDefiningOp<SpreadOp>(); spread && isRepeatable(spread.getValue())) {
    if (failed(bringToCoda(builder, spread.getAt(), user)))
      return failure();
    repeat(builder, spread.getValue(), codaMapping);
    builder.clone(*spread, codaMapping);
    return success();
  }
  Value rows = getRowsOf(value);
  if (!rows)
    return refuse(user) << "it uses a row tensor of type " << value.getType()
                        << " from before the loop, where nothing gives its rows";
  codaValues.push_back(value);
  auto rootRows = cast<RowsType>(root.getType());
  Value field = coda->addArgument(withRows(cast<RankedTensorType>(value.getType()), rootRows), value.getLoc());
  if (!isOfRoot(value)) {
    if (failed(bringToCoda(builder, rows, user)))
      return failure();
    field = TakeOp::create(builder, value.getLoc(), field, codaMapping.lookup(root), codaMapping.lookup(rows));
  }
  codaMapping.map(value, field);
  return success();
}

LogicalResult StepSplitter::buildCoda() {
  auto rootRows = cast<RowsType>(root.getType());
  SmallVector<Type> inputs(entry.getArgumentTypes());
  inputs.push_back(getRowTensorType(rootRows, IntegerType::get(entry.getContext(), 1)));
  for (Type type : loop.getResultTypes())
    inputs.push_back(withRows(cast<RankedTensorType>(type), rootRows));
  func::FuncOp function = createFunction("coda", inputs);
  coda = &function.front();
  codaMapping.map(entry.getArguments(), function.getArguments().take_front(entry.getNumArguments()));
  OpBuilder builder = OpBuilder::atBlockEnd(coda);
  Location loc = loop.getLoc();
  Value newRoot = codaMapping.lookup(root), over = newRoot;
  if (!isOfRoot(loop.getOver()))
    over =
        SelectOp::create(builder, loc, loop.getOver().getType(), newRoot, coda->getArgument(entry.getNumArguments()));
  codaMapping.map(loop.getOver(), over);
  for (auto [result, argument] :
       llvm::zip_equal(loop.getResults(), function.getArguments().drop_front(entry.getNumArguments() + 1)))
    codaMapping.map(result, TakeOp::create(builder, loc, argument, newRoot, over).getResult());
  for (Operation &op : llvm::make_range(std::next(loop->getIterator()), entry.front().end())) {
    llvm::SetVector<Value> used(op.operand_begin(), op.operand_end());
    getUsedValuesDefinedAbove(op.getRegions(), used);
    for (Value value : used)
      if (failed(bringToCoda(builder, value, &op)))
        return failure();
    builder.clone(op, codaMapping);
  }
  finish(function, coda->getTerminator()->getOperands());
  copyArgumentAttrs(function);
  for (unsigned index = 0; index < entry.getNumResults(); ++index)
    function.setResultAttrs(index, entry.getResultAttrDict(index));
  return success();
}

//===----------------------------------------------------------------------===//
// Headline
//===----------------------------------------------------------------------===//

LogicalResult StepSplitter::build() {
  // Each function is put right behind the entry, so the last one built comes first.
  if (failed(buildCoda()))
    return failure();
  if (loop.hasFill())
    buildFill();
  buildCore();
  buildPrelude();
  return success();
}

/// Bytes of one row of a row tensor, or of one value of another type.
static int64_t getRowBytes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  Type element = tensor ? tensor.getElementType() : type;
  int64_t bytes = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  if (tensor)
    for (int64_t size : tensor.getShape().drop_front())
      bytes *= size;
  return bytes;
}

void StepSplitter::emitLayout() {
  std::string layout;
  llvm::raw_string_ostream os(layout);
  int64_t bytes = 0;
  for (auto [index, field] : llvm::enumerate(getRecord())) {
    auto [part, value] = field;
    int64_t size = getRowBytes(value.getType());
    os << (index == 0 ? "" : ", ") << StringRef(abi::getName(part)) << ' ';
    if (auto tensor = dyn_cast<RankedTensorType>(value.getType())) {
      llvm::interleave(tensor.getShape().drop_front(), os, "x");
      os << (tensor.getRank() > 1 ? "x" : "") << tensor.getElementType();
    } else {
      os << value.getType();
    }
    os << " (" << size << " bytes)";
    bytes += size;
  }
  remark::analysis(loop.getLoc(), remark::RemarkOpts::name("record").category(DEBUG_TYPE).function(entry.getSymName()))
      << llvm::formatv("seat record of {0} values, {1} bytes per row: {2}", getNumFields(), bytes, layout).str();
}

static LogicalResult checkNames(ModuleOp module, StringRef entry, RecurOp loop) {
  for (StringRef name : {"prelude", "core", "fill", "coda"})
    if (Operation *existing = module.lookupSymbol(name); existing && (name != "fill" || loop.hasFill()))
      return refuse(existing) << "@" << entry << " is split into @prelude, @core, @fill and @coda, but @" << name
                              << " exists";
  return success();
}

void DeriveStepsPass::runOnOperation() {
  auto function = getOperation().lookupSymbol<func::FuncOp>(entry);
  if (!function || function.isExternal()) {
    refuse(getOperation()) << "the module has no function @" << entry.getValue();
    return signalPassFailure();
  }
  if (function.getNumArguments() == 0 || !isa<RowsType>(function.getArgumentTypes().front())) {
    refuse(function) << "the first argument of @" << entry.getValue() << " is not a row set";
    return signalPassFailure();
  }
  FailureOr<RecurOp> loop = findLoop(function);
  if (failed(loop) || failed(checkNames(getOperation(), entry, *loop)) || failed(checkRowsApart(*loop)))
    return signalPassFailure();
  StepSplitter splitter(function, *loop, function.getArgument(0));
  if (failed(splitter.collectInvariants(loop->getBody())) ||
      (loop->hasFill() && failed(splitter.collectInvariants(loop->getFill()))) || failed(splitter.build()))
    return signalPassFailure();
  splitter.emitLayout();
  numRecordFields += splitter.getNumFields();
}
