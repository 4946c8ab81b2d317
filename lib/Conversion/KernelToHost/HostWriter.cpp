// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Host code: buffers become addresses, row ops calls of the runtime, parallel regions tables of records and a launch.

#include "HostWriter.h"

#include "lariat/Artefact/Abi.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstddef>

using namespace mlir;
using namespace lariat;
using namespace lariat::host;

static constexpr int64_t kWordBytes = 8;

HostWriter::HostWriter(func::FuncOp function, KernelCodegen &codegen)
    : function(function), module(function->getParentOfType<ModuleOp>()), codegen(codegen), b(function.getContext()),
      loc(function.getLoc()), pointer(LLVM::LLVMPointerType::get(b.getContext())), i64(b.getI64Type()) {}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value HostWriter::constantI64(int64_t value) { return arith::ConstantIntOp::create(b, loc, i64, value); }

Value HostWriter::toI64(Value index) {
  return index.getType().isIndex() ? arith::IndexCastOp::create(b, loc, i64, index).getResult() : index;
}

Value HostWriter::ptrAdd(Value address, Value bytes) {
  return LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), address, ArrayRef<LLVM::GEPArg>{bytes});
}

Value HostWriter::ptrAdd(Value address, int64_t bytes) { return bytes ? ptrAdd(address, constantI64(bytes)) : address; }

Value HostWriter::load(Type type, Value address) { return LLVM::LoadOp::create(b, loc, type, address); }

Value HostWriter::getElement(Value buffer, ValueRange indices) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t bytes = kernel::getElementBytes(type.getElementType());
  Value offset = arith::MulIOp::create(b, loc, toI64(indices[0]), constantI64(kernel::getLineBytes(type)));
  if (indices.size() == 2)
    offset = arith::AddIOp::create(b, loc, offset,
                                   arith::MulIOp::create(b, loc, toI64(indices[1]), constantI64(bytes)).getResult());
  return ptrAdd(getAddress(buffer), offset);
}

Value HostWriter::reserveStack(Type type) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AllocaOp::create(b, loc, pointer, type, constantI64(1));
}

Value HostWriter::getAddress(Value buffer) {
  Value &known = addresses[buffer];
  if (known)
    return known;
  Operation *op = buffer.getDefiningOp();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  Value address;
  if (auto storage = dyn_cast<kernel::BufferOp>(op)) {
    address = ptrAdd(arena, arith::MulIOp::create(b, loc, paddedRows, constantI64(*storage.getOffset())).getResult());
  } else if (auto port = dyn_cast<kernel::PortOp>(op)) {
    address = load(pointer, ptrAdd(bases, (abi::kFirstPort + static_cast<int64_t>(port.getNumber())) * kWordBytes));
  } else if (auto state = dyn_cast<kernel::StateOp>(op)) {
    Value states = load(pointer, ptrAdd(call, offsetof(abi::Call, states)));
    address = load(pointer, ptrAdd(states, static_cast<int64_t>(state.getNumber()) * kWordBytes));
  } else {
    auto columns = cast<kernel::ColumnsOp>(op);
    auto type = cast<MemRefType>(columns.getSource().getType());
    int64_t bytes = static_cast<int64_t>(columns.getFirst()) * kernel::getElementBytes(type.getElementType());
    address = ptrAdd(getAddress(columns.getSource()), bytes);
  }
  return addresses[buffer] = address;
}

//===----------------------------------------------------------------------===//
// Services
//===----------------------------------------------------------------------===//

Value HostWriter::callService(int64_t offset, Type result, ValueRange operands) {
  Value place = LLVM::AddressOfOp::create(b, loc, pointer, abi::kServicesSymbol);
  Value services = load(pointer, place), target = load(pointer, ptrAdd(services, offset));
  Type returned = result ? result : Type(LLVM::LLVMVoidType::get(b.getContext()));
  auto type = LLVM::LLVMFunctionType::get(returned, llvm::to_vector(operands.getTypes()));
  SmallVector<Value> all{target};
  llvm::append_range(all, operands);
  auto call = LLVM::CallOp::create(b, loc, type, all);
  return result ? call.getResult() : Value();
}

