// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies of rows and columns: rowwise kernels whose bodies hand values through.

#include "KernelParts.h"
#include "Kinds.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// Writes what the body gives to the lines that `lines` names of `out`.
static void writeCopy(RowwiseParts &parts, Value written, Value out, Value lines = {}) {
  auto type = cast<MemRefType>(out.getType());
  parts.body.finish(written);
  parts.width = type.getRank() == 2 ? type.getDimSize(1) : 1;
  parts.addOut(out, lines);
  parts.build(out.getLoc());
}

void lariat::forming::copyValue(KernelFormer &former, Value value, Value buffer) {
  RowwiseParts parts(former, former.getRowsOf(value));
  writeCopy(parts, parts.body.get(value), buffer);
}

void lariat::forming::copyBuffer(KernelFormer &former, Value from, Value to, Value rows) {
  RowwiseParts parts(former, rows);
  writeCopy(parts, parts.body.getBufferColumn(from), to);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Whether nothing reads a tensor after `op`, so that its buffer may be changed there.
static bool isLastUse(Value tensor, Operation *op) {
  if (tensor.getParentBlock() != op->getBlock())
    return false;
  return llvm::all_of(tensor.getUsers(), [&](Operation *user) {
    Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
    return ancestor == op || ancestor->isBeforeInBlock(op);
  });
}

/// Writes the lines that a put names.
static void writeLines(KernelFormer &former, PutOp op, Value buffer) {
  RowwiseParts parts(former, op.getFrom());
  Value written = parts.body.get(op.getValue()), lines = former.getLines(op.getOf(), op.getFrom());
  if (op.getKind() == PutKind::Add) {
    Value old = parts.body.getBufferColumn(buffer, lines);
    OpBuilder &inner = parts.body.builder();
    written = isa<FloatType>(written.getType()) ? arith::AddFOp::create(inner, op.getLoc(), old, written).getResult()
                                                : arith::AddIOp::create(inner, op.getLoc(), old, written).getResult();
  }
  writeCopy(parts, written, buffer, lines);
}

bool lariat::forming::formPut(KernelFormer &former, PutOp op) {
  Value into = op.getInto();
  // Groups that still have to read the old lines are over first.
  former.writeGroups();
  Value buffer;
  bool inPlace = former.hasBuffer(into) && isLastUse(into, op) && op.getValue() != into &&
                 former.getBuffer(into).getDefiningOp<kernel::BufferOp>();
  if (inPlace) {
    buffer = former.getBuffer(into);
  } else {
    buffer = former.createBuffer(op.getResult());
    copyValue(former, into, buffer);
  }
  writeLines(former, op, buffer);
  former.setBuffer(op.getResult(), buffer);
  return true;
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

bool lariat::forming::formConcat(KernelFormer &former, ConcatOp op) {
  int64_t first = 0;
  for (Value input : op.getInputs()) {
    if (first % kernel::kLineColumns)
      return false;
    first += getWidth(input.getType());
  }
  Value whole = former.createBuffer(op.getResult());
  first = 0;
  for (Value input : op.getInputs()) {
    int64_t width = getWidth(input.getType());
    copyValue(former, input, former.createColumns(whole, first, width));
    first += width;
  }
  former.setBuffer(op.getResult(), whole);
  return true;
}

/// The place in its row, row-major, at which an operand of a structured op is read or written.
static AffineExpr getPlaceInRow(linalg::GenericOp op, OpOperand &operand) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(operand.get().getType()).getShape().drop_front();
  AffineExpr place = getAffineConstantExpr(0, op.getContext());
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (auto [size, index] : llvm::zip_equal(shape, op.getMatchingIndexingMap(&operand).getResults().drop_front())) {
    // A remainder that leaves every number of the loop as it is.
    auto binary = dyn_cast<AffineBinaryOpExpr>(index);
    bool isRemainder = binary && binary.getKind() == AffineExprKind::Mod && isa<AffineDimExpr>(binary.getLHS()) &&
                       isa<AffineConstantExpr>(binary.getRHS());
    bool isWhole = isRemainder && ranges[cast<AffineDimExpr>(binary.getLHS()).getPosition()] <=
                                      cast<AffineConstantExpr>(binary.getRHS()).getValue();
    place = place * size + (isWhole ? binary.getLHS() : index);
  }
  return place;
}

/// How many columns further right the only input of `op` is read, if all that it does is copy columns side by side.
static std::optional<int64_t> findColumnShift(linalg::GenericOp op) {
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 || op.getNumParallelLoops() != op.getNumLoops() ||
      yield.getOperand(0) != op.getBody()->getArgument(0))
    return std::nullopt;
  OpOperand &input = *op.getDpsInputOperand(0), &init = *op.getDpsInitOperand(0);
  if (!isRowTensor(input.get().getType()) || getWidth(input.get().getType()) == 0 ||
      getWidth(init.get().getType()) == 0)
    return std::nullopt;
  AffineMap from = op.getMatchingIndexingMap(&input), to = op.getMatchingIndexingMap(&init);
  int64_t numWritten = 1; // columns; as many as there are if every one is written
  for (auto [loop, range] : llvm::enumerate(op.getStaticLoopRanges()))
    numWritten *= to.getResult(0).isFunctionOfDim(loop) ? 1 : range;
  if (from.getResult(0) != to.getResult(0) || numWritten != getWidth(init.get().getType()))
    return std::nullopt;
  AffineExpr shift = simplifyAffineExpr(getPlaceInRow(op, input) - getPlaceInRow(op, init), from.getNumDims(), 0);
  auto constant = dyn_cast<AffineConstantExpr>(shift);
  return constant ? std::optional(constant.getValue()) : std::nullopt;
}

bool lariat::forming::formColumnCopy(KernelFormer &former, linalg::GenericOp op) {
  std::optional<int64_t> shift = findColumnShift(op);
  if (!shift || *shift < 0 || *shift % kernel::kLineColumns)
    return false;
  Value input = op.getInputs().front(), result = op.getResult(0), source = former.getBuffer(input);
  int64_t width = getWidth(result.getType());
  bool isWhole = *shift == 0 && width == getWidth(input.getType());
  Value columns = isWhole ? source : former.createColumns(source, *shift, width);
  Value buffer = former.createBuffer(result);
  copyBuffer(former, columns, buffer, former.getRowsOf(result));
  former.setBuffer(result, buffer);
  return true;
}
