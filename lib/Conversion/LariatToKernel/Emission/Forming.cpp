// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads one entry function in order.

#include "Groups.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::isRowTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() >= 1 && tensor.getNumDynamicDims() == 1 && tensor.isDynamicDim(0);
}

int64_t lariat::forming::getWidth(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getRank() == 1 ? 0 : ShapedType::getNumElements(tensor.getShape().drop_front());
}

Value lariat::forming::skipAdvance(Value rows) {
  while (auto advance = rows ? rows.getDefiningOp<AdvanceOp>() : AdvanceOp())
    rows = advance.getFrom();
  return rows;
}

Forming::Forming(func::FuncOp function, Storage &storage, ModuleOp target)
    : function(function), storage(storage), target(target), b(target.getContext()),
      groups(std::make_unique<Groups>(*this)) {}

Forming::~Forming() = default;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value Forming::createBuffer(Type element, int64_t width) {
  return kernel::BufferOp::create(b, function.getLoc(), kernel::getBufferType(element, width), IntegerAttr());
}

Value Forming::createBuffer(Value tensor) {
  if (Value port = resultPorts.lookup(tensor))
    return port;
  return createBuffer(getElementTypeOrSelf(tensor.getType()), getWidth(tensor.getType()));
}

Value Forming::createColumns(Value whole, int64_t first, int64_t width) {
  auto type = cast<MemRefType>(whole.getType());
  auto layout = StridedLayoutAttr::get(b.getContext(), /*offset=*/0, {kernel::getLineElements(type), 1});
  auto part = MemRefType::get({ShapedType::kDynamic, width}, type.getElementType(), layout);
  return kernel::ColumnsOp::create(b, function.getLoc(), part, whole, first);
}

Value Forming::getBuffer(Value tensor) {
  if (Value known = buffers.lookup(tensor))
    return known;
  groups->close(tensor);
  if (Value known = buffers.lookup(tensor))
    return known;
  Value buffer = createBuffer(tensor);
  setBuffer(tensor, buffer);
  // Lines of something else: make a copy of its own.
  if (isReadThrough(tensor.getDefiningOp()) && getRowsOf(tensor)) {
    buffers.erase(tensor);
    groups->copy(tensor, buffer);
    setBuffer(tensor, buffer);
  } else if (!hasFailed) {
    hasFailed = true;
    emitError(tensor.getLoc()) << "a value of type " << tensor.getType() << " has no form on the kernel level";
  }
  return buffer;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

/// What an entry function has to be, whatever wrote it.
LogicalResult Forming::checkFunction() {
  auto refuse = [&](const Twine &found) {
    return function.emitError() << "@" << function.getSymName() << " " << found;
  };
  if (function.isExternal() || !llvm::hasSingleElement(function.getBody()))
    return refuse("has no body of one block, which an entry function of the kernel level has");
  bool hasRows = false;
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes())) {
    hasRows |= isa<RowsType>(type);
    if (!isa<RowsType>(type) && !isRowTensor(type))
      return function.emitError() << "@" << function.getSymName() << " takes or gives a value of type " << type
                                  << ", expected row sets and row tensors";
  }
  return hasRows ? success() : LogicalResult(refuse("takes no row set"));
}

void Forming::bindArguments() {
  Location loc = function.getLoc();
  Value rows;
  for (BlockArgument argument : function.getArguments()) {
    int64_t number = argument.getArgNumber();
    if (isa<RowsType>(argument.getType())) {
      Value table = kernel::PortOp::create(b, loc, getWordsType(b.getContext(), kNumRowColumns), number);
      Value count = kernel::PortRowsOp::create(b, loc, b.getIndexType(), number);
      rowSets[argument] = {table, count};
      rows = argument;
    }
  }
  for (BlockArgument argument : function.getArguments()) {
    if (!isRowTensor(argument.getType()))
      continue;
    Type type = kernel::getBufferType(getElementTypeOrSelf(argument.getType()), getWidth(argument.getType()));
    setBuffer(argument, kernel::PortOp::create(b, loc, type, argument.getArgNumber()));
    setRowsOf(argument, rows);
  }
  for (BlockArgument argument : function.getArguments())
    if (isa<RowsType>(argument.getType()))
      prepareRows(argument);
}

