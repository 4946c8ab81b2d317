// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks that rows are related by ops of the dialect only. What is allowed is listed; anything else is refused by name,
// so an op that nobody thought of cannot make a row depend on its company.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#define DEBUG_TYPE "lariat-verify-row-mixing"

namespace lariat {
#define GEN_PASS_DEF_VERIFYROWMIXINGPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct VerifyRowMixingPass : lariat::impl::VerifyRowMixingPassBase<VerifyRowMixingPass> {
  void runOnOperation() override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static bool isElement(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return integer.isSignless() && llvm::is_contained({1u, 8u, 16u, 32u, 64u}, integer.getWidth());
  return type.isIndex() || type.isF16() || type.isBF16() || type.isF32() || type.isF64();
}

static LogicalResult checkType(Operation *op, Type type) {
  auto refuse = [&](const Twine &expected) {
    return op->emitError() << "'" << op->getName() << "' has a value of type " << type << ", expected " << expected;
  };
  if (auto rows = dyn_cast<RowsType>(type))
    return rows.getLabel() ? success() : LogicalResult(refuse("a row set with a label"));
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return isElement(type) ? success() : LogicalResult(refuse("rows, tensors, or numbers of 1, 8, 16, 32 or 64 bits"));
  if (!isElement(tensor.getElementType()))
    return refuse("elements that are index, i1, i8, i16, i32, i64, f16, bf16, f32 or f64");
  if (llvm::is_contained(tensor.getShape(), 0))
    return refuse("no dimension of size 0");
  if (!getRowLabel(type)) {
    if (!tensor.hasStaticShape())
      return refuse("a tensor of static shape, or a row tensor, whose encoding names its row set");
    return tensor.getEncoding() ? LogicalResult(refuse("no encoding but that of a row set")) : success();
  }
  if (tensor.getRank() == 0 || !tensor.isDynamicDim(0) || tensor.getNumDynamicDims() != 1)
    return refuse("rows in dimension 0, and static dimensions behind it");
  return success();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

static InFlightDiagnostic refuse(Operation *op) { return op->emitError() << "'" << op->getName() << "' "; }

static bool usesRows(Operation *op) {
  return llvm::any_of(llvm::concat<Value>(op->getOperands(), op->getResults()), isRowValue);
}

/// Whether all row tensors of an op are of one set.
static bool hasOneSet(Operation *op) {
  StringAttr label;
  for (Value value : llvm::concat<Value>(op->getOperands(), op->getResults()))
    if (StringAttr other = getRowLabel(value.getType())) {
      if (label && label != other)
        return false;
      label = other;
    }
  return true;
}

static bool isControlFlow(Operation *op) {
  return isa<func::FuncOp, func::ReturnOp, scf::IfOp, scf::ForOp, scf::WhileOp, scf::YieldOp, scf::ConditionOp>(op);
}

/// The number of rows of a call is that of all its sequences, so no value may follow from it.
static LogicalResult checkCount(Operation *op) {
  auto dimension = dyn_cast<tensor::DimOp>(op);
  bool isCount = isa<CountOp>(op) || (dimension && getRowLabel(dimension.getSource().getType()));
  // Whatever sizes rows by it and is still there is refused for itself.
  auto users = llvm::make_filter_range(op->getUsers(), [](Operation *user) {
    return isa<LariatDialect>(user->getDialect()) || !usesRows(user) || isRowLocal(user);
  });
  if (!isCount || users.empty())
    return success();
  Operation *user = *users.begin();
  return (refuse(op)
          << "is used by '" << user->getName()
          << "': the number of rows depends on what else is in a call, so it may only be the size of a tensor "
             "of these rows")
             .attachNote(user->getLoc())
         << "it is used here";
}

static LogicalResult checkRows(Operation *op) {
  if (isa<LariatDialect>(op->getDialect()) || isControlFlow(op))
    return success();
  if (!usesRows(op))
    return success();
  if (!hasOneSet(op))
    return refuse(op) << "joins row tensors of several sets, expected 'lariat.take' or 'lariat.put' between them";
  if (auto dimension = dyn_cast<tensor::DimOp>(op))
    return success();
  // A row tensor that is made from none has rows of its own.
  if (isRowLocal(op) && llvm::any_of(op->getOperands(), isRowValue))
    return success();
  return refuse(op) << "mixes rows, or does not say that it keeps them apart: expected row t of its result to follow "
                       "from row t of its operands";
}

/// Least and largest value of an index expression, given those of its loops; nothing if they cannot be told.
static std::optional<std::pair<int64_t, int64_t>> findRange(AffineExpr expr, ArrayRef<int64_t> loops) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return std::pair(constant.getValue(), constant.getValue());
  if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
    int64_t size = loops[loop.getPosition()];
    return ShapedType::isDynamic(size) ? std::nullopt : std::optional(std::pair<int64_t, int64_t>(0, size - 1));
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  auto left = findRange(binary.getLHS(), loops), right = findRange(binary.getRHS(), loops);
  if (!left || !right)
    return std::nullopt;
  int64_t factor = right->first;
  bool isConstant = right->first == right->second;
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return std::pair(left->first + right->first, left->second + right->second);
  case AffineExprKind::Mul:
    if (!isConstant)
      return std::nullopt;
    return std::pair(std::min(left->first * factor, left->second * factor),
                     std::max(left->first * factor, left->second * factor));
  case AffineExprKind::Mod:
    if (!isConstant || factor <= 0)
      return std::nullopt;
    return left->first >= 0 && left->second < factor ? *left : std::pair<int64_t, int64_t>(0, factor - 1);
  case AffineExprKind::FloorDiv:
    if (!isConstant || factor <= 0 || left->first < 0)
      return std::nullopt;
    return std::pair(left->first / factor, left->second / factor);
  default:
    return std::nullopt;
  }
}

