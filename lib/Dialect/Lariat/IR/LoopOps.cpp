// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// recur and next: assembly, verification, what LICM needs to know of a row loop.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// recur: assembly
//===----------------------------------------------------------------------===//

/// `(%arg = %init : type, ...)`, the arguments typed for the set `rows`.
static ParseResult parseCarry(OpAsmParser &parser, RowsType rows, SmallVector<OpAsmParser::Argument> &args,
                              SmallVector<OpAsmParser::UnresolvedOperand> &inits, SmallVector<Type> &types) {
  return parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, [&]() -> ParseResult {
    SMLoc loc = parser.getCurrentLocation();
    OpAsmParser::Argument &arg = args.emplace_back();
    Type type;
    if (parser.parseArgument(arg) || parser.parseEqual() || parser.parseOperand(inits.emplace_back()) ||
        parser.parseColonType(type))
      return failure();
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || tensor.getRank() == 0 || !tensor.isDynamicDim(0))
      return parser.emitError(loc) << "carried value has type " << type << ", expected a row tensor";
    arg.type = withRows(tensor, rows);
    types.push_back(type);
    return success();
  });
}

/// `fill(%s : rows, %x, ...) { ... }`, the carried arguments typed for its rows.
static ParseResult parseFill(OpAsmParser &parser, ArrayRef<Type> carried, Region &fill) {
  SmallVector<OpAsmParser::Argument> args;
  RowsType rows;
  if (parser.parseLParen() || parser.parseArgument(args.emplace_back()) || parser.parseColonType(rows))
    return failure();
  args.front().type = rows;
  for (Type type : carried) {
    if (parser.parseComma() || parser.parseArgument(args.emplace_back()))
      return failure();
    args.back().type = withRows(cast<RankedTensorType>(type), rows);
  }
  return failure(parser.parseRParen() || parser.parseRegion(fill, args));
}

ParseResult RecurOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand max, from, over;
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  SmallVector<OpAsmParser::Argument> args(1);
  SmallVector<Type> types;
  Type maxType;
  RowsType overType, stepType;
  Builder &builder = parser.getBuilder();
  if (parser.parseKeyword("max") || parser.parseLParen() || parser.parseOperand(max) ||
      parser.parseColonType(maxType) || parser.parseRParen())
    return failure();
  bool hasFrom = succeeded(parser.parseOptionalKeyword("from"));
  if (hasFrom && (parser.parseLParen() || parser.parseOperand(from) || parser.parseRParen()))
    return failure();
  if (parser.parseKeyword("over") || parser.parseOperand(over) || parser.parseColonType(overType) ||
      parser.parseKeyword("as") || parser.parseArgument(args.front()) || parser.parseColonType(stepType))
    return failure();
  args.front().type = stepType;
  if (succeeded(parser.parseOptionalKeyword("carry")) && parseCarry(parser, stepType, args, inits, types))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) || parser.parseRegion(*result.addRegion(), args))
    return failure();
  Region *fill = result.addRegion();
  if (succeeded(parser.parseOptionalKeyword("fill")) && parseFill(parser, types, *fill))
    return failure();
  if (parser.resolveOperand(max, maxType, result.operands) ||
      (hasFrom && parser.resolveOperand(from, builder.getIndexType(), result.operands)) ||
      parser.resolveOperand(over, overType, result.operands) ||
      parser.resolveOperands(inits, types, loc, result.operands))
    return failure();
  llvm::copy(ArrayRef<int32_t>({1, hasFrom, 1, static_cast<int32_t>(inits.size())}),
             result.getOrAddProperties<Properties>().operandSegmentSizes.begin());
  result.addTypes(types);
  result.addTypes(getRowTensorType(overType, builder.getI32Type()));
  return success();
}

