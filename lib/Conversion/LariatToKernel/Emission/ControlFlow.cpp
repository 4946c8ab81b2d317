// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops and branches. What they carry on tensors lives in buffers that the body writes again; host values stay values.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// Whether a variable may start in its first value's own buffer: nothing else reads it.
static bool canAdopt(Value initial, Value buffer) {
  return initial.hasOneUse() && buffer.getDefiningOp<kernel::BufferOp>();
}

/// Fails for what neither buffers nor host values hold.
static LogicalResult checkVariables(Operation *op, TypeRange types) {
  for (Type type : types)
    if (isa<TensorType, MemRefType>(type) && !isRowTensor(type))
      return op->emitError() << "'" << op->getName() << "' gives " << type
                             << ", a tensor without rows, which has no form on the kernel level";
  return success();
}

void KernelFormer::openVariable(Value variable, Value initial, SmallVectorImpl<Value> &hostInits) {
  Location loc = variable.getLoc();
  if (isa<RowsType>(variable.getType())) {
    Value table = createWords(kNumRowColumns);
    RowSet from = getRows(initial);
    copyRows(from.table, table, from.count, loc);
    rowSets[variable] = {table, Value()};
    hostInits.push_back(from.count);
  } else if (isRowTensor(variable.getType())) {
    if (hasBuffer(initial) && canAdopt(initial, getBuffer(initial))) {
      setBuffer(variable, getBuffer(initial));
      return;
    }
    Value buffer = createBuffer(getElementTypeOrSelf(variable.getType()), getWidth(variable.getType()));
    copyValue(*this, initial, buffer);
    setBuffer(variable, buffer);
  } else {
    hostInits.push_back(getScalar(initial));
  }
}

void KernelFormer::bindVariable(Value variable, Value like, ValueRange hostValues, unsigned &next) {
  if (isa<RowsType>(variable.getType())) {
    rowSets[variable] = {rowSets.lookup(like).table, hostValues[next++]};
  } else if (isRowTensor(variable.getType())) {
    Value buffer = buffers.lookup(like); // a copy: the map may grow
    setBuffer(variable, buffer);
  } else {
    scalars.map(variable, hostValues[next++]);
  }
}

/// Whether a value is read from one of these buffers.
bool KernelFormer::readsFrom(Value value, const llvm::DenseSet<Value> &owned) {
  if (hasBuffer(value))
    return owned.contains(getBuffer(value));
  return llvm::any_of(value.getDefiningOp()->getOperands(),
                      [&](Value operand) { return isRowTensor(operand.getType()) && readsFrom(operand, owned); });
}

void KernelFormer::assignVariables(ValueRange variables, ValueRange values, SmallVectorImpl<Value> &hostValues,
                                   Location loc) {
  writeGroups();
  llvm::DenseSet<Value> owned;
  SmallVector<std::pair<Value, Value>> pending; ///< value, variable's buffer
  for (auto [variable, value] : llvm::zip(variables, values)) {
    if (isa<RowsType>(variable.getType())) {
      RowSet from = getRows(value);
      Value table = rowSets.lookup(variable).table;
      if (from.table != table)
        copyRows(from.table, table, from.count, loc);
      hostValues.push_back(from.count);
    } else if (isRowTensor(variable.getType())) {
      Value target = buffers.lookup(variable);
      owned.insert(target);
      if (!hasBuffer(value) || getBuffer(value) != target)
        pending.push_back({value, target});
    } else {
      hostValues.push_back(getScalar(value));
    }
  }
  // What is made from other variables is kept before any of them changes.
  llvm::DenseMap<Value, Value> kept;
  for (auto [value, target] : pending)
    if (pending.size() > 1 && readsFrom(value, owned)) {
      kept[value] = createBuffer(getElementTypeOrSelf(value.getType()), getWidth(value.getType()));
      copyValue(*this, value, kept[value]);
    }
  for (auto [value, target] : pending) {
    if (Value copy = kept.lookup(value))
      copyBuffer(*this, copy, target, getRowsOf(value));
    else
      copyValue(*this, value, target);
  }
}

