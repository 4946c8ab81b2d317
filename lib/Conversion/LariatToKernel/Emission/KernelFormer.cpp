// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads one entry function in order.

#include "Kinds.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

KernelFormer::KernelFormer(func::FuncOp function, const RowOwners &owners, const Grouping &grouping, Storage &storage,
                           ModuleOp target)
    : function(function), owners(owners), grouping(grouping), storage(storage), target(target), b(target.getContext()) {
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value KernelFormer::createBuffer(Type element, int64_t width) {
  return kernel::BufferOp::create(b, function.getLoc(), kernel::getBufferType(element, width), IntegerAttr());
}

Value KernelFormer::createBuffer(Value tensor) {
  if (Value port = resultPorts.lookup(tensor))
    return port;
  return createBuffer(getElementTypeOrSelf(tensor.getType()), getWidth(tensor.getType()));
}

Value KernelFormer::createColumns(Value whole, int64_t first, int64_t width) {
  auto type = cast<MemRefType>(whole.getType());
  auto layout = StridedLayoutAttr::get(b.getContext(), /*offset=*/0, {kernel::getLineElements(type), 1});
  auto part = MemRefType::get({ShapedType::kDynamic, width}, type.getElementType(), layout);
  return kernel::ColumnsOp::create(b, function.getLoc(), part, whole, first);
}

Value KernelFormer::getBuffer(Value tensor) {
  if (Value known = buffers.lookup(tensor))
    return known;
  if (const Group *group = grouping.find(tensor))
    write(*group);
  if (Value known = buffers.lookup(tensor))
    return known;
  Value buffer = createBuffer(tensor);
  setBuffer(tensor, buffer);
  // Lines of something else: make a copy of its own.
  if (isReadThrough(tensor.getDefiningOp()) && getRowsOf(tensor)) {
    buffers.erase(tensor);
    copyValue(*this, tensor, buffer);
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

void KernelFormer::bindArguments() {
  Location loc = function.getLoc();
  for (BlockArgument argument : function.getArguments()) {
    int64_t number = argument.getArgNumber();
    if (isa<RowsType>(argument.getType())) {
      Value table = kernel::PortOp::create(b, loc, getWordsType(b.getContext(), kNumRowColumns), number);
      Value count = kernel::PortRowsOp::create(b, loc, b.getIndexType(), number);
      rowSets[argument] = {table, count};
    }
  }
  for (BlockArgument argument : function.getArguments()) {
    if (!isRowTensor(argument.getType()))
      continue;
    Type type = kernel::getBufferType(getElementTypeOrSelf(argument.getType()), getWidth(argument.getType()));
    setBuffer(argument, kernel::PortOp::create(b, loc, type, argument.getArgNumber()));
  }
  for (BlockArgument argument : function.getArguments())
    if (isa<RowsType>(argument.getType()))
      prepareRows(argument);
}

void KernelFormer::bindResults() {
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

LogicalResult KernelFormer::formReturn(func::ReturnOp op) {
  writeGroups();
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
        copyValue(*this, value, kernel::PortOp::create(b, op.getLoc(), type, number));
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

static bool isHostOp(Operation *op) {
  auto isHost = [](Type type) { return !isa<RowsType, TensorType, MemRefType>(type); };
  return op->getNumRegions() == 0 && llvm::all_of(op->getOperandTypes(), isHost) &&
         llvm::all_of(op->getResultTypes(), isHost);
}

LogicalResult KernelFormer::formControlFlow(Operation *op) {
  writeGroups();
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

LogicalResult KernelFormer::form(Operation *op) {
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
  // Made again by whoever reads them.
  auto value = dyn_cast<ValueOfOp>(op);
  if (isa<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(op) || (value && !value.getBy()) || isStaticOp(op))
    return success();
  for (Value operand : op->getOperands())
    if (isa<RowsType>(operand.getType()))
      checkDepths(op, operand);
  for (Value result : op->getResults())
    if (isRowTensor(result.getType()) && !getRowsOf(result))
      return op->emitError() << "'" << op->getName() << "' gives " << result.getType()
                             << ", but no operand says of which rows";
  if (isAlias(op))
    return success();
  if (const Group *group = grouping.find(op)) {
    pass(op, *group);
    return success();
  }
  return formKind(*this, op) ? success() : formGeneric(*this, op);
}

void KernelFormer::pass(Operation *op, const Group &group) {
  // A product looks up the lines that it takes when it is written.
  bool isProduct = llvm::is_contained(group.linears, op);
  for (Value operand : op->getOperands()) {
    const Group *read = grouping.find(isProduct ? operand : getSource(operand).value);
    if (read && read != &group)
      write(*read);
  }
  for (const Group *begun : grouping.getGroupsAt(op)) {
    pending.push_back(begun);
    beginGroup(*this, *begun);
  }
}

void KernelFormer::write(const Group &group) {
  auto *it = llvm::find(pending, &group);
  if (it == pending.end())
    return;
  // Off the list first: what it reads may be of another group, never of itself.
  pending.erase(it);
  writeGroup(*this, group);
}

void KernelFormer::writeGroups() {
  while (!pending.empty())
    write(*pending.front());
}

LogicalResult KernelFormer::form(Block &block) {
  Services before = services;
  bool isBody = isa<func::FuncOp>(block.getParentOp());
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>() && !isBody)
      break;
    if (failed(form(&op)))
      return failure();
  }
  writeGroups();
  // What was written in here holds no longer behind it.
  services = std::move(before);
  return success();
}

LogicalResult KernelFormer::run(StringRef name) {
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
