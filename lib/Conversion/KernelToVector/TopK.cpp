// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.top_k: each thread decides some of the rows, and compares each of them with all rows.

#include "KernelCode.h"

#include "lariat/Artefact/Abi.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Fields of the record.
enum { kRows, kTable, kScores, kOut, kCounts };

namespace {

/// What is read of rows.
class ScoredRows {
public:
  ScoredRows(kernel::TopKOp op, KernelWriter &w) : op(op), w(w) {}

  /// An f32.
  Value getScore(Value row) {
    auto type = cast<MemRefType>(op.getScores().getType());
    Value score = w.loadElement(type.getElementType(), w.line(w.field(kScores), type, row));
    return type.getElementType().isF32() ? score : w.widen(score);
  }
  Value getFact(Value row, abi::RowColumn column) {
    return w.loadI64(w.line(w.field(kTable), cast<MemRefType>(op.getTable().getType()), row), column);
  }
  /// How many rows of its sequence a row may be among.
  Value getNumKept(Value row);

private:
  kernel::TopKOp op;
  KernelWriter &w;
};

} // namespace

Value ScoredRows::getNumKept(Value row) {
  ArrayRef<int64_t> numerators = op.getNumerators();
  Value depth = getFact(row, abi::kDepth), numerator = w.constantI64(numerators.back());
  for (auto [number, value] : llvm::enumerate(numerators.drop_back()))
    numerator = w.select(w.equal(depth, w.constantI64(static_cast<int64_t>(number))), w.constantI64(value), numerator);
  Value share = w.divide(w.multiply(getFact(row, abi::kLength), numerator), static_cast<int64_t>(op.getDenominator()));
  Value kept = w.maximum(share, w.constantI64(1));
  if (!op.getCounts())
    return kept;
  auto type = cast<MemRefType>(op.getCounts().getType());
  Value column = w.minimum(depth, w.constantI64(static_cast<int64_t>(numerators.size()) - 1));
  Value address = w.ptrAdd(w.line(w.field(kCounts), type, row), w.multiply(column, 4));
  Value given = arith::ExtSIOp::create(w.b, w.loc, w.b.getI64Type(), w.load(w.b.getI32Type(), address));
  return w.select(w.less(w.constantI64(0), given), given, kept);
}

static void writeKernel(kernel::TopKOp op, KernelWriter &w) {
  ScoredRows scored(op, w);
  auto outType = cast<MemRefType>(op.getOut().getType());
  Value rows = w.field(kRows);
  auto [begin, end] = w.share(rows);
  w.forLoop(begin, end, [&](Value row) {
    Value score = scored.getScore(row), sequence = scored.getFact(row, abi::kSequence);
    auto isBefore = [&](Value other) {
      Value otherScore = scored.getScore(other);
      Value larger = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::OGT, otherScore, score);
      Value same = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::OEQ, otherScore, score);
      Value first = w.bitOr(larger, w.bitAnd(same, w.less(other, row)));
      return w.bitAnd(first, w.equal(scored.getFact(other, abi::kSequence), sequence));
    };
    auto count = [&](Value other, ValueRange before) -> CodeWriter::Values {
      return {w.select(isBefore(other), w.add(before.front(), 1), before.front())};
    };
    Value numBefore = w.forLoop(w.constantI64(0), rows, w.constantI64(1), w.constantI64(0), count).front();
    w.storeElement(w.less(numBefore, scored.getNumKept(row)), w.line(w.field(kOut), outType, row));
  });
}

void vectors::populateTopKCode(KernelCodes &codes) { codes.add(writeKernel); }
