// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Questions about row sets, and small pieces of IR on them, that several passes share.

#include "RowSets.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

LabelPool::LabelPool(Operation *root) : context(root->getContext()) {
  auto note = [&](Type type) {
    if (StringAttr label = getRowLabel(type))
      taken.insert(label.getValue());
  };
  root->walk([&](Operation *op) {
    llvm::for_each(op->getResultTypes(), note);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArgumentTypes(), note);
  });
}

RowsType LabelPool::getFresh(StringRef base) {
  std::string label = base.str();
  for (unsigned number = 1; !taken.insert(label).second; ++number)
    label = (base + "_" + Twine(number)).str();
  return RowsType::get(context, StringAttr::get(context, label));
}

//===----------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------===//

bool lariat::isSelectionOf(Value part, Value whole) {
  while (part != whole) {
    auto choice = part.getDefiningOp<RowChoiceOpInterface>();
    if (!choice)
      return false;
    part = choice.getFrom();
  }
  return true;
}

bool lariat::isRepeatable(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || isRowValue(value) || def->getNumRegions() != 0 || !isMemoryEffectFree(def))
    return false;
  return llvm::all_of(def->getOperands(), isRepeatable);
}

bool lariat::capturesFromOutsideOnly(Operation *op, RecurOp loop) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  return llvm::all_of(captured, [&](Value value) { return loop.isDefinedOutsideOfLoop(value); });
}

//===----------------------------------------------------------------------===//
// Cloning and cleaning
//===----------------------------------------------------------------------===//

Value lariat::repeat(OpBuilder &builder, Value value, IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *def = value.getDefiningOp();
  for (Value operand : def->getOperands())
    repeat(builder, operand, mapping);
  builder.clone(*def, mapping);
  return mapping.lookup(value);
}

Operation *lariat::cloneForRows(OpBuilder &builder, Operation *op, IRMapping &mapping, RowsType rows) {
  Operation *clone = builder.clone(*op, mapping);
  for (OpResult result : clone->getResults())
    if (getRowLabel(result.getType()) && isa<RankedTensorType>(result.getType()))
      result.setType(withRows(cast<RankedTensorType>(result.getType()), rows));
  return clone;
}

void lariat::dropWholeTakes(Operation *root) {
  root->walk([](TakeOp take) {
    if (!getRowLabel(take.getAt().getType()) || take.getAt().getType() != take.getFrom().getType())
      return;
    take.getResult().replaceAllUsesWith(take.getValue());
    take.erase();
  });
}

void lariat::eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

//===----------------------------------------------------------------------===//
// Pieces of IR
//===----------------------------------------------------------------------===//

/// `value` for each row of `rows`.
static Value spreadConstant(OpBuilder &builder, Location loc, Value rows, TypedAttr value) {
  Value scalar = arith::ConstantOp::create(builder, loc, value);
  return SpreadOp::create(builder, loc, getRowTensorType(rows.getType(), value.getType()), scalar, rows);
}

Value lariat::buildBits(OpBuilder &builder, Location loc, Value rows, bool bit) {
  return spreadConstant(builder, loc, rows, builder.getBoolAttr(bit));
}

Value lariat::buildIsAtDepth(OpBuilder &builder, Location loc, Value rows, int64_t depth) {
  Type type = getRowTensorType(rows.getType(), builder.getIndexType());
  Value depths = DepthOfOp::create(builder, loc, type, rows);
  Value wanted = spreadConstant(builder, loc, rows, builder.getIndexAttr(depth));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, depths, wanted);
}

Value lariat::buildIsGenerated(OpBuilder &builder, Location loc, Value rows) {
  Type type = getRowTensorType(rows.getType(), builder.getIndexType());
  Value generated = GeneratedOfOp::create(builder, loc, type, rows);
  Value ones = spreadConstant(builder, loc, rows, builder.getIndexAttr(1));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, generated, ones);
}

Value lariat::buildZeros(OpBuilder &builder, Location loc, Value rows, RankedTensorType type) {
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type.getElementType()));
  return SpreadOp::create(builder, loc, withRows(type, cast<RowsType>(rows.getType())), zero, rows);
}

Value lariat::buildSteps(OpBuilder &builder, Location loc, Value rows, Value index) {
  if (!index)
    return spreadConstant(builder, loc, rows, builder.getI32IntegerAttr(0));
  Value steps = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), index);
  return SpreadOp::create(builder, loc, getRowTensorType(rows.getType(), builder.getI32Type()), steps, rows);
}
