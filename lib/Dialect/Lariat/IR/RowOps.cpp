// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verification and folding of ops on row sets.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lariat;

/// A selection gives its rows a label of their own, unless labels are erased.
static LogicalResult verifyNewLabel(Operation *op, Type from, Type result) {
  StringAttr old = getRowLabel(from), label = getRowLabel(result);
  if (static_cast<bool>(old) != static_cast<bool>(label))
    return op->emitOpError() << "selects " << result << " from " << from << ", expected both or neither with a label";
  if (old && old == label)
    return op->emitOpError() << "gives its rows the label " << label << " of the rows it selects from";
  return success();
}

LogicalResult SelectOp::verify() { return verifyNewLabel(*this, getFrom().getType(), getResult().getType()); }

LogicalResult LastOp::verify() { return verifyNewLabel(*this, getFrom().getType(), getResult().getType()); }

//===----------------------------------------------------------------------===//
// advance
//===----------------------------------------------------------------------===//

LogicalResult AdvanceOp::verify() {
  APInt depth;
  if (!getTo() || !matchPattern(getTo(), m_ConstantInt(&depth)))
    return success();
  int64_t to = depth.getSExtValue();
  if (to >= 0 && to <= kMaxDepth) // advance_c1
    return success();
  return emitOpError() << "advances rows to depth " << to << ", expected 0 to " << kMaxDepth;
}

std::optional<int64_t> lariat::getConstantDepth(Value rows) {
  // Dominance is verified later, so a chain may still run in a circle.
  SmallPtrSet<Operation *, 8> seen;
  int64_t steps = 0;
  for (Operation *op = rows.getDefiningOp(); op && seen.insert(op).second; op = rows.getDefiningOp()) {
    if (auto advance = dyn_cast<AdvanceOp>(op)) {
      APInt depth;
      if (advance.getTo())
        return matchPattern(advance.getTo(), m_ConstantInt(&depth)) ? std::optional(depth.getSExtValue() + steps)
                                                                    : std::nullopt;
      ++steps;
      rows = advance.getFrom();
    } else if (auto choice = dyn_cast<RowChoiceOpInterface>(op)) {
      rows = choice.getFrom();
    } else {
      break;
    }
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

LogicalResult TopKOp::verify() {
  if (cast<RankedTensorType>(getScores().getType()).getRank() != 1) // top_k_c2
    return emitOpError() << "has scores of type " << getScores().getType() << ", expected one float per row";
  if (getCounts()) { // top_k_c4
    auto numDepths = static_cast<int64_t>(getCapacity().getNumerators().size());
    Type expected = getRowTensorType(getFrom().getType(), IntegerType::get(getContext(), 32), {numDepths});
    if (getCounts().getType() != expected)
      return emitOpError() << "has counts of type " << getCounts().getType() << ", expected " << expected;
  }
  return verifyNewLabel(*this, getFrom().getType(), getResult().getType());
}

LogicalResult TopKOp::verifyRegions() {
  if (getDecode().empty())
    return success();
  Block &block = getDecode().front();
  Type rows = getFrom().getType();
  Type bits = getRowTensorType(rows, IntegerType::get(getContext(), 1));
  SmallVector<Type> expected{rows, bits, getScores().getType()};
  if (block.getArgumentTypes() != TypeRange(expected)) // top_k_c3
    return emitOpError() << "decode region takes (" << block.getArgumentTypes() << "), expected ("
                         << TypeRange(expected) << ")";
  auto end = dyn_cast<EndOp>(block.getTerminator());
  if (!end || !end.getGo() || end.getGo().getType() != bits)
    return emitOpError() << "decode region does not end with one bit per row of " << rows;
  return success();
}

//===----------------------------------------------------------------------===//
// take, put
//===----------------------------------------------------------------------===//

LogicalResult TakeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                       SmallVectorImpl<Type> &results) {
  auto tensor = dyn_cast<RankedTensorType>(adaptor.getValue().getType());
  auto at = dyn_cast<RowsType>(adaptor.getAt().getType());
  if (!tensor || !at)
    return emitOptionalError(location, "'lariat.take' needs a row tensor and a row set");
  results.push_back(withRows(tensor, at));
  return success();
}

/// Taking all rows of a set is the identity; so is taking back what `put` just wrote.
OpFoldResult TakeOp::fold(FoldAdaptor) {
  if (getFrom() == getAt() && getValue().getType() == getType())
    return getValue();
  auto put = getValue().getDefiningOp<PutOp>();
  if (put && put.getKind() == PutKind::Replace && put.getFrom() == getAt() && put.getValue().getType() == getType())
    return put.getValue();
  return {};
}

namespace {

/// take (take %x of %a at %b) of %b at %c  ->  take %x of %a at %c
struct ComposeTakes : OpRewritePattern<TakeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(TakeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getValue().getDefiningOp<TakeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "does not take from a take");
    if (inner->getBlock() != op->getBlock())
      return rewriter.notifyMatchFailure(op, "the inner take is outside a loop, where its rows are fewer");
    rewriter.replaceOpWithNewOp<TakeOp>(op, op.getType(), inner.getValue(), inner.getFrom(), op.getAt());
    return success();
  }
};

} // namespace

void TakeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ComposeTakes>(context);
}

LogicalResult PutOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType()), into = cast<RankedTensorType>(getInto().getType());
  if (value.getShape() != into.getShape() || value.getElementType() != into.getElementType()) // put_c1
    return emitOpError() << "puts " << value << " into " << into << ", expected the same columns and element type";
  if (getKind() == PutKind::Add && !isa<FloatType>(into.getElementType()))
    return emitOpError() << "adds values of type " << into.getElementType() << ", expected floats";
  return success();
}

/// Replacing all rows of a set leaves the new values.
OpFoldResult PutOp::fold(FoldAdaptor) {
  if (getKind() == PutKind::Replace && getFrom() == getOf() && getValue().getType() == getType())
    return getValue();
  return {};
}

//===----------------------------------------------------------------------===//
// spread and reductions
//===----------------------------------------------------------------------===//

LogicalResult SpreadOp::verify() {
  auto result = cast<RankedTensorType>(getResult().getType());
  if (getRowsType(result) != getAt().getType()) // spread_c1
    return emitOpError() << "gives a row tensor of " << getRowsType(result) << ", but its rows are "
                         << getAt().getType();
  Type element = getValue().getType();
  if (auto tensor = dyn_cast<RankedTensorType>(element)) {
    element = tensor.getElementType();
    bool perRow = tensor.getRank() == 1 && tensor.isDynamicDim(0);
    if (perRow ? getRowsType(tensor) != getAt().getType() || result.getRank() != 2
               : tensor.getShape() != result.getShape().drop_front()) // spread_c2
      return emitOpError() << "cannot spread " << tensor << " to " << result
                           << ": expected the shape of one row, or one value per row";
  }
  if (element != result.getElementType()) // spread_c1
    return emitOpError() << "spreads " << element << " to elements of type " << result.getElementType();
  return success();
}

LogicalResult ConcatOp::verify() {
  auto result = cast<RankedTensorType>(getType());
  if (getInputs().empty() || result.getRank() != 2) // concat_c1
    return emitOpError() << "joins " << getInputs().size() << " operands to " << result
                         << ", expected at least one operand and a result of rank 2";
  uint64_t numColumns = 0;
  for (Value input : getInputs()) {
    auto type = cast<RankedTensorType>(input.getType());
    if (type.getRank() != 2 || type.getElementType() != result.getElementType() ||
        type.getEncoding() != result.getEncoding()) // concat_c1
      return emitOpError() << "joins " << type << " to " << result << ", expected rank 2, one set and one element type";
    numColumns = llvm::SaturatingAdd<uint64_t>(numColumns, type.getDimSize(1));
  }
  if (numColumns != static_cast<uint64_t>(result.getDimSize(1))) // concat_c2
    return emitOpError() << "joins " << numColumns << " columns to a result of " << result.getDimSize(1);
  return success();
}

static LogicalResult verifyColumns(Operation *op, Type type) {
  if (cast<RankedTensorType>(type).getRank() == 2)
    return success();
  return op->emitOpError() << "reduces " << type << ", expected columns in dimension 1";
}

LogicalResult RowReduceOp::verify() { return verifyColumns(*this, getValue().getType()); } // row_reduce_c1

LogicalResult ArgmaxOp::verify() { return verifyColumns(*this, getValue().getType()); } // argmax_c1

LogicalResult SeqReduceOp::verify() {
  auto type = cast<RankedTensorType>(getValue().getType());
  bool wantsBits = getKind() != SeqReduceKind::Mean;
  bool fits = wantsBits ? type.getElementType().isInteger(1) : isa<FloatType>(type.getElementType());
  if (type.getRank() == 1 && fits) // seq_reduce_c1
    return success();
  return emitOpError() << "reduces " << type << " by '" << stringifySeqReduceKind(getKind()) << "', expected one "
                       << (wantsBits ? "bit" : "float") << " per row";
}
