// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.rowwise: a group of arithmetic on rows, and the dot product with a bias.

#include "KernelParts.h"
#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

void lariat::forming::writeRowwise(KernelFormer &former, const Group &group) {
  SmallVector<Value> outputs = findOutputs(group);
  if (outputs.empty())
    return;
  RowwiseParts parts(former, group.rows);
  parts.operands.rows = group.rows;
  parts.width = std::max<int64_t>(group.width, 1);
  parts.parts = group.parts;
  for (Operation *member : group.members)
    parts.body.write(member);
  parts.body.finish(llvm::map_to_vector(outputs, [&](Value value) { return parts.body.get(value); }));
  SmallVector<Value> outs = llvm::map_to_vector(outputs, [&](Value value) { return former.createBuffer(value); });
  for (Value out : outs)
    parts.addOut(out);
  parts.build(group.members.front()->getLoc());
  for (auto [value, out] : llvm::zip(outputs, outs))
    former.setBuffer(value, out);
}

bool lariat::forming::formBiasedDot(KernelFormer &former, LinearOp op) {
  if (!isBiasedDot(op))
    return false;
  Type f32 = former.builder().getF32Type();
  Value input = former.getBuffer(op.getInput());
  FlatSymbolRefAttr weight = former.getStorage().getVector({op.getWeightAttr()});
  FlatSymbolRefAttr bias = former.getStorage().getVector({op.getBiasAttr()});
  auto emit = [&](Value in, int64_t width, FlatSymbolRefAttr vector, Value out, bool isDot) {
    RowwiseParts parts(former, op.getBy() ? op.getBy() : former.getRowsOf(op.getInput()));
    parts.width = width;
    Value x = parts.body.getBufferColumn(in), w = parts.body.getVector(vector, f32);
    OpBuilder &inner = parts.body.builder();
    Value product = isDot ? arith::MulFOp::create(inner, op.getLoc(), x, w).getResult() : w;
    Value sum = kernel::ReduceOp::create(inner, op.getLoc(), f32, kernel::ReduceKind::Sum, product);
    parts.body.finish(isDot ? sum : arith::AddFOp::create(inner, op.getLoc(), x, sum).getResult());
    parts.operands.tableRows = parts.rows;
    parts.addOut(out);
    parts.build(op.getLoc());
  };
  Value sums = former.createBuffer(f32, 0), out = former.createBuffer(op.getResult());
  emit(input, getWidth(op.getInput().getType()), weight, sums, /*isDot=*/true);
  emit(sums, 1, bias, out, /*isDot=*/false);
  former.setBuffer(op.getResult(), out);
  return true;
}
