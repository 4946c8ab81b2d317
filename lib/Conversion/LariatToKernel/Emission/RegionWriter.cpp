// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row regions: elementwise ops on scalars, norms and dots spelt out, operands read through take and spread.

#include "RegionWriter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

int64_t KernelOperands::getIndexNumber(Value lines) {
  if (!lines)
    return -1;
  auto it = llvm::find(indices, lines);
  if (it == indices.end()) {
    indices.push_back(lines);
    return static_cast<int64_t>(indices.size()) - 1;
  }
  return it - indices.begin();
}

RegionWriter::RegionWriter(KernelFormer &former, KernelOperands &operands)
    : region(std::make_unique<Region>()), former(former), operands(operands), block(&region->emplaceBlock()),
      inner(former.builder().getContext()), loc(UnknownLoc::get(inner.getContext())) {
  inner.setInsertionPointToEnd(block);
}

Value RegionWriter::addLeading() { return block->insertArgument(numLeading++, inner.getF32Type(), loc); }

Value RegionWriter::addInput(Value operand, Type element, Value lines) {
  int64_t index = operands.getIndexNumber(lines);
  for (auto [place, known] : llvm::enumerate(inputs))
    if (known == operand && gather[place] == index)
      return block->getArgument(numLeading + place);
  inputs.push_back(operand);
  gather.push_back(index);
  return block->insertArgument(numLeading + inputs.size() - 1, element, loc);
}

Value RegionWriter::getVector(FlatSymbolRefAttr symbol, Type element) {
  for (auto [place, known] : llvm::enumerate(vectors))
    if (known == symbol)
      return block->getArgument(numLeading + inputs.size() + place);
  vectors.push_back(symbol);
  return block->addArgument(element, loc);
}

Value RegionWriter::getBufferColumn(Value buffer, Value lines) {
  return addInput(buffer, cast<MemRefType>(buffer.getType()).getElementType(), lines);
}

Value RegionWriter::constant(double value) {
  return arith::ConstantOp::create(inner, loc, inner.getF32FloatAttr(value));
}

void RegionWriter::useTable(Value rows) { operands.tableRows = rows; }

bool RegionWriter::isOfOtherDepth(Value rows) const {
  Value read = operands.rows ? operands.rows : operands.tableRows;
  return read && read != rows;
}

Value RegionWriter::getFact(kernel::FactKind kind, Value rows) {
  useTable(rows);
  return kernel::FactOp::create(inner, loc, inner.getIndexType(), kind);
}

/// One column of a tensor without rows: a weight, a constant, or arithmetic on those.
Value RegionWriter::getStatic(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Type element = getElementTypeOrSelf(value.getType());
  Value found;
  DenseElementsAttr constant;
  if (auto weight = value.getDefiningOp<ValueOfOp>()) {
    found = getVector(former.getStorage().getVector({weight.getWeightAttr()}), element);
  } else if (matchPattern(value, m_Constant(&constant))) {
    if (constant.isSplat())
      found = arith::ConstantOp::create(inner, loc, cast<TypedAttr>(constant.getSplatValue<Attribute>()));
    else
      found = getVector(former.getStorage().getConstant(constant), element);
  } else {
    Operation *op = value.getDefiningOp();
    SmallVector<Value> operands =
        llvm::map_to_vector(op->getOperands(), [&](Value operand) { return getStatic(operand); });
    found = inner.create(loc, op->getName().getIdentifier(), operands, element, op->getAttrs())->getResult(0);
  }
  mapping.map(value, found);
  return found;
}

Value RegionWriter::getSpread(SpreadOp op) {
  Value source = op.getValue();
  if (isa<RankedTensorType>(source.getType()) && !isRowTensor(source.getType()))
    return getStatic(source);
  return get(source);
}

Value RegionWriter::getFilled(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return get(fill.getInputs().front());
  Type element = getElementTypeOrSelf(value.getType());
  return arith::ConstantOp::create(inner, loc, inner.getZeroAttr(element));
}

