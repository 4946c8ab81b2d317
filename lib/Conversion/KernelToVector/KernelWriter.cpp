// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic, memory and control flow for writers of kernels.

#include "KernelWriter.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cstddef>

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value CodeWriter::constantI64(int64_t value) { return arith::ConstantIntOp::create(b, loc, b.getI64Type(), value); }
Value CodeWriter::add(Value left, Value right) { return b.createOrFold<arith::AddIOp>(loc, left, right); }
Value CodeWriter::subtract(Value left, Value right) { return b.createOrFold<arith::SubIOp>(loc, left, right); }
Value CodeWriter::multiply(Value left, Value right) { return b.createOrFold<arith::MulIOp>(loc, left, right); }
Value CodeWriter::divide(Value left, Value right) { return b.createOrFold<arith::DivUIOp>(loc, left, right); }
Value CodeWriter::remainder(Value left, Value right) { return b.createOrFold<arith::RemUIOp>(loc, left, right); }
Value CodeWriter::minimum(Value left, Value right) { return b.createOrFold<arith::MinSIOp>(loc, left, right); }
Value CodeWriter::maximum(Value left, Value right) { return b.createOrFold<arith::MaxSIOp>(loc, left, right); }
Value CodeWriter::bitAnd(Value left, Value right) { return b.createOrFold<arith::AndIOp>(loc, left, right); }
Value CodeWriter::bitOr(Value left, Value right) { return b.createOrFold<arith::OrIOp>(loc, left, right); }

Value CodeWriter::compare(arith::CmpIPredicate predicate, Value left, Value right) {
  return b.createOrFold<arith::CmpIOp>(loc, predicate, left, right);
}

Value CodeWriter::select(Value condition, Value left, Value right) {
  return b.createOrFold<arith::SelectOp>(loc, condition, left, right);
}

Value CodeWriter::toIndex(Value value) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), value); }

std::pair<Value, Value> CodeWriter::share(Value count, Value part, Value numParts) {
  Value begin = divide(multiply(count, part), numParts);
  return {begin, divide(multiply(count, add(part, 1)), numParts)};
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value CodeWriter::constantFloat(double value, Type type) {
  TypedAttr attr = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

Value CodeWriter::broadcast(Value scalar) {
  if (isa<VectorType>(scalar.getType()))
    return scalar;
  VectorType type = vectorOf(scalar.getType());
  if (auto constant = scalar.getDefiningOp<arith::ConstantOp>())
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, Attribute(constant.getValue())));
  return vector::BroadcastOp::create(b, loc, type, scalar);
}

Value CodeWriter::extract(Value vector, int64_t place) { return vector::ExtractOp::create(b, loc, vector, place); }

/// `type` or a vector of it, as `like` is.
static Type getLike(Type like, Type type) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? Type(VectorType::get(vector.getShape(), type)) : type;
}

/// A constant integer of `type`, an integer or a vector of it.
static Value integerOf(CodeWriter &w, Type type, int64_t value) {
  TypedAttr attr = w.b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(w.b, w.loc, attr);
}

// bf16 is done with integers: not every CPU converts, and LLVM would call a function that is not there.
Value CodeWriter::widen(Value value) {
  Type type = value.getType(), wide = getLike(type, b.getF32Type());
  if (!getElementTypeOrSelf(type).isBF16())
    return arith::ExtFOp::create(b, loc, wide, value);
  Type word = getLike(type, b.getI32Type());
  Value bits =
      arith::ExtUIOp::create(b, loc, word, arith::BitcastOp::create(b, loc, getLike(type, b.getI16Type()), value));
  return arith::BitcastOp::create(b, loc, wide, arith::ShLIOp::create(b, loc, bits, integerOf(*this, word, 16)));
}

Value CodeWriter::narrow(Value value, Type element) {
  Type type = value.getType();
  if (!element.isBF16())
    return arith::TruncFOp::create(b, loc, getLike(type, element), value);
  Type word = getLike(type, b.getI32Type());
  auto constant = [&](int64_t number) { return integerOf(*this, word, number); };
  Value bits = arith::BitcastOp::create(b, loc, word, value);
  Value odd = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, constant(16)), constant(1));
  Value rounded = arith::AddIOp::create(b, loc, bits, arith::AddIOp::create(b, loc, odd, constant(0x7fff)));
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  Value quiet = arith::OrIOp::create(b, loc, bits, constant(0x400000));
  Value high = arith::ShRUIOp::create(b, loc, select(isNaN, quiet, rounded), constant(16));
  Value half = arith::TruncIOp::create(b, loc, getLike(type, b.getI16Type()), high);
  return arith::BitcastOp::create(b, loc, getLike(type, element), half);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value CodeWriter::ptrAdd(Value address, Value bytes) {
  return LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), address, ArrayRef<LLVM::GEPArg>{bytes});
}

