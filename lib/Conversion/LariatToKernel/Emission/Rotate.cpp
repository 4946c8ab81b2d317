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

bool lariat::forming::formRope(Forming &forming, RopeOp op) {
  if (isRotatedByReader(op, forming.getStorage().getSymbols()))
    return true;
  RowSet rows = forming.getRows(op.getAt());
  Value input = forming.getBuffer(op.getInput()), out = forming.createBuffer(op.getResult());
  kernel::RotateOp::create(forming.builder(), op.getLoc(), rows.count, rows.table, input, out, op.getHeads(),
                           getRopeAttr(op, forming.getStorage()));
  forming.setBuffer(op.getResult(), out);
  return true;
}

Unrotated lariat::forming::getUnrotated(Forming &forming, Value value) {
  auto rope = value.getDefiningOp<RopeOp>();
  if (!rope || forming.hasBuffer(value))
    return {forming.getBuffer(value), {}};
  return {forming.getBuffer(rope.getInput()), getRopeAttr(rope, forming.getStorage())};
}
