// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.append: keys and values of rows into their entries.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::formAppend(KernelFormer &former, AppendOp op) {
  auto [key, rope] = getUnrotated(former, op.getKey());
  Value value = former.getBuffer(op.getValue()), places = former.getEntries(op);
  RowSet rows = former.getRows(op.getAt());
  kernel::AppendOp::create(former.builder(), op.getLoc(), rows.count, rows.table, places, key, value,
                           former.getStorage().getCacheDeclaration(op.getCache()), op.getLayerAttr(), rope);
  return true;
}