void Forming::bindResults() {
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (auto [index, value] : llvm::enumerate(ret.getOperands())) {
    if (!isRowTensor(value.getType()) || !value.getDefiningOp() || value.getDefiningOp()->getNumRegions() > 1 ||
        resultPorts.contains(value))
      continue;
    Type type = kernel::getBufferType(getElementTypeOrSelf(value.getType()), getWidth(value.getType()));
    resultPorts[value] =
        kernel::PortOp::create(b, function.getLoc(), type, function.getNumArguments() + static_cast<int64_t>(index));
  }
}

LogicalResult Forming::formReturn(func::ReturnOp op) {
  groups->closeAll();
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    int64_t number = function.getNumArguments() + static_cast<int64_t>(index);
    Value rows = isa<RowsType>(value.getType()) ? value : getRowsOf(value);
    if (isa<RowsType>(value.getType())) {
      Value port = kernel::PortOp::create(b, op.getLoc(), getWordsType(b.getContext(), kNumRowColumns), number);
      copyRows(getRows(value).table, port, getRows(value).count, op.getLoc());
    } else {
      auto source = hasBuffer(value) ? getBuffer(value).getDefiningOp<kernel::PortOp>() : kernel::PortOp();
      if (!source || static_cast<int64_t>(source.getNumber()) != number) {
        Type type = kernel::getBufferType(getElementTypeOrSelf(value.getType()), getWidth(value.getType()));
        groups->copy(value, kernel::PortOp::create(b, op.getLoc(), type, number));
      }
    }
    kernel::SetPortRowsOp::create(b, op.getLoc(), getRows(rows).count, number);
  }
  func::ReturnOp::create(b, op.getLoc());
  return success();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// The rows of a result, from the operand that names them, else from the first row tensor.
static Value findRowsOf(Operation *op, Forming &forming) {
  if (auto take = dyn_cast<TakeOp>(op))
    return take.getAt();
  if (auto put = dyn_cast<PutOp>(op))
    return put.getOf();
  if (isa<tensor::EmptyOp>(op) && op->getNumOperands() == 1) {
    if (auto count = op->getOperand(0).getDefiningOp<CountOp>())
      return count.getRows();
    if (auto dimension = op->getOperand(0).getDefiningOp<tensor::DimOp>())
      return forming.getRowsOf(dimension.getSource());
  }
  for (Value operand : op->getOperands())
    if (isa<RowsType>(operand.getType()))
      return operand;
  for (Value operand : op->getOperands())
    if (isRowTensor(operand.getType()))
      if (Value rows = forming.getRowsOf(operand))
        return rows;
  return {};
}

bool lariat::forming::isChoice(Operation *op) { return isa_and_nonnull<ValueOfOp>(op) && cast<ValueOfOp>(op).getBy(); }

bool lariat::forming::isReadThrough(Operation *op) {
  return isChoice(op) ||
         isa_and_nonnull<TakeOp, SpreadOp, PositionOfOp, DepthOfOp, GeneratedOfOp, tensor::EmptyOp, linalg::FillOp>(op);
}

static bool isHostOp(Operation *op) {
  auto isHost = [](Type type) { return !isa<RowsType, TensorType, MemRefType>(type); };
  return op->getNumRegions() == 0 && llvm::all_of(op->getOperandTypes(), isHost) &&
         llvm::all_of(op->getResultTypes(), isHost);
}

bool lariat::forming::isStaticOp(Operation *op) {
  auto isStatic = [](Type type) { return isa<RankedTensorType>(type) && !isRowTensor(type); };
  return op && op->getNumResults() && llvm::all_of(op->getResultTypes(), isStatic) && isMemoryEffectFree(op) &&
         !isa<scf::SCFDialect>(op->getDialect()) &&
         llvm::none_of(op->getOperandTypes(), [](Type type) { return isRowTensor(type) || isa<RowsType>(type); });
}

bool lariat::forming::isStaticColumn(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<ValueOfOp, arith::ConstantOp>(op))
    return !isChoice(op);
  return isStaticOp(op) && OpTrait::hasElementwiseMappableTraits(op) && kernel::canStandInRowRegion(op) &&
         llvm::all_of(op->getOperands(), [](Value operand) {
           return isa<RankedTensorType>(operand.getType()) && isStaticColumn(operand);
         });
}