LogicalResult KernelFormer::formWhile(scf::WhileOp op) {
  if (failed(checkVariables(op, ValueRange(op.getBeforeArguments()).getTypes())))
    return failure();
  SmallVector<Value> inits;
  for (auto [argument, initial] : llvm::zip(op.getBeforeArguments(), op.getInits()))
    openVariable(argument, initial, inits);
  Block &before = op.getBefore().front(), &after = op.getAfter().front();
  auto condition = cast<scf::ConditionOp>(before.getTerminator());
  if (!llvm::equal(condition.getArgs(), before.getArguments()))
    return op.emitError() << "'scf.while' hands on other values than its own, which has no form on the kernel level";
  auto loop = scf::WhileOp::create(b, op.getLoc(), ValueRange(inits).getTypes(), inits);
  SmallVector<Location> locs(inits.size(), op.getLoc());
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&loop.getBefore(), {}, ValueRange(inits).getTypes(), locs);
    unsigned next = 0;
    for (Value argument : before.getArguments())
      bindVariable(argument, argument, block->getArguments(), next);
    if (failed(form(before)))
      return failure();
    scf::ConditionOp::create(b, op.getLoc(), getScalar(condition.getCondition()), block->getArguments());
  }
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&loop.getAfter(), {}, ValueRange(inits).getTypes(), locs);
    unsigned next = 0;
    for (auto [argument, like] : llvm::zip(after.getArguments(), before.getArguments()))
      bindVariable(argument, like, block->getArguments(), next);
    if (failed(form(after)))
      return failure();
    SmallVector<Value> values;
    assignVariables(after.getArguments(), after.getTerminator()->getOperands(), values, op.getLoc());
    scf::YieldOp::create(b, op.getLoc(), values);
  }
  unsigned next = 0;
  for (auto [result, like] : llvm::zip(op.getResults(), before.getArguments()))
    bindVariable(result, like, loop.getResults(), next);
  return success();
}

LogicalResult KernelFormer::formFor(scf::ForOp op) {
  if (failed(checkVariables(op, op.getResultTypes())))
    return failure();
  SmallVector<Value> inits;
  for (auto [argument, initial] : llvm::zip(op.getRegionIterArgs(), op.getInitArgs()))
    openVariable(argument, initial, inits);
  auto loop = scf::ForOp::create(b, op.getLoc(), getScalar(op.getLowerBound()), getScalar(op.getUpperBound()),
                                 getScalar(op.getStep()), inits);
  {
    OpBuilder::InsertionGuard guard(b);
    loop.getBody()->clear();
    b.setInsertionPointToEnd(loop.getBody());
    scalars.map(op.getInductionVar(), loop.getInductionVar());
    unsigned next = 0;
    for (Value argument : op.getRegionIterArgs())
      bindVariable(argument, argument, loop.getRegionIterArgs(), next);
    if (failed(form(*op.getBody())))
      return failure();
    SmallVector<Value> values;
    assignVariables(op.getRegionIterArgs(), op.getBody()->getTerminator()->getOperands(), values, op.getLoc());
    scf::YieldOp::create(b, op.getLoc(), values);
  }
  unsigned next = 0;
  for (auto [result, like] : llvm::zip(op.getResults(), op.getRegionIterArgs()))
    bindVariable(result, like, loop.getResults(), next);
  return success();
}

LogicalResult KernelFormer::formIf(scf::IfOp op) {
  if (failed(checkVariables(op, op.getResultTypes())))
    return failure();
  SmallVector<Type> types;
  for (Value result : op.getResults()) {
    if (isa<RowsType>(result.getType())) {
      rowSets[result] = {createWords(kNumRowColumns), Value()};
      types.push_back(b.getIndexType());
    } else if (isRowTensor(result.getType())) {
      setBuffer(result, createBuffer(getElementTypeOrSelf(result.getType()), getWidth(result.getType())));
    } else {
      types.push_back(result.getType());
    }
  }
  auto branch = scf::IfOp::create(b, op.getLoc(), types, getScalar(op.getCondition()), /*addThenBlock=*/true,
                                  /*addElseBlock=*/!op.getElseRegion().empty());
  for (auto [from, to] : llvm::zip(op->getRegions(), branch->getRegions())) {
    if (from.empty())
      continue;
    OpBuilder::InsertionGuard guard(b);
    to.front().clear();
    b.setInsertionPointToEnd(&to.front());
    if (failed(form(from.front())))
      return failure();
    SmallVector<Value> values;
    ValueRange yielded = from.front().getTerminator()->getOperands();
    assignVariables(op.getResults(), yielded, values, op.getLoc());
    scf::YieldOp::create(b, op.getLoc(), values);
  }
  unsigned next = 0;
  for (Value result : op.getResults())
    bindVariable(result, result, branch.getResults(), next);
  return success();
}
