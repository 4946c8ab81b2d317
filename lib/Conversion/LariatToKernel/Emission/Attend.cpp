// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.attend: rows over their views of a cache. Attention among the rows of a call goes through a cache too, which
// is empty before it.

#include "Kinds.h"

#include <cmath>

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

static kernel::MaskKind getMaskKind(MaskKind kind) {
  switch (kind) {
  case MaskKind::Causal:
    return kernel::MaskKind::Causal;
  case MaskKind::Full:
    return kernel::MaskKind::Full;
  case MaskKind::Prefix:
    return kernel::MaskKind::Prefix;
  case MaskKind::Window:
    return kernel::MaskKind::Window;
  case MaskKind::Chunk:
    return kernel::MaskKind::Chunk;
  }
  llvm_unreachable("enumeration covered");
}

bool lariat::forming::looksAhead(MaskAttr mask) {
  return mask.getKind() == MaskKind::Full || mask.getKind() == MaskKind::Prefix;
}

/// What attend and attention have in common.
template <typename OpT>
static void createAttend(OpT op, KernelFormer &former, Value seen, Unrotated query, Value out, FlatSymbolRefAttr cache,
                         IntegerAttr layer, IntegerAttr heads, int64_t width) {
  OpBuilder &b = former.builder();
  Storage &storage = former.getStorage();
  RowSet rows = former.getRows(op.getAt());
  double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0 / std::sqrt(double(width));
  auto mask = kernel::MaskAttr::get(op.getContext(), getMaskKind(op.getMask().getKind()), op.getMask().getSize());
  FlatSymbolRefAttr sinks, bias;
  if (op.getSinksAttr())
    sinks = storage.getVector({op.getSinksAttr()});
  if (op.getDistanceBiasAttr())
    bias = storage.getVectors(op.getDistanceBiasAttr());
  kernel::AttendOp::create(b, op.getLoc(), rows.count, rows.table, seen, query.buffer, out, cache, layer, heads,
                           b.getF64FloatAttr(scale), op.getSoftcapAttr(), mask, sinks, bias, query.rope);
}

bool lariat::forming::formAttend(KernelFormer &former, AttendOp op) {
  Storage &storage = former.getStorage();
  Unrotated query = getUnrotated(former, op.getQuery());
  Value seen = former.getViews(op), out = former.createBuffer(op.getResult());
  createAttend(op, former, seen, query, out, storage.getCacheDeclaration(op.getCache()), op.getLayerAttr(),
               op.getHeadsAttr(), storage.getCache(op.getCache()).getDim());
  former.setBuffer(op.getResult(), out);
  return true;
}

bool lariat::forming::formAttention(KernelFormer &former, AttentionOp op) {
  OpBuilder &b = former.builder();
  Unrotated query = getUnrotated(former, op.getQuery()), key = getUnrotated(former, op.getKey());
  Value value = former.getBuffer(op.getValue());
  auto [cache, entries, seen] = former.getCallCache(op);
  RowSet rows = former.getRows(op.getAt());
  IntegerAttr layer = b.getI64IntegerAttr(0);
  kernel::AppendOp::create(b, op.getLoc(), rows.count, rows.table, entries, key.buffer, value, cache, layer, key.rope);
  Value out = former.createBuffer(op.getResult());
  int64_t width = getWidth(op.getType()) / static_cast<int64_t>(op.getQueryHeads());
  createAttend(op, former, seen, query, out, cache, layer, op.getQueryHeadsAttr(), width);
  former.setBuffer(op.getResult(), out);
  return true;
}