LogicalResult Forming::formControlFlow(Operation *op) {
  groups->closeAll();
  // A step sees what the one before it appended, and what follows sees all of it.
  outdateViews(op);
  LogicalResult result = llvm::TypeSwitch<Operation *, LogicalResult>(op)
                             .Case([&](scf::WhileOp loop) { return formWhile(loop); })
                             .Case([&](scf::ForOp loop) { return formFor(loop); })
                             .Case([&](scf::IfOp branch) { return formIf(branch); });
  outdateViews(op);
  for (Value value : op->getResults())
    if (succeeded(result) && isa<RowsType>(value.getType()))
      prepareRows(value);
  return result;
}

LogicalResult Forming::form(Operation *op) {
  if (isa<scf::WhileOp, scf::ForOp, scf::IfOp>(op))
    return formControlFlow(op);
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return formReturn(ret);
  if (isa<CallOpInterface>(op))
    return op->emitError() << "'" << op->getName()
                           << "' has no form on the kernel level: run lariat-inline-helpers first";
  if (isHostOp(op)) {
    b.clone(*op, scalars);
    return success();
  }
  for (Value result : op->getResults())
    if (isRowTensor(result.getType()))
      setRowsOf(result, findRowsOf(op, *this));
  // Made again by whoever reads them.
  auto value = dyn_cast<ValueOfOp>(op);
  if (isa<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(op) || (value && !value.getBy()) || isStaticOp(op))
    return success();
  for (Value operand : op->getOperands())
    if (isa<RowsType>(operand.getType()))
      checkDepths(op, operand);
  if (auto extract = dyn_cast<tensor::ExtractOp>(op); extract && isRowTensor(extract.getTensor().getType())) {
    Value buffer = getBuffer(extract.getTensor());
    SmallVector<Value> indices = llvm::map_to_vector(extract.getIndices(), [&](Value v) { return getScalar(v); });
    scalars.map(extract.getResult(), memref::LoadOp::create(b, op->getLoc(), buffer, indices).getResult());
    return success();
  }
  if (auto dim = dyn_cast<tensor::DimOp>(op); dim && isRowTensor(dim.getSource().getType())) {
    std::optional<int64_t> index = dim.getConstantIndex();
    if (index == 0) {
      scalars.map(dim.getResult(), getRows(getRowsOf(dim.getSource())).count);
      return success();
    }
  }
  for (Value result : op->getResults())
    if (isRowTensor(result.getType()) && !getRowsOf(result))
      return op->emitError() << "'" << op->getName() << "' gives " << result.getType()
                             << ", but no operand says of which rows";
  if (groups->take(op) || formRowOp(op) || formColumnCopy(op))
    return success();
  return formGeneric(op);
}

LogicalResult Forming::form(Block &block) {
  Services before = services;
  bool isBody = isa<func::FuncOp>(block.getParentOp());
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>() && !isBody)
      break;
    if (failed(form(&op)))
      return failure();
  }
  groups->closeAll();
  // What was written in here holds no longer behind it.
  services = std::move(before);
  return success();
}

/// All layers of a cache share one list of entries on the kernel level.
static LogicalResult checkLayers(ModuleOp module, const Storage &storage) {
  for (const auto &[name, use] : collectCacheUses(module))
    if (AttendOp attend = storage.getCache(name).getLayers() > 1 ? findLayerApart(use) : AttendOp())
      return attend.emitError() << "attends to layer " << attend.getLayer() << " of cache @" << name
                                << ", which is not written together with the others: run lariat-split-caches first";
  return success();
}

LogicalResult Forming::run(StringRef name) {
  if (failed(checkFunction()) || failed(checkLayers(function->getParentOfType<ModuleOp>(), storage)))
    return failure();
  cacheUses = collectCacheUses(function);
  OpBuilder atEnd = OpBuilder::atBlockEnd(target.getBody());
  auto entry = func::FuncOp::create(atEnd, function.getLoc(), name, FunctionType::get(target.getContext(), {}, {}));
  entry->setAttr(kernel::kPortsAttr,
                 b.getI64IntegerAttr(function.getNumArguments() + static_cast<int64_t>(function.getNumResults())));
  b.setInsertionPointToEnd(entry.addEntryBlock());
  bindArguments();
  bindResults();
  return failure(failed(form(function.getBody().front())) || hasFailed);
}