LogicalResult HostWriter::rewriteService(kernel::RowServiceOpInterface op) {
  if (failed(kernel::verifySymbols(op)))
    return failure();
  SmallVector<Value> operands{call};
  for (OpFoldResult argument : op.getServiceArguments()) {
    auto value = dyn_cast_if_present<Value>(argument);
    if (argument.isNull())
      operands.push_back(LLVM::ZeroOp::create(b, loc, pointer));
    else if (!value)
      operands.push_back(constantI64(cast<IntegerAttr>(cast<Attribute>(argument)).getInt()));
    else
      operands.push_back(isa<MemRefType>(value.getType()) ? getAddress(value) : toI64(value));
  }
  bool hasResult = op->getNumResults() == 1;
  Value result = callService(op.getServiceOffset(), hasResult ? i64 : Type(), operands);
  if (hasResult)
    op->getResult(0).replaceAllUsesWith(arith::IndexCastOp::create(b, loc, b.getIndexType(), result).getResult());
  op->erase();
  return success();
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

/// Index of the cell that holds a host value; the store follows the value's definition.
int64_t HostWriter::getCell(Value value) {
  auto [it, isNew] = cellOf.try_emplace(value, numCells);
  if (!isNew)
    return it->second;
  int64_t cell = numCells++;
  OpBuilder::InsertionGuard guard(b);
  if (Operation *op = value.getDefiningOp()) {
    b.setInsertionPointAfter(op);
    // `cells` is there before everything else of the body.
    if (op->getBlock() == cells.getParentBlock() && op->isBeforeInBlock(cells.getDefiningOp()))
      b.setInsertionPointAfter(cells.getDefiningOp());
  } else {
    b.setInsertionPointToStart(value.getParentBlock());
  }
  Value place = ptrAdd(cells, cell * kWordBytes), stored = toI64(value);
  if (stored.getType().isInteger(1))
    stored = arith::ExtUIOp::create(b, loc, b.getI8Type(), stored);
  LLVM::StoreOp::create(b, loc, stored, place);
  return cell;
}

LogicalResult HostWriter::addBuffer(Value buffer, abi::RecordEncoder &record) {
  auto type = cast<MemRefType>(buffer.getType());
  kernel::BufferRoot root = kernel::getBufferRoot(buffer);
  int64_t offset = root.firstColumn * kernel::getElementBytes(type.getElementType());
  if (auto port = dyn_cast_if_present<kernel::PortOp>(root.op)) {
    record.addBuffer({abi::kFirstPort + static_cast<int64_t>(port.getNumber()), /*rowBytes=*/0, offset});
    return success();
  }
  auto storage = dyn_cast_if_present<kernel::BufferOp>(root.op);
  if (!storage)
    return emitError(buffer.getLoc()) << "a kernel reads or writes memory that is neither of the arena nor of a port";
  record.addBuffer({abi::kArena, static_cast<int64_t>(*storage.getOffset()), offset});
  return success();
}

template <typename OpT>
static int64_t getOffset(Operation *from, FlatSymbolRefAttr symbol) {
  return SymbolTable::lookupNearestSymbolFrom<OpT>(from, symbol).getOffset().value_or(0);
}

LogicalResult HostWriter::addOperand(const RecordField &field, abi::RecordEncoder &record) {
  switch (field.kind) {
  case RecordField::Kind::Buffer:
    return addBuffer(field.value, record);
  case RecordField::Kind::Cell:
    record.addWord(getCell(field.value));
    break;
  case RecordField::Kind::Packed:
    record.addWord(getOffset<kernel::PackedOp>(function, field.symbol));
    break;
  case RecordField::Kind::Table:
    record.addWord(getOffset<kernel::RopeTableOp>(function, field.symbol));
    break;
  case RecordField::Kind::Literal:
    record.addWord(field.literal);
    break;
  }
  return success();
}

/// Records one after the other, in constant memory; its address.
Value HostWriter::createTable(ArrayRef<abi::RecordEncoder> records) {
  SmallVector<int64_t> words;
  for (const abi::RecordEncoder &record : records)
    llvm::append_range(words, record.getWords());
  auto numWords = static_cast<int64_t>(words.size());
  auto content = DenseElementsAttr::get(RankedTensorType::get({numWords}, i64), ArrayRef(words));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  std::string name = (function.getSymName() + "_records_" + Twine(numTables++)).str();
  LLVM::GlobalOp::create(b, loc, LLVM::LLVMArrayType::get(i64, numWords), /*isConstant=*/true, LLVM::Linkage::Internal,
                         name, content, kernel::kAlignment);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AddressOfOp::create(b, loc, pointer, name);
}

LogicalResult HostWriter::rewriteParallel(kernel::ParallelRegionOp op) {
  SmallVector<abi::RecordEncoder> records;
  for (Operation &inner : op.getBody().front()) {
    if (isa<kernel::BarrierOp>(inner)) {
      if (!records.empty())
        records.back().setFlag(abi::kBarrierAfter);
      continue;
    }
    FailureOr<int64_t> number = codegen.emit(&inner);
    if (failed(number))
      return failure();
    abi::RecordEncoder record(*number);
    for (const RecordField &field : kernel::getRecordFields(&inner, codegen.getLiterals(&inner)))
      if (failed(addOperand(field, record)))
        return failure();
    records.push_back(std::move(record));
  }
  if (!records.empty()) {
    Value table = createTable(records);
    callService(offsetof(abi::Services, launch), {}, {call, table, constantI64(static_cast<int64_t>(records.size()))});
  }
  op.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

LogicalResult HostWriter::rewritePortRows(kernel::PortRowsOp op) {
  Value count = load(i64, ptrAdd(cells, static_cast<int64_t>(op.getNumber()) * kWordBytes));
  auto index = arith::IndexCastOp::create(b, loc, b.getIndexType(), count);
  cellOf[index.getResult()] = static_cast<int64_t>(op.getNumber()); // it has one already
  op.getRows().replaceAllUsesWith(index.getResult());
  op->erase();
  return success();
}

LogicalResult HostWriter::rewriteSetPortRows(kernel::SetPortRowsOp op) {
  LLVM::StoreOp::create(b, loc, toI64(op.getRows()), ptrAdd(cells, static_cast<int64_t>(op.getNumber()) * kWordBytes));
  op->erase();
  return success();
}

/// An element: i1 is a byte in memory, index 64 bits.
LogicalResult HostWriter::rewriteLoad(memref::LoadOp op) {
  Type type = op.getType();
  Value place = getElement(op.getMemRef(), op.getIndices());
  Value value = load(type.isIndex() ? i64 : type.isInteger(1) ? b.getI8Type() : type, place);
  if (type.isIndex())
    value = arith::IndexCastOp::create(b, loc, type, value);
  else if (type.isInteger(1))
    value = arith::TruncIOp::create(b, loc, type, value);
  op.getResult().replaceAllUsesWith(value);
  op->erase();
  return success();
}

LogicalResult HostWriter::rewriteStore(memref::StoreOp op) {
  Value place = getElement(op.getMemRef(), op.getIndices()), value = toI64(op.getValueToStore());
  if (value.getType().isInteger(1))
    value = arith::ExtUIOp::create(b, loc, b.getI8Type(), value);
  LLVM::StoreOp::create(b, loc, value, place);
  op->erase();
  return success();
}

LogicalResult HostWriter::rewrite(Operation *op) {
  b.setInsertionPoint(op);
  loc = op->getLoc();
  if (auto service = dyn_cast<kernel::RowServiceOpInterface>(op))
    return rewriteService(service);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](kernel::PortRowsOp rows) { return rewritePortRows(rows); })
      .Case([&](kernel::SetPortRowsOp rows) { return rewriteSetPortRows(rows); })
      .Case([&](memref::LoadOp access) { return rewriteLoad(access); })
      .Case([&](memref::StoreOp access) { return rewriteStore(access); })
      .Case([&](kernel::ParallelRegionOp region) { return rewriteParallel(region); })
      .Case([&](kernel::GenericOp generic) { return rewriteGeneric(generic); })
      .Default([](Operation *other) {
        return other->emitError() << "'" << other->getName() << "' has no host code"
                                  << (isa<kernel::ParallelKernelInterface>(other) ? " outside kernel.parallel" : "");
      });
}

