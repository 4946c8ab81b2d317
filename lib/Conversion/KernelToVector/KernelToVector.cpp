// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Records, keys and functions of all kinds of kernels.

#include "CacheKernels.h"
#include "KernelWriter.h"
#include "MathPatterns.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

/// The kinds of kernels: `what` is called with the op as its own class.
template <typename Function>
static LogicalResult dispatch(Operation *op, Function &&what) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<kernel::RowwiseOp, kernel::GemmOp, kernel::EmbedOp, kernel::RotateOp, kernel::AppendOp, kernel::AttendOp>(
          [&](auto kernel) { return what(kernel); })
      .Default([](Operation *other) { return other->emitOpError("is no kernel that has code of its own"); });
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

void vectors::addOperands(SmallVectorImpl<RecordField> &fields, Operation *op) {
  for (Value operand : op->getOperands())
    fields.push_back({isa<MemRefType>(operand.getType()) ? RecordField::Kind::Buffer : RecordField::Kind::Cell, operand,
                      FlatSymbolRefAttr(), 0});
}

void vectors::addPacked(SmallVectorImpl<RecordField> &fields, FlatSymbolRefAttr symbol) {
  fields.push_back({RecordField::Kind::Packed, Value(), symbol, 0});
}

void vectors::addPacked(SmallVectorImpl<RecordField> &fields, ArrayAttr symbols) {
  for (auto symbol : symbols.getAsRange<FlatSymbolRefAttr>())
    addPacked(fields, symbol);
}

void vectors::addTable(SmallVectorImpl<RecordField> &fields, FlatSymbolRefAttr symbol) {
  fields.push_back({RecordField::Kind::Table, Value(), symbol, 0});
}

void vectors::addLiteral(SmallVectorImpl<RecordField> &fields, int64_t value) {
  fields.push_back({RecordField::Kind::Literal, Value(), FlatSymbolRefAttr(), value});
}

