// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Records, keys and functions of all kinds of kernels.

#include "KernelCode.h"
#include "MathPatterns.h"
#include "PanelLoader.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

static KernelCodes populateKernelCodes() {
  KernelCodes codes;
  populateAppendCode(codes);
  populateAttendCode(codes);
  populateEmbedCode(codes);
  populateGemmCode(codes);
  populateRotateCode(codes);
  populateRowwiseCode(codes);
  populateTopKCode(codes);
  return codes;
}

/// The code of a kernel; null if its kind has none.
static const KernelCode *findCode(Operation *kernel) {
  static const KernelCodes codes = populateKernelCodes();
  return codes.find(kernel);
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

SmallVector<RecordField> lariat::getRecordFields(Operation *kernel) {
  SmallVector<RecordField> fields;
  for (Value operand : kernel->getOperands())
    fields.push_back({isa<MemRefType>(operand.getType()) ? RecordField::Kind::Buffer : RecordField::Kind::Cell, operand,
                      FlatSymbolRefAttr(), 0});
  if (const KernelCode *code = findCode(kernel))
    for (int64_t literal : code->getLiterals(kernel))
      fields.push_back({RecordField::Kind::Literal, Value(), FlatSymbolRefAttr(), literal});
  auto data = cast<kernel::ParallelKernelInterface>(kernel);
  for (FlatSymbolRefAttr symbol : data.getPackedOperands())
    fields.push_back({RecordField::Kind::Packed, Value(), symbol, 0});
  if (FlatSymbolRefAttr table = data.getRotaryTable())
    fields.push_back({RecordField::Kind::Table, Value(), table, 0});
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
  os << data.getFormat() << ' ';
  numbers(data.getShape());
  number(static_cast<int64_t>(data.getPanelColumns()));
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
    os << cache.getLayers() << 'x' << cache.getHeads() << 'x' << cache.getDim() << 'x'
       << stringifyEnum(cache.getKeys());
    type(cache.getType());
  }
}

std::string lariat::getKernelKey(Operation *kernel) {
  KeyWriter key(kernel);
  if (const KernelCode *code = findCode(kernel))
    code->addKey(kernel, key);
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

/// Whether the module has what `op` names.
static LogicalResult checkSymbol(Operation *op, SymbolRefAttr symbol) {
  if (!symbol || SymbolTable::lookupNearestSymbolFrom(op, symbol))
    return success();
  return op->emitOpError() << "names " << symbol << ", which the module does not have";
}

LogicalResult lariat::checkCaches(Operation *op) {
  SmallVector<MemoryEffects::EffectInstance> effects;
  cast<MemoryEffectOpInterface>(op).getEffects(effects);
  for (const MemoryEffects::EffectInstance &effect : effects)
    if (failed(checkSymbol(op, effect.getSymbolRef())))
      return failure();
  return success();
}

/// Whether all that a kernel names is there, and all that its regions do has code.
static LogicalResult check(Operation *kernel) {
  if (!findCode(kernel))
    return kernel->emitOpError("is no kernel that has code of its own");
  if (failed(checkCaches(kernel)))
    return failure();
  for (const RecordField &field : getRecordFields(kernel)) {
    if (failed(checkSymbol(kernel, field.symbol)))
      return failure();
    auto data = field.symbol ? lookUp<kernel::PackedOp>(kernel, field.symbol) : kernel::PackedOp();
    if (data && data.getPanelFormat() && !findPanelLoader(data))
      return kernel->emitOpError() << "reads " << field.symbol << ", whose format of panels has no loader";
  }
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
  func::FuncOp function = getFunction(name, FunctionType::get(context, {pointer, pointer, i64, i64}, {}),
                                      [&](OpBuilder &b, func::FuncOp f) {
                                        KernelWriter writer(*this, f, getRecordFields(kernel));
                                        findCode(kernel)->write(kernel, writer);
                                        b.setInsertionPointToEnd(&f.getBody().front());
                                      });
  functions[key] = function;
  return FlatSymbolRefAttr::get(function);
}
