// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row regions: values per row are scalars, values per column vectors of 16 columns.

#include "RowRegion.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

static bool isNarrowFloat(Type type) { return type.isBF16() || type.isF16(); }

/// Ops that only move bits, or that convert: they take bf16 as it is.
static bool takesHalf(Operation *op) { return isa<arith::SelectOp, arith::BitcastOp, arith::ConstantOp>(op); }

/// Whether an integer division, and whether a signed one.
static bool isDivision(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::CeilDivSIOp, arith::CeilDivUIOp,
             arith::FloorDivSIOp>(op);
}
static bool isSignedDivision(Operation *op) {
  return isDivision(op) && !isa<arith::DivUIOp, arith::RemUIOp, arith::CeilDivUIOp>(op);
}

/// The same op on other operands. Fast-math flags are dropped: they would make results depend on the CPU.
static Value createLike(CodeWriter &w, Operation *op, ArrayRef<Value> operands, Type element) {
  Type type = element;
  if (llvm::any_of(operands, [](Value operand) { return isa<VectorType>(operand.getType()); }))
    type = w.vectorOf(element);
  SmallVector<NamedAttribute> attrs(op->getAttrs());
  llvm::erase_if(attrs, [](NamedAttribute attr) { return attr.getName() == "fastmath"; });
  return w.b.create(w.loc, op->getName().getIdentifier(), operands, type, attrs)->getResult(0);
}

/// The padding of a line may hold any divisor, and CPUs stop at 0 and at INT_MIN / -1; so those are not divided by.
static Value writeDivision(CodeWriter &w, Operation *op, Value left, Value right) {
  OpBuilder &b = w.b;
  Type type = right.getType(), element = getElementTypeOrSelf(type);
  auto constant = [&](int64_t value) -> Value {
    Value scalar = arith::ConstantOp::create(b, w.loc, b.getIntegerAttr(element, value));
    return isa<VectorType>(type) ? w.broadcast(scalar) : scalar;
  };
  auto isEqual = [&](int64_t value) -> Value {
    return arith::CmpIOp::create(b, w.loc, arith::CmpIPredicate::eq, right, constant(value));
  };
  Value safe = w.select(isEqual(0), constant(1), right);
  if (!isSignedDivision(op))
    return createLike(w, op, {left, safe}, element);
  Value isMinusOne = isEqual(-1);
  Value result = createLike(w, op, {left, w.select(isMinusOne, constant(1), safe)}, element);
  Value negated =
      isa<arith::RemSIOp>(op) ? constant(0) : arith::SubIOp::create(b, w.loc, constant(0), left).getResult();
  return w.select(isMinusOne, negated, result);
}

