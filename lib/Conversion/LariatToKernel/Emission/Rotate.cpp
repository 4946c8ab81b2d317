// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.rotate: rotary position, unless the one reader of the result rotates what it reads.

#include "Kinds.h"

#include "lariat/Dialect/Lariat/IR/Rope.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

static kernel::RopeAttr getRopeAttr(RopeOp op, Storage &storage) {
  return kernel::RopeAttr::get(op.getContext(), storage.getRopeTable(op), getRotatedColumns(op),
                               op.getStyle() == RopeStyle::Interleaved);
}

bool lariat::forming::formRope(KernelFormer &former, RopeOp op) {
  if (isRotatedByReader(op, former.getStorage().getSymbols()))
    return true;
  RowSet rows = former.getRows(op.getAt());
  Value input = former.getBuffer(op.getInput()), out = former.createBuffer(op.getResult());
  kernel::RotateOp::create(former.builder(), op.getLoc(), rows.count, rows.table, input, out, op.getHeads(),
                           getRopeAttr(op, former.getStorage()));
  former.setBuffer(op.getResult(), out);
  return true;
}

Unrotated lariat::forming::getUnrotated(KernelFormer &former, Value value) {
  auto rope = value.getDefiningOp<RopeOp>();
  if (!rope || former.hasBuffer(value))
    return {former.getBuffer(value), {}};
  return {former.getBuffer(rope.getInput()), getRopeAttr(rope, former.getStorage())};
}
