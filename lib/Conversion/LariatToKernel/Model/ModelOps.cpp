// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ModelOps.h"

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

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

bool lariat::forming::isFact(Operation *op) { return isa_and_nonnull<PositionOfOp, DepthOfOp, GeneratedOfOp>(op); }

bool lariat::forming::isChoice(Operation *op) { return isa_and_nonnull<ValueOfOp>(op) && cast<ValueOfOp>(op).getBy(); }

bool lariat::forming::isReadThrough(Operation *op) {
  return isChoice(op) || isFact(op) || isa_and_nonnull<TakeOp, SpreadOp, tensor::EmptyOp, linalg::FillOp>(op);
}

bool lariat::forming::isAlias(Operation *op) {
  auto spread = dyn_cast<SpreadOp>(op);
  if (!spread)
    return isReadThrough(op);
  Value value = spread.getValue();
  return !isa<RankedTensorType>(value.getType()) || isRowTensor(value.getType()) || isStaticColumn(value);
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

Value lariat::forming::skipAdvance(Value rows) {
  while (auto advance = rows ? rows.getDefiningOp<AdvanceOp>() : AdvanceOp())
    rows = advance.getFrom();
  return rows;
}

Source lariat::forming::getSource(Value value) {
  Source source{value};
  while (Operation *op = source.value.getDefiningOp()) {
    if (auto spread = dyn_cast<SpreadOp>(op)) {
      source.value = spread.getValue();
    } else if (auto take = dyn_cast<TakeOp>(op)) {
      source = {take.getValue(), /*throughTake=*/true};
    } else {
      break;
    }
  }
  return source;
}

ModelSymbols::ModelSymbols(ModuleOp module) {
  for (auto weight : module.getOps<WeightOp>())
    weights[weight.getSymName()] = weight;
  for (auto cache : module.getOps<CacheOp>())
    caches[cache.getSymName()] = cache;
}

bool lariat::forming::isRotatedByReader(RopeOp op, const ModelSymbols &symbols) {
  if (!op->hasOneUse())
    return false;
  Operation *user = *op->user_begin();
  if (user->getBlock() != op->getBlock())
    return false;
  if (auto append = dyn_cast<AppendOp>(user))
    return append.getKey() == op.getResult() && append.getValue() != op.getResult() &&
           symbols.getCache(append.getCache()).getHeads() == op.getHeads();
  if (auto attention = dyn_cast<AttentionOp>(user))
    return attention.getKey() == op.getResult() && attention.getValue() != op.getResult()
               ? attention.getKvHeads() == op.getHeads()
               : attention.getQuery() == op.getResult() && attention.getQueryHeads() == op.getHeads();
  auto attend = dyn_cast<AttendOp>(user);
  return attend && attend.getHeads() == op.getHeads();
}