Value RegionWriter::getTaken(Value value, Value from, Value at) {
  if (isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(value.getDefiningOp()) && !former.hasBuffer(value))
    return getFilled(value);
  if (auto spread = value.getDefiningOp<SpreadOp>(); spread && !former.hasBuffer(value)) {
    if (!isRowTensor(spread.getValue().getType()))
      return getSpread(spread);
    return getTaken(spread.getValue(), from, at);
  }
  Value buffer = former.getBuffer(value);
  return addInput(buffer, getElementTypeOrSelf(value.getType()), former.getLines(from, at));
}

Value RegionWriter::get(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Value found;
  Operation *op = value.getDefiningOp();
  if (!isa<RankedTensorType>(value.getType())) {
    Attribute attr;
    if (matchPattern(value, m_Constant(&attr)))
      found = arith::ConstantOp::create(inner, loc, cast<TypedAttr>(attr));
    else
      found = addInput(former.getScalar(value), value.getType(), Value());
  } else if (former.hasBuffer(value)) {
    found = addInput(former.getBuffer(value), getElementTypeOrSelf(value.getType()), Value());
  } else if (auto spread = dyn_cast_or_null<SpreadOp>(op)) {
    found = getSpread(spread);
  } else if (isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(op)) {
    found = getFilled(value);
  } else if (auto take = dyn_cast_or_null<TakeOp>(op)) {
    found = getTaken(take.getValue(), take.getFrom(), take.getAt());
  } else if (auto position = dyn_cast_or_null<PositionOfOp>(op)) {
    found = getFact(kernel::FactKind::Position, position.getRows());
  } else if (auto choice = dyn_cast_or_null<ValueOfOp>(op); choice && !isOfOtherDepth(choice.getBy())) {
    useTable(choice.getBy());
    FlatSymbolRefAttr vector = former.getStorage().getVector({choice.getWeightAttr()});
    found = getVector(vector, getElementTypeOrSelf(value.getType()));
  } else if (auto depth = dyn_cast_or_null<DepthOfOp>(op); depth && !isOfOtherDepth(depth.getRows())) {
    found = getFact(kernel::FactKind::Depth, depth.getRows());
  } else if (auto generated = dyn_cast_or_null<GeneratedOfOp>(op)) {
    Value flag = arith::ConstantIndexOp::create(inner, loc, kGenerated);
    found = arith::AndIOp::create(inner, loc, getFact(kernel::FactKind::Flags, generated.getRows()), flag);
  } else {
    found = addInput(former.getBuffer(value), getElementTypeOrSelf(value.getType()), Value());
  }
  mapping.map(value, found);
  return found;
}

Value RegionWriter::reduce(kernel::ReduceKind kind, Value value) {
  return kernel::ReduceOp::create(inner, loc, value.getType(), kind, value);
}

void RegionWriter::writeNorm(NormOp op) {
  Storage &storage = former.getStorage();
  int64_t width = getWidth(op.getType()) / static_cast<int64_t>(op.getGroups());
  Value x = get(op.getInput()), size = constant(static_cast<double>(width));
  auto type = cast<FloatType>(getElementTypeOrSelf(op.getType()));
  Value wide = type.isF32() ? x : arith::ExtFOp::create(inner, loc, inner.getF32Type(), x).getResult();
  Value centred = wide;
  if (op.getKind() == NormKind::Layer) {
    Value mean = arith::DivFOp::create(inner, loc, reduce(kernel::ReduceKind::Sum, wide), size);
    centred = arith::SubFOp::create(inner, loc, wide, mean);
  }
  Value squares = reduce(kernel::ReduceKind::Sum, arith::MulFOp::create(inner, loc, centred, centred));
  if (op.getKind() != NormKind::L2)
    squares = arith::DivFOp::create(inner, loc, squares, size);
  Value below = arith::AddFOp::create(inner, loc, squares, constant(op.getEps().convertToDouble()));
  Value scale = arith::DivFOp::create(inner, loc, constant(1), math::SqrtOp::create(inner, loc, below));
  Value y = arith::MulFOp::create(inner, loc, centred, scale);
  if (op.getWeightOrder() == WeightOrder::AfterCast && !type.isF32())
    y = arith::ExtFOp::create(inner, loc, inner.getF32Type(), arith::TruncFOp::create(inner, loc, type, y).getResult());
  if (op.getBy())
    useTable(op.getBy());
  if (op.getWeightAttr())
    y = arith::MulFOp::create(inner, loc, y, getVector(storage.getVector({op.getWeightAttr()}), inner.getF32Type()));
  if (op.getBiasAttr())
    y = arith::AddFOp::create(inner, loc, y, getVector(storage.getVector({op.getBiasAttr()}), inner.getF32Type()));
  if (!type.isF32())
    y = arith::TruncFOp::create(inner, loc, type, y);
  mapping.map(op.getResult(), y);
}

