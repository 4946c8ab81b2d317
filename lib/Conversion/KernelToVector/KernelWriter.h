// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: what writers of kernels say arithmetic, memory and loops with. Integers are i64, addresses !llvm.ptr,
// vectors have 16 entries whatever the CPU: LLVM splits them, so that rounding is the same everywhere.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELWRITER_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELWRITER_H

#include "lariat/Conversion/KernelToVector/KernelToVector.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

#include <utility>

namespace lariat::vectors {

using kernel::RecordField;

inline constexpr int64_t kLanes = 16;
static_assert(kLanes == kernel::kLineColumns && kernel::kPageEntries % kLanes == 0,
              "lines are filled up to whole vectors, and pages are whole vectors");

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;

/// Arithmetic, memory and control flow at a place.
class CodeWriter {
public:
  CodeWriter(KernelEmitter &emitter, mlir::OpBuilder builder, mlir::Location loc)
      : emitter(emitter), b(std::move(builder)), loc(loc) {}

  // i64. Division is that of non-negative numbers.
  Value constantI64(int64_t value);
  Value add(Value left, Value right);
  Value add(Value left, int64_t right) { return add(left, constantI64(right)); }
  Value subtract(Value left, Value right);
  Value multiply(Value left, Value right);
  Value multiply(Value left, int64_t right) { return multiply(left, constantI64(right)); }
  Value divide(Value left, Value right);
  Value divide(Value left, int64_t right) { return divide(left, constantI64(right)); }
  Value divideUp(Value left, int64_t right) { return divide(add(left, right - 1), right); }
  Value remainder(Value left, Value right);
  Value minimum(Value left, Value right);
  Value maximum(Value left, Value right);
  Value bitAnd(Value left, Value right);
  Value bitOr(Value left, Value right);
  /// i1 of two i64.
  Value compare(mlir::arith::CmpIPredicate predicate, Value left, Value right);
  Value less(Value left, Value right) { return compare(mlir::arith::CmpIPredicate::slt, left, right); }
  Value equal(Value left, Value right) { return compare(mlir::arith::CmpIPredicate::eq, left, right); }
  /// `left` where `condition`, else `right`, of any type.
  Value select(Value condition, Value left, Value right);
  Value toIndex(Value value);

  // Floats: scalars or vectors.
  Value constantFloat(double value, Type type); ///< f32 or a vector of it
  Value broadcast(Value scalar);                ///< in all 16 entries
  Value extract(Value vector, int64_t place);   ///< one entry
  Value widen(Value value);                     ///< f32 of bf16 or f16
  Value narrow(Value value, Type element);      ///< bf16 or f16 of f32, to nearest even; NaN stays NaN
  mlir::VectorType vectorOf(Type element, int64_t lanes = kLanes) { return mlir::VectorType::get({lanes}, element); }
  mlir::VectorType f32x16() { return vectorOf(b.getF32Type()); }

  // Memory.
  Type pointer() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  Value ptrAdd(Value address, Value bytes);
  Value ptrAdd(Value address, int64_t bytes);
  /// Anything, aligned to its (element's) size.
  Value load(Type type, Value address);
  void store(Value value, Value address);
  Value loadI64(Value address, int64_t words = 0) { return load(b.getI64Type(), ptrAdd(address, 8 * words)); }
  Value loadPointer(Value address, int64_t words = 0) { return load(pointer(), ptrAdd(address, 8 * words)); }
  /// An element of a buffer: i1 is a byte there, index 64 bits.
  Value loadElement(Type element, Value address);
  void storeElement(Value value, Value address);
  /// The same for 16 columns, of which the first `count` are touched.
  Value loadColumns(Type element, Value address, int64_t count = kLanes);
  void storeColumns(Value vector, Value address, int64_t count = kLanes);
  /// The first `count` lanes, as vector<16xi1>.
  Value firstLanes(int64_t count);

  // Control flow. Bodies write through this same object.
  using Values = mlir::SmallVector<Value>;
  void forLoop(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body);
  void forLoop(Value begin, Value end, llvm::function_ref<void(Value)> body) {
    forLoop(begin, end, constantI64(1), body);
  }
  Values forLoop(Value begin, Value end, Value step, ValueRange inits,
                 llvm::function_ref<Values(Value, ValueRange)> body);
  /// While `condition` of the carried values.
  Values whileLoop(ValueRange inits, llvm::function_ref<Value(ValueRange)> condition,
                   llvm::function_ref<Values(ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> body, llvm::function_ref<void()> otherwise = nullptr);
  /// One case per number; nothing for another.
  void switchOn(Value number, llvm::ArrayRef<int64_t> cases, llvm::function_ref<void(int64_t)> body);
  void call(mlir::func::FuncOp function, ValueRange operands);

  /// [begin, end) of `count` that part `part` of `numParts` has: contiguous, sizes differ by one at most.
  std::pair<Value, Value> share(Value count, Value part, Value numParts);

  KernelEmitter &emitter;
  mlir::OpBuilder b;
  mlir::Location loc;
};

/// The same inside a kernel's function.
class KernelWriter : public CodeWriter {
public:
  /// `fields` are those of the kernel; all are decoded here.
  KernelWriter(KernelEmitter &emitter, mlir::func::FuncOp function, llvm::ArrayRef<RecordField> fields);

  /// Field i, which for i < number of the op's operands is operand i. A buffer or packed data: its address; an index or
  /// a literal: an i64; another scalar: its value.
  Value field(size_t i) const { return decoded[i]; }

  Value getThread() const { return thread; }
  Value getNumThreads() const { return numThreads; }
  /// What this thread has of `count` pieces.
  std::pair<Value, Value> share(Value count) { return CodeWriter::share(count, thread, numThreads); }
  using CodeWriter::share;

  /// Address of so many bytes of this thread's scratch memory, 64-byte aligned, for the whole kernel. Call it where the
  /// address is in scope of all uses.
  Value scratch(int64_t bytes);

  /// Address of the line of a row in `buffer`, at `address`.
  Value line(Value address, mlir::MemRefType buffer, Value row);

private:
  Value thread, numThreads, scratchBase;
  llvm::SmallVector<Value> decoded;
  int64_t scratchBytes = 0;
};

/// The op that a symbol names, from the module that `op` stands in.
template <typename OpT>
OpT lookUp(mlir::Operation *op, mlir::FlatSymbolRefAttr symbol) {
  return mlir::SymbolTable::lookupNearestSymbolFrom<OpT>(op, symbol);
}

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELWRITER_H
