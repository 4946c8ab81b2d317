// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.gemm: a group of products. What A of a low-rank pair makes of their input is a product of its own, before
// them.

#include "KernelParts.h"
#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// What A of the pair makes of the input, scaled: a line of rank columns for each row.
static Value writeLowRankInput(KernelFormer &former, LinearOp op) {
  int64_t rank = former.getStorage().getWeight(op.getLowRankAAttr()).getTensorType().getDimSize(0);
  GemmParts parts(former, op.getBy() ? op.getBy() : former.getRowsOf(op.getInput()));
  parts.depth = getWidth(op.getInput().getType());
  parts.width = rank;
  Value out = former.createBuffer(former.builder().getF32Type(), rank);
  parts.outs.push_back(out);
  parts.prologue.finish(parts.prologue.getBufferColumn(former.getBuffer(op.getInput())));
  Value sum = parts.addSum({op.getLowRankAAttr()});
  if (double scale = op.getScale()->convertToDouble(); scale != 1)
    sum = arith::MulFOp::create(parts.epilogue.builder(), op.getLoc(), sum, parts.epilogue.constant(scale));
  parts.epilogue.finish(sum);
  parts.operands.tableRows = parts.rows;
  parts.build(op.getLoc());
  return out;
}

void lariat::forming::beginGemm(KernelFormer &former, const Group &group) {
  for (LinearOp linear : group.linears)
    if (linear.getLowRankA())
      former.setLowRankInput(linear, writeLowRankInput(former, linear));
}

/// One sum, whose columns are those of the products in turn.
static void writeSideBySide(KernelFormer &former, const Group &group, GemmParts &parts, Location loc) {
  SmallVector<FlatSymbolRefAttr> names, biases;
  parts.width = 0;
  for (LinearOp linear : group.linears) {
    names.push_back(linear.getWeightAttr());
    if (linear.getBiasAttr())
      biases.push_back(linear.getBiasAttr());
    parts.width += getWidth(linear.getType());
  }
  Value sum = parts.addSum(names);
  parts.epilogue.finish(biases.empty() ? sum : parts.addBias(sum, biases, loc));
  Value whole = former.createBuffer(former.builder().getF32Type(), parts.width);
  parts.outs.push_back(whole);
  int64_t first = 0;
  for (LinearOp linear : group.linears) {
    int64_t columns = getWidth(linear.getType());
    former.setBuffer(linear.getResult(), former.createColumns(whole, first, columns));
    first += columns;
  }
}

/// A sum per product, and the arithmetic on them. Returns the values that are written.
static SmallVector<Value> writeSums(KernelFormer &former, const Group &group, GemmParts &parts, Location loc) {
  SmallVector<Value> sums =
      llvm::map_to_vector(group.linears, [&](LinearOp linear) { return parts.addSum({linear.getWeightAttr()}); });
  for (auto [index, linear] : llvm::enumerate(group.linears)) {
    LinearOp op = linear;
    Value sum = sums[index];
    if (Value input = former.getLowRankInput(op))
      parts.addLowRank(input, op.getLowRankBAttr(), static_cast<int64_t>(index));
    if (op.getBiasAttr())
      sum = parts.addBias(sum, {op.getBiasAttr()}, loc);
    parts.epilogue.map(op.getResult(), sum);
  }
  for (Operation *member : group.members)
    parts.epilogue.write(member);
  SmallVector<Value> outputs = findOutputs(group);
  if (outputs.empty())
    return outputs;
  parts.epilogue.finish(llvm::map_to_vector(outputs, [&](Value value) { return parts.epilogue.get(value); }));
  parts.outs = llvm::map_to_vector(outputs, [&](Value value) { return former.createBuffer(value); });
  return outputs;
}

void lariat::forming::writeGemm(KernelFormer &former, const Group &group) {
  LinearOp first = group.linears.front();
  GemmParts parts(former, group.rows);
  parts.operands.rows = group.rows;
  parts.depth = getWidth(group.input.getType());
  parts.width = group.width;
  for (Operation *op : group.prologue)
    parts.prologue.write(op);
  parts.prologue.finish(parts.prologue.get(group.input));
  if (first.getBy())
    parts.operands.tableRows = first.getBy();
  if (group.sideBySide) {
    writeSideBySide(former, group, parts, first.getLoc());
    parts.build(first.getLoc());
    return;
  }
  SmallVector<Value> outputs = writeSums(former, group, parts, first.getLoc());
  if (outputs.empty())
    return;
  parts.build(first.getLoc());
  for (auto [value, out] : llvm::zip(outputs, parts.outs))
    former.setBuffer(value, out);
}
