// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "RowOwners.h"

#include "ModelOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

RowOwners::RowOwners(func::FuncOp function) {
  // Row tensors among the arguments are of the last row set of them.
  Value rows;
  for (BlockArgument argument : function.getArguments())
    if (isa<RowsType>(argument.getType()))
      rows = argument;
  for (BlockArgument argument : function.getArguments())
    if (isRowTensor(argument.getType()))
      owners[argument] = rows;
  visit(function.getBody().front());
}

void RowOwners::visit(Block &block) {
  for (Operation &op : block)
    visit(&op);
}

void RowOwners::carry(ValueRange variables, ValueRange like) {
  for (auto [variable, value] : llvm::zip(variables, like))
    if (isRowTensor(variable.getType()))
      owners[variable] = lookup(value);
}

void RowOwners::visit(Operation *op) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](scf::WhileOp loop) {
        carry(loop.getBeforeArguments(), loop.getInits());
        visit(loop.getBefore().front());
        carry(loop.getAfterArguments(), loop.getBeforeArguments());
        visit(loop.getAfter().front());
        carry(loop.getResults(), loop.getBeforeArguments());
      })
      .Case([&](scf::ForOp loop) {
        carry(loop.getRegionIterArgs(), loop.getInitArgs());
        visit(*loop.getBody());
        carry(loop.getResults(), loop.getRegionIterArgs());
      })
      .Case([&](scf::IfOp branch) {
        for (Region &region : branch->getRegions()) {
          if (region.empty())
            continue;
          visit(region.front());
          carry(branch.getResults(), region.front().getTerminator()->getOperands());
        }
      })
      .Default([&](Operation *) {
        for (Value result : op->getResults())
          if (isRowTensor(result.getType()))
            owners[result] = find(op);
      });
}

/// The rows of a result: from the operand that names them, else from the first row tensor.
Value RowOwners::find(Operation *op) const {
  if (auto take = dyn_cast<TakeOp>(op))
    return take.getAt();
  if (auto put = dyn_cast<PutOp>(op))
    return put.getOf();
  if (isa<tensor::EmptyOp>(op) && op->getNumOperands() == 1) {
    if (auto count = op->getOperand(0).getDefiningOp<CountOp>())
      return count.getRows();
    if (auto dimension = op->getOperand(0).getDefiningOp<tensor::DimOp>())
      return lookup(dimension.getSource());
  }
  for (Value operand : op->getOperands())
    if (isa<RowsType>(operand.getType()))
      return operand;
  for (Value operand : op->getOperands())
    if (isRowTensor(operand.getType()))
      if (Value rows = lookup(operand))
        return rows;
  return {};
}