void RecurOp::print(OpAsmPrinter &printer) {
  printer << " max(" << getMax() << " : " << getMax().getType() << ')';
  if (getFrom())
    printer << " from(" << getFrom() << ')';
  // Written out rather than by printRegionArgument, which would add a location that the parser does not expect here.
  Value rows = getStepRows();
  printer << " over " << getOver() << " : " << getOver().getType() << " as " << rows << ": " << rows.getType();
  if (!getInitial().empty()) {
    printer << " carry(";
    llvm::interleaveComma(llvm::zip(getCarried(), getInitial()), printer, [&](auto pair) {
      auto [arg, init] = pair;
      printer << arg << " = " << init << " : " << init.getType();
    });
    printer << ')';
  }
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {getOperandSegmentSizeAttr()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  if (!hasFill())
    return;
  printer << " fill(" << getFillRows() << ": " << getFillRows().getType();
  for (BlockArgument arg : getFill().front().getArguments().drop_front())
    printer << ", " << arg;
  printer << ") ";
  printer.printRegion(getFill(), /*printEntryBlockArgs=*/false);
}

void RecurOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getSteps(), "steps"); }

//===----------------------------------------------------------------------===//
// recur: accessors and loop interface
//===----------------------------------------------------------------------===//

TypedValue<RowsType> RecurOp::getStepRows() { return cast<TypedValue<RowsType>>(getBody().front().getArgument(0)); }

Value RecurOp::getFillRows() { return hasFill() ? Value(getFill().front().getArgument(0)) : Value(); }

NextOp RecurOp::getNext() { return cast<NextOp>(getBody().front().getTerminator()); }

SmallVector<Region *> RecurOp::getLoopRegions() { return {&getBody()}; }

static std::optional<int64_t> getConstantMax(RecurOp loop) {
  APInt constant;
  if (matchPattern(loop.getMax(), m_ConstantInt(&constant)))
    return std::max<int64_t>(constant.getSExtValue(), 0);
  return std::nullopt;
}

/// The function whose input "loops" is the max of a loop, as it is or taken at some rows; null if none is.
static FunctionOpInterface findLoopsInput(RecurOp loop) {
  Value max = loop.getMax();
  while (auto take = max.getDefiningOp<TakeOp>())
    max = take.getValue();
  auto argument = dyn_cast<BlockArgument>(max);
  auto function = argument ? dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp()) : FunctionOpInterface();
  if (!function || !argument.getOwner()->isEntryBlock())
    return {};
  auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kInputAttr);
  return name && name == "loops" ? function : FunctionOpInterface();
}

bool lariat::isBoundedByRequest(RecurOp loop) {
  std::optional<int64_t> constant = getConstantMax(loop);
  return constant ? *constant <= kMaxDepth : static_cast<bool>(findLoopsInput(loop));
}