/// Cells before the entry's own: inputs and outputs.
static int64_t countPorts(func::FuncOp function) {
  int64_t count = 0;
  if (auto ports = function->getAttrOfType<IntegerAttr>(kernel::kPortsAttr))
    count = ports.getInt();
  auto see = [&](uint64_t number) { count = std::max(count, static_cast<int64_t>(number) + 1); };
  function.walk([&](Operation *op) {
    if (auto port = dyn_cast<kernel::PortOp>(op))
      see(port.getNumber());
    else if (auto rows = dyn_cast<kernel::PortRowsOp>(op))
      see(rows.getNumber());
    else if (auto rows = dyn_cast<kernel::SetPortRowsOp>(op))
      see(rows.getNumber());
  });
  return count;
}

LogicalResult HostWriter::run() {
  if (function.getNumArguments() || function.getNumResults())
    return function.emitError() << "an entry function of the kernel level has no arguments or results, '"
                                << function.getSymName() << "' has";
  numCells = countPorts(function);
  if (numCells > abi::kMaxPorts)
    return function.emitError() << "entry function '" << function.getSymName() << "' has " << numCells
                                << " inputs and outputs, expected at most " << abi::kMaxPorts
                                << ", which records of kernels can name";
  (void)function.insertArgument(0, pointer, {}, loc);
  call = function.getArgument(0);
  b.setInsertionPointToStart(&function.getBody().front());
  bases = load(pointer, ptrAdd(call, offsetof(abi::Call, bases)));
  arena = load(pointer, ptrAdd(bases, abi::kArena * kWordBytes));
  paddedRows = load(i64, ptrAdd(call, offsetof(abi::Call, paddedRows)));
  cells = load(pointer, ptrAdd(call, offsetof(abi::Call, cells)));

  SmallVector<Operation *> ops, storage;
  WalkResult planned = function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto buffer = dyn_cast<kernel::BufferOp>(op); buffer && !buffer.getOffset()) {
      buffer.emitError() << "a buffer has no place in the arena: run kernel-plan-arena first";
      return WalkResult::interrupt();
    }
    if (isa<kernel::BufferOp, kernel::PortOp, kernel::ColumnsOp, kernel::StateOp>(op))
      storage.push_back(op);
    else if (isa<kernel::KernelDialect, memref::MemRefDialect>(op->getDialect()))
      ops.push_back(op);
    return isa<kernel::ParallelRegionOp>(op) ? WalkResult::skip() : WalkResult::advance();
  });
  if (planned.wasInterrupted())
    return failure();
  for (Operation *op : ops)
    if (failed(rewrite(op)))
      return failure();
  // Storage goes last: records ask where buffers come from.
  for (Operation *op : llvm::reverse(storage))
    op->erase();
  function->setAttr(kCellsAttr, b.getI64IntegerAttr(numCells));
  return success();
}
