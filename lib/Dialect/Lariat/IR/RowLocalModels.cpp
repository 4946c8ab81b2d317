// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row-locality of upstream ops. Elementwise ops of `arith` and `math` are row-local; `linalg.generic` is if dimension 0
// is parallel and row operands are read at d0 only. Whatever says nothing counts as mixing rows.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace lariat;

namespace {

template <typename OpT>
struct ElementwiseModel : RowLocalOpInterface::ExternalModel<ElementwiseModel<OpT>, OpT> {
  bool isRowLocalIn(Operation *op, OpOperand &) const { return OpTrait::hasElementwiseMappableTraits(op); }
};

struct GenericModel : RowLocalOpInterface::ExternalModel<GenericModel, linalg::GenericOp> {
  bool isRowLocalIn(Operation *op, OpOperand &operand) const {
    auto generic = cast<linalg::GenericOp>(op);
    if (generic.getNumLoops() == 0 || generic.getIteratorTypesArray().front() != utils::IteratorType::parallel)
      return false;
    AffineMap map = generic.getMatchingIndexingMap(&operand);
    if (map.getNumResults() == 0 || map.getResult(0) != getAffineDimExpr(0, op->getContext()))
      return false;
    if (llvm::any_of(map.getResults().drop_front(), [](AffineExpr expr) { return expr.isFunctionOfDim(0); }))
      return false;
    // A row tensor read from inside the region could be read at any row.
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(generic.getRegion(), captured);
    if (llvm::any_of(captured, isRowValue))
      return false;
    bool readsRowIndex = false;
    generic.getRegion().walk([&](linalg::IndexOp index) { readsRowIndex |= index.getDim() == 0; });
    return !readsRowIndex;
  }
};

template <typename... Ops>
void attachElementwise(MLIRContext *context) {
  (Ops::template attachInterface<ElementwiseModel<Ops>>(*context), ...);
}

} // namespace

void lariat::registerRowLocalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    attachElementwise<
#define GET_OP_LIST
#include "mlir/Dialect/Arith/IR/ArithOps.cpp.inc"
        >(context);
  });
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *) {
    attachElementwise<
#define GET_OP_LIST
#include "mlir/Dialect/Math/IR/MathOps.cpp.inc"
        >(context);
  });
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::GenericOp::attachInterface<GenericModel>(*context);
  });
}

bool lariat::isRowLocal(Operation *op, OpOperand &operand) {
  auto interface = dyn_cast<RowLocalOpInterface>(op);
  return interface && interface.isRowLocalIn(operand);
}

bool lariat::isRowLocal(Operation *op) {
  if (op->getNumRegions() != 0 && !isa<linalg::LinalgOp>(op))
    return false;
  if (!isMemoryEffectFree(op))
    return false;
  return llvm::all_of(op->getOpOperands(),
                      [&](OpOperand &operand) { return !isRowValue(operand.get()) || isRowLocal(op, operand); });
}
