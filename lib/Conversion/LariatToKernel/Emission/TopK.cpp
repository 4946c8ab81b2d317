// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.top_k: a bit for each row that is kept, and the lines of those rows.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::formTopK(KernelFormer &former, TopKOp op) {
  Type score = getElementTypeOrSelf(op.getScores().getType());
  if (!score.isF32() && !score.isBF16() && !score.isF16())
    return false;
  OpBuilder &b = former.builder();
  RowSet from = former.getRows(op.getFrom());
  Value scores = former.getBuffer(op.getScores());
  Value counts = op.getCounts() ? former.getBuffer(op.getCounts()) : Value();
  Value bits = former.createBuffer(b.getI1Type(), 0), table = former.createWords(kNumRowColumns);
  kernel::TopKOp::create(b, op.getLoc(), from.count, from.table, scores, bits, counts, op.getCapacity().getNumerators(),
                         op.getCapacity().getDenominator());
  Value count = kernel::CompactOp::create(b, op.getLoc(), b.getIndexType(), from.count, from.table, bits, table);
  former.defineRows(op.getResult(), table, count);
  return true;
}