Value CodeWriter::ptrAdd(Value address, int64_t bytes) { return bytes ? ptrAdd(address, constantI64(bytes)) : address; }

static unsigned getAlignment(Type type) {
  Type element = getElementTypeOrSelf(type);
  return isa<LLVM::LLVMPointerType>(element) ? 8 : std::max(1u, element.getIntOrFloatBitWidth() / 8);
}

Value CodeWriter::load(Type type, Value address) {
  return LLVM::LoadOp::create(b, loc, type, address, getAlignment(type));
}

void CodeWriter::store(Value value, Value address) {
  LLVM::StoreOp::create(b, loc, value, address, getAlignment(value.getType()));
}

/// What an element is in memory.
static Type getMemoryType(OpBuilder &b, Type element) {
  return element.isIndex() ? b.getI64Type() : element.isInteger(1) ? b.getI8Type() : element;
}

/// A value of elements `element` from what was in memory, and back.
static Value fromMemory(CodeWriter &w, Type element, Value value) {
  if (element.isIndex())
    return arith::IndexCastOp::create(w.b, w.loc, getLike(value.getType(), element), value);
  if (element.isInteger(1))
    return arith::CmpIOp::create(w.b, w.loc, arith::CmpIPredicate::ne, value, integerOf(w, value.getType(), 0));
  return value;
}
static Value toMemory(CodeWriter &w, Value value) {
  Type type = value.getType(), element = getElementTypeOrSelf(type), memory = getMemoryType(w.b, element);
  if (element.isIndex())
    return arith::IndexCastOp::create(w.b, w.loc, getLike(type, memory), value);
  if (element.isInteger(1))
    return arith::ExtUIOp::create(w.b, w.loc, getLike(type, memory), value);
  return value;
}

Value CodeWriter::loadElement(Type element, Value address) {
  return fromMemory(*this, element, load(getMemoryType(b, element), address));
}

void CodeWriter::storeElement(Value value, Value address) { store(toMemory(*this, value), address); }

Value CodeWriter::firstLanes(int64_t count) {
  SmallVector<bool> lanes(kLanes, false);
  std::fill_n(lanes.begin(), count, true);
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vectorOf(b.getI1Type()), lanes));
}

Value CodeWriter::loadColumns(Type element, Value address, int64_t count) {
  VectorType type = vectorOf(getMemoryType(b, element));
  if (count == kLanes)
    return fromMemory(*this, element, load(type, address));
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Value vector = LLVM::MaskedLoadOp::create(b, loc, type, address, firstLanes(count), zero,
                                            b.getI32IntegerAttr(getAlignment(type)));
  return fromMemory(*this, element, vector);
}

void CodeWriter::storeColumns(Value vector, Value address, int64_t count) {
  Value value = toMemory(*this, vector);
  if (count == kLanes)
    return store(value, address);
  LLVM::MaskedStoreOp::create(b, loc, value, address, firstLanes(count), getAlignment(value.getType()));
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void CodeWriter::forLoop(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body) {
  forLoop(begin, end, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

CodeWriter::Values CodeWriter::forLoop(Value begin, Value end, Value step, ValueRange inits,
                                       llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, step, inits);
  OpBuilder::InsertionGuard guard(b);
  Block *block = loop.getBody();
  if (!block->empty()) // without carried values the builder has put a terminator
    block->back().erase();
  b.setInsertionPointToEnd(block);
  Values results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, loc, results);
  return Values(loop.getResults());
}

CodeWriter::Values CodeWriter::whileLoop(ValueRange inits, llvm::function_ref<Value(ValueRange)> condition,
                                         llvm::function_ref<Values(ValueRange)> body) {
  OpBuilder saved = b;
  auto loop = scf::WhileOp::create(
      b, loc, inits.getTypes(), inits,
      [&](OpBuilder &inner, Location, ValueRange args) {
        b = inner;
        Value goesOn = condition(args);
        scf::ConditionOp::create(b, loc, goesOn, args);
      },
      [&](OpBuilder &inner, Location, ValueRange args) {
        b = inner;
        Values results = body(args);
        scf::YieldOp::create(b, loc, results);
      });
  b = saved;
  return Values(loop.getResults());
}

void CodeWriter::ifThen(Value condition, llvm::function_ref<void()> body, llvm::function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenBlock()->getTerminator());
  body();
  if (!otherwise)
    return;
  b.setInsertionPoint(branch.elseBlock()->getTerminator());
  otherwise();
}

