// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: writes loops over memrefs. Helper functions of the reference path are written as plain loops, so that they
// can be read beside the formulas they implement.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_LOOPEMITTER_H
#define LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_LOOPEMITTER_H

#include "lariat/Artefact/Fault.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace lariat::reference {

class LoopEmitter {
public:
  using Body = llvm::function_ref<void(mlir::Value)>;
  using ReduceBody = llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)>;

  LoopEmitter(mlir::OpBuilder &builder, mlir::Location loc) : b(builder), loc(loc) {}

  mlir::OpBuilder &builder() { return b; }

  // Constants.
  mlir::Value idx(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  mlir::Value bit(bool value) { return mlir::arith::ConstantOp::create(b, loc, b.getBoolAttr(value)); }
  mlir::Value real(double value, mlir::Type type) {
    return mlir::arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  }
  mlir::Value f32(double value) { return real(value, b.getF32Type()); }
  mlir::Value integer(int64_t value, mlir::Type type) {
    return mlir::arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
  }

  // Memory. `read` views an incoming tensor; `result` turns an allocated buffer into the tensor a helper returns.
  mlir::Value read(mlir::Value tensor);
  mlir::Value alloc(mlir::RankedTensorType type, mlir::Value numRows);
  mlir::Value scratch(mlir::Type element, mlir::Value size);
  mlir::Value result(mlir::Value buffer);
  mlir::Value dim(mlir::Value memory, int64_t index) { return mlir::memref::DimOp::create(b, loc, memory, index); }
  mlir::Value load(mlir::Value memory, mlir::ValueRange indices) {
    return mlir::memref::LoadOp::create(b, loc, memory, indices);
  }
  /// Loads and widens to f32.
  mlir::Value loadF32(mlir::Value memory, mlir::ValueRange indices) { return toF32(load(memory, indices)); }
  void store(mlir::Value value, mlir::Value memory, mlir::ValueRange indices) {
    mlir::memref::StoreOp::create(b, loc, value, memory, indices);
  }
  /// Rounds to the memory's element type and stores.
  void storeRounded(mlir::Value value, mlir::Value memory, mlir::ValueRange indices);
  mlir::Value toF32(mlir::Value value);
  mlir::Value roundTo(mlir::Value value, mlir::Type type);

  // Control.
  void loop(mlir::Value from, mlir::Value to, Body body);
  void loop(mlir::Value to, Body body) { loop(idx(0), to, body); }
  mlir::Value reduce(mlir::Value from, mlir::Value to, mlir::Value init, ReduceBody body);
  mlir::Value reduce(mlir::Value to, mlir::Value init, ReduceBody body) { return reduce(idx(0), to, init, body); }
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  /// `condition ? then() : otherwise`, evaluating `then` only where the condition holds.
  mlir::Value choose(mlir::Value condition, mlir::Value otherwise, llvm::function_ref<mlir::Value()> then);

  // Arithmetic.
  mlir::Value add(mlir::Value x, mlir::Value y) { return mlir::arith::AddIOp::create(b, loc, x, y); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return mlir::arith::SubIOp::create(b, loc, x, y); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return mlir::arith::MulIOp::create(b, loc, x, y); }
  mlir::Value divide(mlir::Value x, mlir::Value y) { return mlir::arith::DivUIOp::create(b, loc, x, y); }
  mlir::Value minimum(mlir::Value x, mlir::Value y) { return mlir::arith::MinUIOp::create(b, loc, x, y); }
  mlir::Value bitAnd(mlir::Value x, mlir::Value y) { return mlir::arith::AndIOp::create(b, loc, x, y); }
  mlir::Value bitOr(mlir::Value x, mlir::Value y) { return mlir::arith::OrIOp::create(b, loc, x, y); }
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, loc, predicate, x, y);
  }
  mlir::Value equal(mlir::Value x, mlir::Value y) { return compare(mlir::arith::CmpIPredicate::eq, x, y); }
  mlir::Value notEqual(mlir::Value x, mlir::Value y) { return compare(mlir::arith::CmpIPredicate::ne, x, y); }
  mlir::Value below(mlir::Value x, mlir::Value y) { return compare(mlir::arith::CmpIPredicate::slt, x, y); }
  mlir::Value atMost(mlir::Value x, mlir::Value y) { return compare(mlir::arith::CmpIPredicate::sle, x, y); }
  mlir::Value compareF(mlir::arith::CmpFPredicate predicate, mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpFOp::create(b, loc, predicate, x, y);
  }
  mlir::Value pick(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return mlir::arith::SelectOp::create(b, loc, condition, x, y);
  }
  mlir::Value addF(mlir::Value x, mlir::Value y) { return mlir::arith::AddFOp::create(b, loc, x, y); }
  mlir::Value subF(mlir::Value x, mlir::Value y) { return mlir::arith::SubFOp::create(b, loc, x, y); }
  mlir::Value mulF(mlir::Value x, mlir::Value y) { return mlir::arith::MulFOp::create(b, loc, x, y); }
  mlir::Value divF(mlir::Value x, mlir::Value y) { return mlir::arith::DivFOp::create(b, loc, x, y); }
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z) { return mlir::math::FmaOp::create(b, loc, x, y, z); }
  mlir::Value exp(mlir::Value x) { return mlir::math::ExpOp::create(b, loc, x); }
  mlir::Value cast(mlir::Value value, mlir::Type type) {
    return value.getType() == type ? value : mlir::arith::IndexCastOp::create(b, loc, type, value).getResult();
  }

  /// `value` where it is in 0 to end - 1; else 0, and the first fault is noted in `faults`.
  mlir::Value checkRange(mlir::Value value, mlir::Value end, mlir::Value faults, abi::FaultKind kind,
                         mlir::Value place);

  // Row sets.
  mlir::Value column(mlir::Value rows, mlir::Value row, RowColumn column) { return load(rows, {row, idx(column)}); }
  mlir::Value hasFlag(mlir::Value flags, int64_t flag) { return notEqual(bitAnd(flags, idx(flag)), idx(0)); }

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
};

/// Loop body over the entries of one row of a row tensor of this type.
void forEachColumn(LoopEmitter &e, mlir::RankedTensorType type, mlir::Value row,
                   llvm::function_ref<void(mlir::ValueRange)> body);

} // namespace lariat::reference

#endif // LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_LOOPEMITTER_H
