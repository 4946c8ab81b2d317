// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.append: keys and values of rows into their entries.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::formAppend(Forming &forming, AppendOp op) {
  auto [key, rope] = getUnrotated(forming, op.getKey());
  Value value = forming.getBuffer(op.getValue()), places = forming.getEntries(op);
  RowSet rows = forming.getRows(op.getAt());
  kernel::AppendOp::create(forming.builder(), op.getLoc(), rows.count, rows.table, places, key, value,
                           forming.getStorage().getCacheDeclaration(op.getCache()), op.getLayerAttr(), rope);
  return true;
}