Value vectors::writeOp(CodeWriter &w, Operation *op, ArrayRef<Value> given) {
  SmallVector<Value> operands(given);
  if (llvm::any_of(operands, [](Value operand) { return isa<VectorType>(operand.getType()); }))
    for (Value &operand : operands)
      operand = w.broadcast(operand);
  Type result = op->getResult(0).getType();
  if (isDivision(op))
    return writeDivision(w, op, operands[0], operands[1]);
  if (takesHalf(op))
    return createLike(w, op, operands, result);
  // Sixteen bits are for storing only: one operation in f32, rounded, is that operation in sixteen bits.
  for (Value &operand : operands)
    if (isNarrowFloat(getElementTypeOrSelf(operand.getType())))
      operand = w.widen(operand);
  Type wide = isNarrowFloat(result) ? w.b.getF32Type() : result;
  auto isAlready = [&](Value operand) { return getElementTypeOrSelf(operand.getType()) == wide; };
  Value value = isa<arith::ExtFOp, arith::TruncFOp>(op) && isAlready(operands[0]) ? operands[0]
                                                                                  : createLike(w, op, operands, wide);
  return isNarrowFloat(result) ? w.narrow(value, result) : value;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static bool isReduction(Operation &op) { return op.hasTrait<kernel::ReducesColumns>(); }

/// The smallest or largest value of a type, or zero: what a partial result starts from.
static Value getStart(CodeWriter &w, kernel::ReduceKind kind, Type element) {
  OpBuilder &b = w.b;
  TypedAttr attr = b.getZeroAttr(element);
  if (kind != kernel::ReduceKind::Sum) {
    bool isMax = kind == kernel::ReduceKind::Max;
    if (auto type = dyn_cast<FloatType>(element)) {
      attr = b.getFloatAttr(element, APFloat::getInf(type.getFloatSemantics(), /*Negative=*/isMax));
    } else {
      unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
      attr = b.getIntegerAttr(element, isMax ? APInt::getSignedMinValue(bits) : APInt::getSignedMaxValue(bits));
    }
  }
  return arith::ConstantOp::create(b, w.loc, attr);
}

static Value combine(CodeWriter &w, kernel::ReduceKind kind, Value left, Value right) {
  OpBuilder &b = w.b;
  Type element = getElementTypeOrSelf(left.getType());
  bool isFloat = isa<FloatType>(element);
  if (isNarrowFloat(element))
    return w.narrow(combine(w, kind, w.widen(left), w.widen(right)), element);
  switch (kind) {
  case kernel::ReduceKind::Sum:
    if (isFloat)
      return arith::AddFOp::create(b, w.loc, left, right);
    return arith::AddIOp::create(b, w.loc, left, right);
  case kernel::ReduceKind::Max:
    if (isFloat)
      return arith::MaximumFOp::create(b, w.loc, left, right);
    return arith::MaxSIOp::create(b, w.loc, left, right);
  case kernel::ReduceKind::Min:
    if (isFloat)
      return arith::MinimumFOp::create(b, w.loc, left, right);
    return arith::MinSIOp::create(b, w.loc, left, right);
  }
  llvm_unreachable("all kinds are above");
}

/// Lanes [first, first + count) of a vector.
static Value getLanes(CodeWriter &w, Value vector, int64_t first, int64_t count) {
  return vector::ExtractStridedSliceOp::create(w.b, w.loc, vector, {first}, {count}, {1});
}

/// Partial results pairwise.
static Value finishReduction(CodeWriter &w, kernel::ReduceKind kind, Value partials) {
  for (int64_t half = kLanes / 2; half >= 1; half /= 2)
    partials = combine(w, kind, getLanes(w, partials, 0, half), getLanes(w, partials, half, half));
  return w.extract(partials, 0);
}

namespace {

/// Largest value and its column, per lane. A NaN is never larger; one in column 0 is never left, which is the model
/// level's rule.
struct Best {
  Value value, place;

  static Best start(CodeWriter &w) {
    Value place = arith::ConstantOp::create(w.b, w.loc, w.b.getI32IntegerAttr(std::numeric_limits<int32_t>::max()));
    return {w.constantFloat(-std::numeric_limits<double>::infinity(), w.f32x16()), w.broadcast(place)};
  }

  static Value compare(CodeWriter &w, arith::CmpFPredicate predicate, Value left, Value right) {
    return arith::CmpFOp::create(w.b, w.loc, predicate, left, right);
  }

  /// With the entries of another `value` at `place`, later ones; only lanes of `mask`, where there is one.
  Best with(CodeWriter &w, Value next, Value at, Value mask) const {
    OpBuilder &b = w.b;
    Value zero = w.broadcast(arith::ConstantOp::create(b, w.loc, b.getI32IntegerAttr(0)));
    Value isFirst = arith::CmpIOp::create(b, w.loc, arith::CmpIPredicate::eq, at, zero);
    Value isStuck = w.bitAnd(isFirst, compare(w, arith::CmpFPredicate::UNO, next, next));
    next = w.select(isStuck, w.constantFloat(std::numeric_limits<double>::infinity(), next.getType()), next);
    Value better = compare(w, arith::CmpFPredicate::OGT, next, value);
    if (mask)
      better = w.bitAnd(better, mask);
    return {w.select(better, next, value), w.select(better, at, place)};
  }

  Value finish(CodeWriter &w) const {
    OpBuilder &b = w.b;
    Best best = *this;
    for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
      Best low = {getLanes(w, best.value, 0, half), getLanes(w, best.place, 0, half)};
      Best high = {getLanes(w, best.value, half, half), getLanes(w, best.place, half, half)};
      Value larger = compare(w, arith::CmpFPredicate::OGT, high.value, low.value);
      Value equal = compare(w, arith::CmpFPredicate::OEQ, high.value, low.value);
      Value earlier = arith::CmpIOp::create(b, w.loc, arith::CmpIPredicate::slt, high.place, low.place);
      Value better = w.bitOr(larger, w.bitAnd(equal, earlier));
      best = {w.select(better, high.value, low.value), w.select(better, high.place, low.place)};
    }
    // No entry was larger than minus infinity: the first one then.
    Value place = w.extract(best.place, 0);
    Value none = arith::ConstantOp::create(b, w.loc, b.getI32IntegerAttr(std::numeric_limits<int32_t>::max()));
    Value isNone = arith::CmpIOp::create(b, w.loc, arith::CmpIPredicate::eq, place, none);
    return w.select(isNone, arith::ConstantOp::create(b, w.loc, b.getI32IntegerAttr(0)), place);
  }
};

} // namespace

