// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row-locality of upstream ops. Elementwise ops of `arith` and `math` are row-local; `linalg.generic` is if one
// parallel loop runs over the rows of all its row tensors and over nothing else. Whatever says nothing counts as mixing
// rows.

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
  bool isRowLocalIn(Operation *op, OpOperand &) const { return findRowLoop(op).has_value(); }
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

/// Whether the body of a structured op looks at nothing but the elements it is handed: neither at the row's number nor
/// at rows of its own choice.
static bool bodyIgnoresRows(linalg::LinalgOp op, unsigned rowLoop) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  if (llvm::any_of(captured, isRowValue))
    return false;
  WalkResult result = op->getRegion(0).walk([&](linalg::IndexOp index) {
    return index.getDim() == rowLoop ? WalkResult::interrupt() : WalkResult::advance();
  });
  return !result.wasInterrupted();
}

std::optional<unsigned> lariat::findRowLoop(Operation *op) {
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || !structured.hasPureTensorSemantics() || structured.getNumDpsInits() == 0 ||
      op->getNumRegions() != 1)
    return std::nullopt;
  // Results are row tensors, and the first dimension of the first one says which loop runs over rows.
  OpOperand *first = structured.getDpsInitOperand(0);
  StringAttr label = getRowLabel(first->get().getType());
  AffineMap firstMap = structured.getMatchingIndexingMap(first);
  if (!label || firstMap.getNumResults() == 0)
    return std::nullopt;
  auto row = dyn_cast<AffineDimExpr>(firstMap.getResult(0));
  if (!row || structured.getIteratorTypesArray()[row.getPosition()] != utils::IteratorType::parallel)
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()) && !isRowValue(operand.get()))
      continue;
    ArrayRef<AffineExpr> places = structured.getMatchingIndexingMap(&operand).getResults();
    if (isRowValue(operand.get())) {
      if (getRowLabel(operand.get().getType()) != label || places.empty() || places.front() != row)
        return std::nullopt;
      places = places.drop_front();
    } else if (structured.isDpsInit(&operand)) {
      return std::nullopt;
    }
    if (llvm::any_of(places, [&](AffineExpr place) { return place.isFunctionOfDim(row.getPosition()); }))
      return std::nullopt;
  }
  if (!bodyIgnoresRows(structured, row.getPosition()))
    return std::nullopt;
  return row.getPosition();
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