void RegionWriter::writeDot(LinearOp op) {
  if (op.getBy())
    useTable(op.getBy());
  Value x = get(op.getInput());
  if (!x.getType().isF32())
    x = arith::ExtFOp::create(inner, loc, inner.getF32Type(), x);
  Value weight = getVector(former.getStorage().getVector({op.getWeightAttr()}), inner.getF32Type());
  mapping.map(op.getResult(), reduce(kernel::ReduceKind::Sum, arith::MulFOp::create(inner, loc, x, weight)));
}

/// The maximum where two columns have it, else the largest of those below it.
static Value createSecondMax(OpBuilder &b, Location loc, Value x) {
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(x.getType(), value));
  };
  auto reduce = [&](kernel::ReduceKind kind, Value value) -> Value {
    return kernel::ReduceOp::create(b, loc, x.getType(), kind, value);
  };
  auto compare = [&](arith::CmpFPredicate predicate, Value left, Value right) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, left, right);
  };
  auto pick = [&](Value where, Value left, Value right) -> Value {
    return arith::SelectOp::create(b, loc, where, left, right);
  };
  Value first = reduce(kernel::ReduceKind::Max, x);
  Value isFirst = compare(arith::CmpFPredicate::OEQ, x, first);
  Value isBelow = compare(arith::CmpFPredicate::OLT, x, first);
  Value count = reduce(kernel::ReduceKind::Sum, pick(isFirst, constant(1), constant(0)));
  Value lowest = constant(-std::numeric_limits<double>::infinity());
  Value below = reduce(kernel::ReduceKind::Max, pick(isBelow, x, lowest));
  return pick(compare(arith::CmpFPredicate::OGT, count, constant(1)), first, below);
}

void RegionWriter::write(Operation *op) {
  loc = op->getLoc();
  if (auto norm = dyn_cast<NormOp>(op))
    return writeNorm(norm);
  if (auto linear = dyn_cast<LinearOp>(op))
    return writeDot(linear);
  if (auto row = dyn_cast<RowReduceOp>(op)) {
    Value value = get(row.getValue());
    if (row.getKind() == ReduceKind::SecondMax) {
      mapping.map(row.getResult(), createSecondMax(inner, loc, value));
      return;
    }
    auto kind = row.getKind() == ReduceKind::Sum ? kernel::ReduceKind::Sum : kernel::ReduceKind::Max;
    mapping.map(row.getResult(), reduce(kind, value));
    return;
  }
  if (auto argmax = dyn_cast<ArgmaxOp>(op)) {
    mapping.map(argmax.getResult(),
                kernel::ArgmaxOp::create(inner, loc, inner.getI32Type(), get(argmax.getValue())).getResult());
    return;
  }
  SmallVector<Value> values;
  for (Value operand : op->getOperands())
    values.push_back(get(operand));
  Operation *scalar = inner.create(loc, op->getName().getIdentifier(), values,
                                   getElementTypeOrSelf(op->getResult(0).getType()), op->getAttrs());
  mapping.map(op->getResult(0), scalar->getResult(0));
}

void RegionWriter::finish(ValueRange results) { kernel::YieldOp::create(inner, loc, results); }