SmallVector<RecordField> lariat::getRecordFields(Operation *kernel) {
  SmallVector<RecordField> fields;
  addOperands(fields, kernel);
  (void)dispatch(kernel, [&](auto op) {
    addFields(op, fields);
    return success();
  });
  return fields;
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

KeyWriter::KeyWriter(Operation *op) : op(op) {
  os << op->getName();
  os << ' ';
  for (Type operand : op->getOperandTypes())
    type(operand);
  os << ';';
}

void KeyWriter::numbers(ArrayRef<int64_t> values) {
  os << '[';
  llvm::interleave(values, os, ",");
  os << ']';
}

void KeyWriter::segments(ArrayRef<int32_t> sizes) {
  os << '[';
  llvm::interleave(sizes, os, ",");
  os << ']';
}

void KeyWriter::region(Region &region) {
  llvm::DenseMap<Value, size_t> numbers;
  os << '{';
  for (BlockArgument argument : region.getArguments()) {
    numbers.try_emplace(argument, numbers.size());
    type(argument.getType());
  }
  for (Operation &inner : region.front()) {
    os << inner.getName() << ' ';
    attribute(inner.getAttrDictionary());
    os << '(';
    for (Value operand : inner.getOperands())
      os << numbers.lookup(operand) << ',';
    os << ')';
    for (Value result : inner.getResults()) {
      numbers.try_emplace(result, numbers.size());
      type(result.getType());
    }
  }
  os << '}';
}

void KeyWriter::packed(FlatSymbolRefAttr symbol) {
  auto data = lookUp<kernel::PackedOp>(op, symbol);
  if (!data)
    return;
  os << stringifyEnum(data.getKind()) << ' ';
  type(data.getType());
  numbers(data.getShape());
  os << data.getDepths().value_or(0) << (data.getFar() ? " far," : ",");
}

void KeyWriter::packed(ArrayAttr symbols) {
  os << '<';
  for (auto symbol : symbols.getAsRange<FlatSymbolRefAttr>())
    packed(symbol);
  os << '>';
}

void KeyWriter::ropeTable(FlatSymbolRefAttr symbol) {
  if (auto table = lookUp<kernel::RopeTableOp>(op, symbol))
    os << table.getNumPairs() << 'x' << table.getPositions() << ',';
}

void KeyWriter::cache(FlatSymbolRefAttr symbol) {
  if (auto cache = lookUp<kernel::CacheOp>(op, symbol)) {
    os << cache.getLayers() << 'x' << cache.getHeads() << 'x' << cache.getDim() << 'x';
    type(cache.getType());
  }
}

std::string lariat::getKernelKey(Operation *kernel) {
  KeyWriter key(kernel);
  (void)dispatch(kernel, [&](auto op) {
    addKey(op, key);
    return success();
  });
  return key.take();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

struct KernelEmitter::Patterns {
  FrozenRewritePatternSet math;
};

KernelEmitter::KernelEmitter(ModuleOp module, const CPUTarget &target)
    : module(module), target(target), patterns(std::make_unique<Patterns>()) {
  MLIRContext *context = module.getContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
                       vector::VectorDialect>();
  RewritePatternSet set(context);
  populateMathPatterns(set);
  patterns->math = std::move(set);
}

KernelEmitter::~KernelEmitter() = default;

func::FuncOp KernelEmitter::getFunction(StringRef name, FunctionType type,
                                        llvm::function_ref<void(OpBuilder &, func::FuncOp)> write) {
  func::FuncOp &function = functions[name];
  if (function)
    return function;
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto created = func::FuncOp::create(b, UnknownLoc::get(b.getContext()), name, type);
  created.setPrivate();
  function = created; // the reference does not outlive `write`, which may add others
  b.setInsertionPointToEnd(created.addEntryBlock());
  write(b, created);
  func::ReturnOp::create(b, created.getLoc());
  GreedyRewriteConfig config;
  config.enableFolding(false).enableConstantCSE(false).setRegionSimplificationLevel(
      GreedySimplifyRegionLevel::Disabled);
  (void)applyPatternsGreedily(created, patterns->math, config);
  return created;
}

/// Whether all that a kernel names is there, and all that its regions do has code.
static LogicalResult check(Operation *kernel) {
  for (const RecordField &field : getRecordFields(kernel))
    if (field.symbol && !SymbolTable::lookupNearestSymbolFrom(kernel, field.symbol))
      return kernel->emitOpError() << "names " << field.symbol << ", which the module does not have";
  for (Region &region : kernel->getRegions())
    for (Operation &op : region.front())
      if (!isa<kernel::KernelDialect>(op.getDialect()) && !kernel::canStandInRowRegion(&op))
        return kernel->emitOpError() << "has '" << op.getName() << "' in its region, which has no code there";
  return success();
}

FlatSymbolRefAttr KernelEmitter::emit(Operation *kernel) {
  if (failed(check(kernel)))
    return {};
  std::string key = getKernelKey(kernel);
  if (func::FuncOp function = functions.lookup(key))
    return FlatSymbolRefAttr::get(function);
  MLIRContext *context = module.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = IntegerType::get(context, 64);
  std::string name = ("kernel_" + kernel->getName().stripDialect() + "_" + llvm::Twine(numKernels++)).str();
  LogicalResult written = failure();
  func::FuncOp function = getFunction(name, FunctionType::get(context, {pointer, pointer, i64, i64}, {}),
                                      [&](OpBuilder &b, func::FuncOp f) {
                                        KernelWriter writer(*this, f, getRecordFields(kernel));
                                        written = dispatch(kernel, [&](auto op) { return writeKernel(op, writer); });
                                        b.setInsertionPointToEnd(&f.getBody().front());
                                      });
  if (failed(written))
    return {};
  functions[key] = function;
  return FlatSymbolRefAttr::get(function);
}
