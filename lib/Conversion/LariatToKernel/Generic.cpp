// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The slow road: an op that has no kernel becomes a function on tensors, which the reference lowering knows, and a call.

#include "Groups.h"

#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// Ops that are written again inside the function rather than handed to it.
static bool isRecreated(Operation *op) {
  return isa_and_nonnull<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(op);
}

/// What a function of `op` takes, and the ops that are made again in it, in order.
static void collectOperands(Operation *op, llvm::SetVector<Value> &arguments, llvm::SetVector<Operation *> &again) {
  SmallVector<Value> operands(op->getOperands());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  llvm::append_range(operands, captured);
  for (Value operand : operands) {
    Operation *producer = operand.getDefiningOp();
    if (!isRecreated(producer)) {
      arguments.insert(operand);
      continue;
    }
    collectOperands(producer, arguments, again);
    again.insert(producer);
  }
}

/// Whether two functions are equal but for their names and places in the source.
static bool areEqual(func::FuncOp function, func::FuncOp other) {
  StringAttr name = function.getSymNameAttr();
  function.setSymNameAttr(other.getSymNameAttr());
  bool same = OperationEquivalence::isEquivalentTo(function, other, OperationEquivalence::IgnoreLocations);
  function.setSymNameAttr(name);
  return same;
}

/// The name of the body in `module` that is equal to `body`, which goes then; else a name for it.
static std::string nameBody(func::FuncOp body, ModuleOp module, Storage &storage) {
  unsigned numBodies = 0;
  for (auto other : module.getOps<func::FuncOp>()) {
    if (other == body || !other->hasAttr(kGenericBodyAttr))
      continue;
    ++numBodies;
    if (areEqual(body, other)) {
      body.erase();
      return other.getSymName().str();
    }
  }
  std::string name = storage.getFreeName("generic_" + Twine(numBodies));
  body.setSymName(name);
  return name;
}

LogicalResult Forming::formGeneric(Operation *op) {
  Location loc = op->getLoc();
  llvm::SetVector<Value> arguments;
  llvm::SetVector<Operation *> again;
  collectOperands(op, arguments, again);
  for (Value value : arguments)
    if (auto type = dyn_cast<RankedTensorType>(value.getType()); type && !isRowTensor(type))
      return op->emitError() << "'" << op->getName() << "' reads " << type
                             << ", a tensor without rows, which has no form on the kernel level";
  for (Value result : op->getResults())
    if (!isa<RowsType>(result.getType()) && !isRowTensor(result.getType()))
      return op->emitError() << "'" << op->getName() << "' gives " << result.getType()
                             << ", which has no form on the kernel level";

  // The function; one like it is used again.
  auto type = FunctionType::get(op->getContext(), llvm::map_to_vector(arguments, [](Value v) { return v.getType(); }),
                                op->getResultTypes());
  OpBuilder atEnd = OpBuilder::atBlockEnd(target.getBody());
  auto callee = func::FuncOp::create(atEnd, target.getLoc(), "", type);
  callee.setPrivate();
  callee->setAttr(kGenericBodyAttr, atEnd.getUnitAttr());
  Block *body = callee.addEntryBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  IRMapping mapping;
  for (auto [value, argument] : llvm::zip(arguments, body->getArguments()))
    mapping.map(value, argument);
  for (Operation *producer : again)
    inner.clone(*producer, mapping);
  Operation *copy = inner.clone(*op, mapping);
  func::ReturnOp::create(inner, loc, copy->getResults());
  std::string name = nameBody(callee, target, storage);

  // The call.
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), rows;
  SmallVector<Value> inputs, inputRows, outs;
  for (Value value : arguments) {
    if (isa<RowsType>(value.getType())) {
      inputs.push_back(getRows(value).table);
      inputRows.push_back(getRows(value).count);
      rows = value;
    } else if (isRowTensor(value.getType())) {
      inputs.push_back(getBuffer(value));
      inputRows.push_back(getRows(getRowsOf(value)).count);
      if (!rows)
        rows = getRowsOf(value);
    } else {
      inputs.push_back(getScalar(value));
      inputRows.push_back(zero);
    }
  }
  if (!rows)
    return op->emitError() << "'" << op->getName() << "' has no rows to go by";
  for (Value result : op->getResults())
    outs.push_back(isa<RowsType>(result.getType()) ? createWords(kNumRowColumns) : createBuffer(result));
  SmallVector<Type> counts(outs.size(), b.getIndexType());
  auto call = kernel::GenericOp::create(b, loc, counts, inputs, inputRows, outs, name);
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    if (isa<RowsType>(result.getType())) {
      defineRows(result, outs[index], call.getCounts()[index]);
    } else {
      setBuffer(result, outs[index]);
      setRowsOf(result, rows);
    }
  }
  return success();
}