void CodeWriter::switchOn(Value number, ArrayRef<int64_t> cases, llvm::function_ref<void(int64_t)> body) {
  auto branch = scf::IndexSwitchOp::create(b, loc, TypeRange(), toIndex(number), cases, cases.size());
  OpBuilder::InsertionGuard guard(b);
  auto fill = [&](Region &region, llvm::function_ref<void()> write) {
    b.setInsertionPointToEnd(&region.emplaceBlock());
    write();
    scf::YieldOp::create(b, loc);
  };
  for (auto [value, region] : llvm::zip_equal(cases, branch.getCaseRegions()))
    fill(region, [&, value = value] { body(value); });
  fill(branch.getDefaultRegion(), [] {});
}

void CodeWriter::call(func::FuncOp function, ValueRange operands) { func::CallOp::create(b, loc, function, operands); }

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {

/// Words of the record that a kernel is given when it runs.
struct GivenRecord {
  CodeWriter *w;
  Value record;

  Value load(int64_t number) { return w->loadI64(record, number); }
  Value getLow(Value word, int64_t bits) { return w->bitAnd(word, w->constantI64((int64_t(1) << bits) - 1)); }
  Value getHigh(Value word, int64_t bits) { return arith::ShRUIOp::create(w->b, w->loc, word, w->constantI64(bits)); }
};

} // namespace

KernelWriter::KernelWriter(KernelEmitter &emitter, func::FuncOp function, ArrayRef<RecordField> fields)
    : CodeWriter(emitter, OpBuilder::atBlockEnd(&function.getBody().front()), function.getLoc()),
      thread(function.getArgument(2)), numThreads(function.getArgument(3)) {
  auto member = [&](size_t offset) { return ptrAdd(function.getArgument(0), static_cast<int64_t>(offset)); };
  Value bases = loadPointer(member(offsetof(abi::Call, bases))),
        cells = loadPointer(member(offsetof(abi::Call, cells))),
        paddedRows = loadI64(member(offsetof(abi::Call, paddedRows)));
  Value weights = loadPointer(bases, abi::kWeights);
  abi::RecordDecoder record(GivenRecord{this, function.getArgument(1)});
  for (const RecordField &field : fields) {
    switch (field.kind) {
    case RecordField::Kind::Buffer: {
      abi::BufferOperand<Value> buffer = record.takeBuffer();
      Value base = loadPointer(ptrAdd(bases, multiply(buffer.base, 8)));
      decoded.push_back(ptrAdd(base, add(buffer.offset, multiply(buffer.rowBytes, paddedRows))));
      break;
    }
    case RecordField::Kind::Cell: {
      Type type = field.value.getType();
      Value address = ptrAdd(cells, multiply(record.takeWord(), 8));
      decoded.push_back(type.isIndex() ? loadI64(address) : loadElement(type, address));
      break;
    }
    case RecordField::Kind::Packed:
      decoded.push_back(ptrAdd(weights, record.takeWord()));
      break;
    case RecordField::Kind::Table:
      decoded.push_back(ptrAdd(loadPointer(member(offsetof(abi::Call, tables))), record.takeWord()));
      break;
    case RecordField::Kind::Literal:
      decoded.push_back(record.takeWord());
      break;
    }
  }
  Value bytes = loadI64(member(offsetof(abi::Call, scratchBytes)));
  scratchBase = ptrAdd(loadPointer(member(offsetof(abi::Call, scratch))), multiply(thread, bytes));
}

Value KernelWriter::scratch(int64_t bytes) {
  Value address = ptrAdd(scratchBase, scratchBytes);
  scratchBytes += kernel::roundUp(bytes, kernel::kAlignment);
  emitter.needScratch(scratchBytes);
  return address;
}

Value KernelWriter::line(Value address, MemRefType buffer, Value row) {
  return ptrAdd(address, multiply(row, kernel::getLineBytes(buffer)));
}