std::optional<int64_t> lariat::getStepBound(RecurOp loop) {
  if (std::optional<int64_t> constant = getConstantMax(loop))
    return constant;
  FunctionOpInterface function = findLoopsInput(loop);
  auto module = function ? function->getParentOfType<ModuleOp>() : ModuleOp();
  auto loops = module ? module->getAttrOfType<LoopsAttr>(kLoopsAttr) : LoopsAttr();
  return loops && loops.getMaxSteps() != 0 ? std::optional(loops.getMaxSteps()) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// recur: verification
//===----------------------------------------------------------------------===//

LogicalResult RecurOp::verify() {
  if (getInitial().size() != getFinals().size()) // recur_c1
    return emitOpError() << "carries " << getInitial().size() << " values, but has " << getFinals().size()
                         << " results besides steps";
  auto over = cast<RowsType>(getOver().getType());
  for (auto [index, init, final] : llvm::enumerate(getInitial(), getFinals())) {
    if (init.getType() != final.getType()) // recur_c1
      return emitOpError() << "carried value " << index << " enters as " << init.getType() << " and leaves as "
                           << final.getType();
    if (getRowsType(init.getType()) != over) // recur_c6
      return emitOpError() << "carried value " << index << " is a row tensor of " << getRowsType(init.getType())
                           << ", but the rows that enter are " << over;
  }
  if (getRowsType(getSteps().getType()) != over)
    return emitOpError() << "steps belong to " << getRowsType(getSteps().getType()) << ", but the rows that enter are "
                         << over;
  if (auto tensor = dyn_cast<RankedTensorType>(getMax().getType()); tensor && getRowsType(tensor) != over)
    return emitOpError() << "max has one value per row of " << getRowsType(tensor) << ", but the rows that enter are "
                         << over;
  return success();
}

/// recur_c1 for one region's block arguments.
static LogicalResult verifyArguments(RecurOp op, Region &region, StringRef name) {
  Block &block = region.front();
  if (block.getNumArguments() != op.getInitial().size() + 1)
    return op.emitOpError() << name << " takes " << block.getNumArguments() << " arguments, expected the rows and "
                            << op.getInitial().size() << " carried values";
  auto rows = dyn_cast<RowsType>(block.getArgument(0).getType());
  if (!rows)
    return op.emitOpError() << "first argument of " << name << " has type " << block.getArgument(0).getType()
                            << ", expected a row set";
  for (auto [index, init, arg] : llvm::enumerate(op.getInitial(), block.getArguments().drop_front())) {
    Type expected = withRows(cast<RankedTensorType>(init.getType()), rows);
    if (arg.getType() != expected)
      return op.emitOpError() << "carried value " << index << " is " << arg.getType() << " in " << name << ", expected "
                              << expected;
  }
  return success();
}

/// recur_c2: the kept rows are the step's or a chain of selections from them.
static LogicalResult verifyKept(RecurOp op, NextOp next) {
  Value rows = next.getKept();
  // Dominance is verified later, so a chain may still run in a circle.
  SmallPtrSet<Operation *, 4> seen;
  while (rows != op.getStepRows()) {
    Operation *def = rows.getDefiningOp();
    if (def && !seen.insert(def).second)
      def = nullptr;
    if (auto select = dyn_cast_or_null<SelectOp>(def))
      rows = select.getFrom();
    else if (auto topK = dyn_cast_or_null<TopKOp>(def))
      rows = topK.getFrom();
    else if (auto advance = dyn_cast_or_null<AdvanceOp>(def))
      rows = advance.getFrom();
    else
      return next.emitOpError("keeps rows that are not a selection from this step's rows").attachNote(op.getLoc())
             << "the loop starts here";
  }
  return success();
}

/// recur_c3: how a value from outside may be used inside.
static bool mayEnter(OpOperand &use) {
  Operation *user = use.getOwner();
  if (auto take = dyn_cast<TakeOp>(user))
    return &use == &take.getValueMutable() || &use == &take.getFromMutable();
  if (auto put = dyn_cast<PutOp>(user))
    return &use == &put.getIntoMutable() || &use == &put.getOfMutable();
  return isa<RecurOp>(user);
}

static LogicalResult verifyCaptures(RecurOp op, Region &region) {
  WalkResult result = region.walk([&](Operation *inner) {
    for (OpOperand &operand : inner->getOpOperands()) {
      if (!isRowValue(operand.get()) || op->isAncestor(operand.get().getParentRegion()->getParentOp()))
        continue;
      if (!mayEnter(operand)) {
        inner->emitOpError() << "uses the outer value of type " << operand.get().getType()
                             << " inside a loop, expected a 'lariat.take' of it at this step's rows";
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// recur_c4: depth is data, not control.
static LogicalResult verifyNoControlOnDepth(RecurOp op) {
  auto derivesFromDepth = [](Value condition) {
    SetVector<Operation *> slice;
    BackwardSliceOptions options;
    options.omitBlockArguments = true;
    (void)getBackwardSlice(condition, &slice, options);
    return llvm::any_of(slice, [](Operation *def) { return isa<DepthOfOp>(def); });
  };
  WalkResult result = op.getBody().walk([&](Operation *inner) {
    SmallVector<Value> conditions;
    if (auto branch = dyn_cast<scf::IfOp>(inner))
      conditions = {branch.getCondition()};
    else if (auto loop = dyn_cast<scf::ConditionOp>(inner))
      conditions = {loop.getCondition()};
    else if (auto loop = dyn_cast<scf::ForOp>(inner))
      conditions = {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()};
    else if (auto choice = dyn_cast<scf::IndexSwitchOp>(inner))
      conditions = {choice.getArg()};
    if (llvm::none_of(conditions, derivesFromDepth))
      return WalkResult::advance();
    inner->emitOpError("depends on 'lariat.depth_of', but rows of any depths share a step: split them with "
                       "'lariat.select' and 'lariat.put'");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// recur_c5: only row-local work and appends.
static LogicalResult verifyFill(RecurOp op) {
  for (Operation &inner : op.getFill().front().without_terminator()) {
    bool allowed =
        isa<AppendOp>(inner) || isa<DepthOfOp, GeneratedOfOp, PositionOfOp, TakeOp>(inner) || isRowLocal(&inner);
    if (!allowed)
      return inner.emitOpError("in a fill region, expected row-local ops and 'lariat.append' only")
                 .attachNote(op.getLoc())
             << "the loop starts here";
  }
  auto end = dyn_cast<EndOp>(op.getFill().front().getTerminator());
  if (end && !end.getGo())
    return success();
  return op.emitOpError("fill region does not end with 'lariat.end' without operand");
}

LogicalResult RecurOp::verifyRegions() {
  if (failed(verifyArguments(*this, getBody(), "body")) ||
      (hasFill() && failed(verifyArguments(*this, getFill(), "fill"))))
    return failure();
  auto next = dyn_cast<NextOp>(getBody().front().getTerminator());
  if (!next)
    return emitOpError("body does not end with 'lariat.next'");
  if (next.getValues().size() != getInitial().size()) // recur_c1
    return next.emitOpError() << "carries " << next.getValues().size()
                              << " values, but the enclosing 'lariat.recur' carries " << getInitial().size();
  auto kept = cast<RowsType>(next.getKept().getType());
  for (auto [index, init, value] : llvm::enumerate(getInitial(), next.getValues())) {
    Type expected = withRows(cast<RankedTensorType>(init.getType()), kept);
    if (value.getType() != expected) // recur_c1
      return next.emitOpError() << "carried value " << index << " is " << value.getType() << ", expected " << expected;
  }
  if (failed(verifyKept(*this, next)) || failed(verifyCaptures(*this, getBody())) ||
      failed(verifyNoControlOnDepth(*this)))
    return failure();
  return hasFill() ? failure(failed(verifyCaptures(*this, getFill())) || failed(verifyFill(*this))) : success();
}

//===----------------------------------------------------------------------===//
// next
//===----------------------------------------------------------------------===//

ParseResult NextOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand kept, stop;
  SmallVector<OpAsmParser::UnresolvedOperand> values;
  SmallVector<Type> types;
  RowsType rows;
  if (parser.parseKeyword("keep") || parser.parseOperand(kept) || parser.parseColonType(rows))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword("carry")) && (parser.parseLParen() || parser.parseOperandList(values) ||
                                                          parser.parseColonTypeList(types) || parser.parseRParen()))
    return failure();
  bool hasStop = succeeded(parser.parseOptionalKeyword("stop"));
  if (hasStop && (parser.parseLParen() || parser.parseOperand(stop) || parser.parseRParen()))
    return failure();
  Type bit = getRowTensorType(rows, parser.getBuilder().getI1Type());
  if (parser.parseOptionalAttrDict(result.attributes) || parser.resolveOperand(kept, rows, result.operands) ||
      parser.resolveOperands(values, types, loc, result.operands) ||
      (hasStop && parser.resolveOperand(stop, bit, result.operands)))
    return failure();
  llvm::copy(ArrayRef<int32_t>({1, static_cast<int32_t>(values.size()), hasStop}),
             result.getOrAddProperties<Properties>().operandSegmentSizes.begin());
  return success();
}

void NextOp::print(OpAsmPrinter &printer) {
  printer << " keep " << getKept() << " : " << getKept().getType();
  if (!getValues().empty())
    printer << " carry(" << getValues() << " : " << getValues().getTypes() << ')';
  if (getStop())
    printer << " stop(" << getStop() << ')';
  printer.printOptionalAttrDict((*this)->getAttrs(), {getOperandSegmentSizeAttr()});
}

LogicalResult NextOp::verify() {
  if (getStop() && getRowsType(getStop().getType()) != getKept().getType()) // next_c1
    return emitOpError() << "stop has one bit per row of " << getRowsType(getStop().getType())
                         << ", but the kept rows are " << getKept().getType();
  return success();
}