/// Upstream compares shapes with loops only where no dimension is dynamic, which that of rows is.
static LogicalResult checkBounds(Operation *op) {
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || !usesRows(op))
    return success();
  SmallVector<int64_t> loops = structured.getStaticLoopRanges();
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      continue;
    for (auto [size, place] :
         llvm::zip_equal(type.getShape(), structured.getMatchingIndexingMap(&operand).getResults())) {
      if (ShapedType::isDynamic(size))
        continue;
      auto range = findRange(place, loops);
      bool isWhole = !isa<AffineDimExpr>(place) || !range || range->second == size - 1;
      if (!range || range->first < 0 || range->second >= size || !isWhole)
        return refuse(op) << "reads or writes operand " << operand.getOperandNumber() << " of type " << type
                          << " at places that are not those of its loops";
    }
  }
  return success();
}

/// Tensors without rows are read at places that are known.
static LogicalResult checkPlaces(Operation *op) {
  if (auto slice = dyn_cast<OffsetSizeAndStrideOpInterface>(op)) {
    if (llvm::any_of(slice.getStaticOffsets(), ShapedType::isDynamic) ||
        llvm::any_of(slice.getStaticStrides(), ShapedType::isDynamic))
      return refuse(op) << "starts at an offset or has a stride that is computed, expected numbers";
    return success();
  }
  auto extract = dyn_cast<tensor::ExtractOp>(op);
  if (!extract)
    return success();
  for (auto [index, size] : llvm::zip_equal(extract.getIndices(), extract.getTensor().getType().getShape())) {
    std::optional<int64_t> place = getConstantIntValue(index);
    if (!place || *place < 0 || *place >= size)
      return refuse(op) << "reads " << extract.getTensor().getType()
                        << " at a place that is computed or outside, expected constants inside";
  }
  return success();
}

/// The body of a structured op is scalar code.
static LogicalResult checkBody(Operation *op) {
  WalkResult result = op->walk([&](Operation *inner) {
    bool isKnown = inner == op || isa<linalg::YieldOp, linalg::IndexOp>(inner) ||
                   isa_and_nonnull<arith::ArithDialect, math::MathDialect, scf::SCFDialect>(inner->getDialect());
    if (isKnown)
      return WalkResult::advance();
    if (llvm::any_of(inner->getOperands(), isRowValue))
      refuse(inner) << "reads rows of its own choice inside '" << op->getName() << "'";
    else
      refuse(inner) << "stands in '" << op->getName() << "', expected scalar ops of arith, math and scf";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static bool isKnownTensorOp(Operation *op) {
  return isa<tensor::BitcastOp, tensor::CastOp, tensor::CollapseShapeOp, tensor::ConcatOp, tensor::DimOp,
             tensor::EmptyOp, tensor::ExpandShapeOp, tensor::ExtractOp, tensor::ExtractSliceOp, tensor::FromElementsOp,
             tensor::InsertSliceOp, tensor::RankOp, tensor::SplatOp>(op);
}

static LogicalResult check(Operation *op) {
  // What has rows is refused below, as what mixes them.
  bool isTensorOp = isKnownTensorOp(op) || (isa_and_nonnull<tensor::TensorDialect>(op->getDialect()) && usesRows(op));
  bool isKnown =
      isControlFlow(op) || isTensorOp ||
      isa_and_nonnull<LariatDialect, arith::ArithDialect, linalg::LinalgDialect, math::MathDialect>(op->getDialect());
  if (!isKnown)
    return refuse(op) << "has no place in an entry function, expected ops of lariat, arith, math, tensor, linalg, and "
                         "'scf.if', 'scf.for' and 'scf.while'";
  for (Region &region : op->getRegions())
    if (!region.empty() && !llvm::hasSingleElement(region))
      return refuse(op) << "has a region of " << llvm::range_size(region) << " blocks, expected 1";
  if (failed(checkCount(op)) || failed(checkRows(op)) || failed(checkBounds(op)) || failed(checkPlaces(op)))
    return failure();
  for (Type type : op->getResultTypes())
    if (failed(checkType(op, type)))
      return failure();
  for (Region &region : op->getRegions())
    for (Type type : region.getArgumentTypes())
      if (failed(checkType(op, type)))
        return failure();
  return success();
}

void VerifyRowMixingPass::runOnOperation() {
  bool valid = true;
  if (!getOperation().isExternal())
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      ++numChecked;
      bool isStructured = isa_and_nonnull<linalg::LinalgDialect>(op->getDialect());
      if (succeeded(check(op)) && (!isStructured || succeeded(checkBody(op))))
        return isStructured ? WalkResult::skip() : WalkResult::advance();
      valid = false;
      return WalkResult::interrupt();
    });
  if (!valid)
    return signalPassFailure();
  markAllAnalysesPreserved();
}
