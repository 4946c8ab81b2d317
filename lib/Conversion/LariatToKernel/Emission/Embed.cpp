// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.embed: rows of packed weights by token id.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::formEmbed(KernelFormer &former, EmbedOp op) {
  RowSet rows = former.getRows(former.getRowsOf(op.getIds()));
  Value ids = former.getBuffer(op.getIds()), out = former.createBuffer(op.getResult());
  kernel::EmbedOp::create(former.builder(), op.getLoc(), rows.count, ids, out,
                          former.getStorage().getPanels({op.getWeightAttr()}));
  former.setBuffer(op.getResult(), out);
  return true;
}
