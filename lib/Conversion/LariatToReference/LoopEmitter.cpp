// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops, memory and widening behind LoopEmitter.h.

#include "LoopEmitter.h"

using namespace mlir;
using namespace lariat::reference;

Value LoopEmitter::read(Value tensor) {
  auto type = llvm::cast<RankedTensorType>(tensor.getType());
  auto memory = MemRefType::get(type.getShape(), type.getElementType());
  return bufferization::ToBufferOp::create(b, loc, memory, tensor, /*read_only=*/true);
}

Value LoopEmitter::alloc(RankedTensorType type, Value numRows) {
  auto memory = MemRefType::get(type.getShape(), type.getElementType());
  return memref::AllocOp::create(b, loc, memory, numRows);
}

Value LoopEmitter::scratch(Type element, Value size) {
  return memref::AllocOp::create(b, loc, MemRefType::get({ShapedType::kDynamic}, element), size);
}

Value LoopEmitter::result(Value buffer) {
  auto type = llvm::cast<MemRefType>(buffer.getType());
  return bufferization::ToTensorOp::create(b, loc, RankedTensorType::get(type.getShape(), type.getElementType()),
                                           buffer, /*restrict=*/true, /*writable=*/true);
}

Value LoopEmitter::toF32(Value value) {
  auto type = llvm::cast<FloatType>(value.getType());
  if (type.getWidth() == 32)
    return value;
  if (type.getWidth() > 32)
    return arith::TruncFOp::create(b, loc, b.getF32Type(), value);
  return arith::ExtFOp::create(b, loc, b.getF32Type(), value);
}

Value LoopEmitter::roundTo(Value value, Type type) {
  if (value.getType() == type)
    return value;
  // From f64 by way of f32: the step from f64 to bf16 would be a call of a function that not every machine has.
  if (llvm::cast<FloatType>(value.getType()).getWidth() > 32 && llvm::cast<FloatType>(type).getWidth() < 32)
    value = toF32(value);
  if (llvm::cast<FloatType>(type).getWidth() < llvm::cast<FloatType>(value.getType()).getWidth())
    return arith::TruncFOp::create(b, loc, type, value);
  return arith::ExtFOp::create(b, loc, type, value);
}

void LoopEmitter::storeRounded(Value value, Value memory, ValueRange indices) {
  store(roundTo(value, llvm::cast<MemRefType>(memory.getType()).getElementType()), memory, indices);
}

void LoopEmitter::loop(Value from, Value to, Body body) {
  auto op = scf::ForOp::create(b, loc, from, to, idx(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVar());
}

Value LoopEmitter::reduce(Value from, Value to, Value init, ReduceBody body) {
  auto op = scf::ForOp::create(b, loc, from, to, idx(1), ValueRange{init});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(op.getBody());
  Value next = body(op.getInductionVar(), op.getRegionIterArg(0));
  scf::YieldOp::create(b, loc, next);
  return op.getResult(0);
}

void LoopEmitter::when(Value condition, llvm::function_ref<void()> body) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.thenBlock()->getTerminator());
  body();
}

Value LoopEmitter::choose(Value condition, Value otherwise, llvm::function_ref<Value()> then) {
  auto op = scf::IfOp::create(b, loc, otherwise.getType(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(op.thenBlock());
  scf::YieldOp::create(b, loc, then());
  b.setInsertionPointToEnd(op.elseBlock());
  scf::YieldOp::create(b, loc, otherwise);
  return op.getResult(0);
}

Value LoopEmitter::checkRange(Value value, Value end, Value faults, abi::FaultKind kind, Value place) {
  Value isInside = compare(arith::CmpIPredicate::ult, value, end);
  Value isFirst = equal(load(faults, idx(abi::kFaultKind)), idx(abi::kNoFault));
  when(bitAnd(equal(isInside, bit(false)), isFirst), [&] {
    store(idx(kind), faults, idx(abi::kFaultKind));
    store(place, faults, idx(abi::kFaultPlace));
    store(value, faults, idx(abi::kFaultFound));
    store(end, faults, idx(abi::kFaultEnd));
  });
  return pick(isInside, value, idx(0));
}

void lariat::reference::forEachColumn(LoopEmitter &e, RankedTensorType type, Value row,
                                      llvm::function_ref<void(ValueRange)> body) {
  SmallVector<Value> indices{row};
  std::function<void(int64_t)> nest = [&](int64_t dim) {
    if (dim == type.getRank())
      return body(indices);
    e.loop(e.idx(type.getDimSize(dim)), [&](Value index) {
      indices.push_back(index);
      nest(dim + 1);
      indices.pop_back();
    });
  };
  nest(1);
}
