// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.embed: rows of packed weights by token id.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::formEmbed(Forming &forming, EmbedOp op) {
  RowSet rows = forming.getRows(forming.getRowsOf(op.getIds()));
  Value ids = forming.getBuffer(op.getIds()), out = forming.createBuffer(op.getResult());
  kernel::EmbedOp::create(forming.builder(), op.getLoc(), rows.count, ids, out,
                          forming.getStorage().getPanels({op.getWeightAttr()}));
  forming.setBuffer(op.getResult(), out);
  return true;
}