/// Columns c to c + 15 as i32.
static Value getPlaces(CodeWriter &w, Value column) {
  SmallVector<int32_t> lanes(llvm::to_vector(llvm::seq<int32_t>(0, kLanes)));
  VectorType type = w.vectorOf(w.b.getI32Type());
  Value offsets = arith::ConstantOp::create(w.b, w.loc, DenseElementsAttr::get(type, ArrayRef<int32_t>(lanes)));
  Value narrow = arith::TruncIOp::create(w.b, w.loc, w.b.getI32Type(), column);
  return arith::AddIOp::create(w.b, w.loc, w.broadcast(narrow), offsets);
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

RowRegion::RowRegion(Block &block, ArrayRef<bool> isColumn) : block(block) {
  columnValues =
      kernel::findColumnValues(block, [&](BlockArgument argument) { return isColumn[argument.getArgNumber()]; });
  for (Operation &op : block) {
    int64_t stage = 0;
    for (Value operand : op.getOperands())
      stage = std::max(stage, stages.lookup(operand));
    if (isReduction(op))
      numStages = std::max(numStages, ++stage);
    for (Value result : op.getResults())
      stages[result] = stage;
  }
}

bool RowRegion::isColumnResult(size_t index) const {
  return columnValues.contains(block.getTerminator()->getOperand(index));
}

void RowRegion::writeRowOps(CodeWriter &w, int64_t stage, FactSource fact, Mapping &rowValues) {
  for (Operation &op : block.without_terminator()) {
    if (isReduction(op) || columnValues.contains(op.getResult(0)) || stages.lookup(op.getResult(0)) != stage)
      continue;
    if (auto wanted = dyn_cast<kernel::FactOp>(op)) {
      rowValues[wanted.getResult()] = fact(wanted.getKind());
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(op.getOperands(), [&](Value v) { return rowValues.lookup(v); });
    rowValues[op.getResult(0)] = writeOp(w, &op, operands);
  }
}

Value RowRegion::getColumns(CodeWriter &w, Value value, const Mapping &rowValues, Mapping &known,
                            llvm::function_ref<Value(BlockArgument)> read) {
  if (!columnValues.contains(value))
    return rowValues.lookup(value);
  if (Value found = known.lookup(value))
    return found;
  Value result;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    result = read(argument);
  } else {
    Operation *op = value.getDefiningOp();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(getColumns(w, operand, rowValues, known, read));
    result = writeOp(w, op, operands);
  }
  known[value] = result;
  return result;
}

/// Reads 16 columns of arguments, from `column` on. `count` of them are wanted.
static auto makeReader(CodeWriter &w, ArrayRef<RowSlot> arguments, Value column, int64_t count) {
  return [&w, arguments, column, count](BlockArgument argument) {
    const RowSlot &slot = arguments[argument.getArgNumber()];
    Value address = w.ptrAdd(slot.value, w.multiply(column, kernel::getElementBytes(slot.element)));
    return w.loadColumns(slot.element, address, slot.hasPadding ? kLanes : count);
  };
}

void RowRegion::writeReductions(CodeWriter &w, int64_t stage, int64_t width, ArrayRef<RowSlot> arguments,
                                Mapping &rowValues) {
  SmallVector<Operation *> reductions;
  SmallVector<Value> partials;
  for (Operation &op : block) {
    if (!isReduction(op) || stages.lookup(op.getResult(0)) != stage + 1)
      continue;
    reductions.push_back(&op);
    if (auto reduce = dyn_cast<kernel::ReduceOp>(op)) {
      partials.push_back(w.broadcast(getStart(w, reduce.getKind(), reduce.getType())));
    } else {
      Best best = Best::start(w);
      partials.append({best.value, best.place});
    }
  }
  auto accumulate = [&](Value column, int64_t count, ValueRange before) {
    CodeWriter::Values after;
    Mapping known;
    auto read = makeReader(w, arguments, column, count);
    Value mask = count == kLanes ? Value() : w.firstLanes(count);
    for (Operation *op : reductions) {
      Value value = w.broadcast(getColumns(w, op->getOperand(0), rowValues, known, read));
      Value partial = before[after.size()];
      if (auto reduce = dyn_cast<kernel::ReduceOp>(op)) {
        Value combined = combine(w, reduce.getKind(), partial, value);
        after.push_back(mask ? w.select(mask, combined, partial) : combined);
      } else {
        Best best = Best{partial, before[after.size() + 1]}.with(w, value, getPlaces(w, column), mask);
        after.append({best.value, best.place});
      }
    }
    return after;
  };
  int64_t whole = width / kLanes * kLanes;
  if (whole)
    partials = w.forLoop(w.constantI64(0), w.constantI64(whole), w.constantI64(kLanes), partials,
                         [&](Value column, ValueRange before) { return accumulate(column, kLanes, before); });
  if (width != whole)
    partials = accumulate(w.constantI64(whole), width - whole, partials);
  size_t next = 0;
  for (Operation *op : reductions) {
    if (auto reduce = dyn_cast<kernel::ReduceOp>(op)) {
      rowValues[op->getResult(0)] = finishReduction(w, reduce.getKind(), partials[next++]);
    } else {
      rowValues[op->getResult(0)] = Best{partials[next], partials[next + 1]}.finish(w);
      next += 2;
    }
  }
}

void RowRegion::writeRow(CodeWriter &w, int64_t width, ArrayRef<RowSlot> arguments, FactSource fact,
                         ArrayRef<RowSlot> results) {
  Mapping rowValues;
  for (auto [argument, slot] : llvm::zip_equal(block.getArguments(), arguments))
    if (!slot.isColumn)
      rowValues[argument] = slot.value;
  for (int64_t stage = 0; stage < numStages; ++stage) {
    writeRowOps(w, stage, fact, rowValues);
    writeReductions(w, stage, width, arguments, rowValues);
  }
  writeRowOps(w, numStages, fact, rowValues);

  auto yielded = block.getTerminator()->getOperands();
  auto writeColumnsAt = [&](Value column, int64_t count) {
    Mapping known;
    auto read = makeReader(w, arguments, column, count);
    // All are computed before any is stored: an out may be the buffer of an input.
    SmallVector<std::pair<Value, const RowSlot *>> stores;
    for (auto [value, slot] : llvm::zip_equal(yielded, results))
      if (slot.isColumn)
        stores.emplace_back(w.broadcast(getColumns(w, value, rowValues, known, read)), &slot);
    for (auto [value, slot] : stores) {
      Value address = w.ptrAdd(slot->value, w.multiply(column, kernel::getElementBytes(slot->element)));
      w.storeColumns(value, address, slot->hasPadding ? kLanes : count);
    }
  };
  int64_t whole = width / kLanes * kLanes;
  if (llvm::any_of(results, [](const RowSlot &slot) { return slot.isColumn; })) {
    if (whole)
      w.forLoop(w.constantI64(0), w.constantI64(whole), w.constantI64(kLanes),
                [&](Value column) { writeColumnsAt(column, kLanes); });
    if (width != whole)
      writeColumnsAt(w.constantI64(whole), width - whole);
  }
  for (auto [value, slot] : llvm::zip_equal(yielded, results))
    if (!slot.isColumn)
      w.storeElement(rowValues.lookup(value), slot.value);
}

RowRegion::Mapping RowRegion::writeRowValues(CodeWriter &w, ArrayRef<Value> arguments, FactSource fact) {
  Mapping rowValues;
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    if (value)
      rowValues[argument] = value;
  writeRowOps(w, 0, fact, rowValues);
  return rowValues;
}

SmallVector<Value> RowRegion::writeColumns(CodeWriter &w, const Mapping &rowValues, ArrayRef<Value> columns) {
  Mapping known;
  auto read = [&](BlockArgument argument) { return columns[argument.getArgNumber()]; };
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](Value value) { return getColumns(w, value, rowValues, known, read); });
}
