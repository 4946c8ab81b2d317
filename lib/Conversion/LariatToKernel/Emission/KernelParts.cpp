// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "KernelParts.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// The table that a kernel reads, if its regions read one.
static Value getTable(KernelFormer &former, const KernelOperands &operands) {
  return operands.tableRows ? former.getRows(operands.tableRows).table : Value();
}

void RowwiseParts::addOut(Value buffer, Value lines) {
  outs.push_back(buffer);
  scatter.push_back(operands.getIndexNumber(lines));
}

kernel::RowwiseOp RowwiseParts::build(Location loc) {
  OpBuilder &b = former.builder();
  auto kernel =
      kernel::RowwiseOp::create(b, loc, former.getRows(rows).count, getTable(former, operands), body.inputs, outs,
                                operands.indices, width, parts, b.getArrayAttr(body.vectors), body.gather, scatter);
  kernel.getBody().takeBody(*body.region);
  return kernel;
}

Value GemmParts::addSum(ArrayRef<FlatSymbolRefAttr> names) {
  weights.push_back(former.getStorage().getPanels(names));
  return epilogue.addLeading();
}

void GemmParts::addLowRank(Value input, FlatSymbolRefAttr weight, int64_t sum) {
  lowRankInputs.push_back(input);
  lowRankWeights.push_back(former.getStorage().getPanels({weight}));
  lowRankOf.push_back(sum);
}

Value GemmParts::addBias(Value sum, ArrayRef<FlatSymbolRefAttr> names, Location loc) {
  OpBuilder &inner = epilogue.builder();
  Value bias = epilogue.getVector(former.getStorage().getVector(names), inner.getF32Type());
  return arith::AddFOp::create(inner, loc, sum, bias);
}

kernel::GemmOp GemmParts::build(Location loc) {
  OpBuilder &b = former.builder();
  SmallVector<int64_t> gather = prologue.gather, scatter(outs.size(), -1);
  llvm::append_range(gather, epilogue.gather);
  auto kernel = kernel::GemmOp::create(
      b, loc, former.getRows(rows).count, getTable(former, operands), prologue.inputs, epilogue.inputs, lowRankInputs,
      outs, operands.indices, depth, width, b.getArrayAttr(weights), b.getArrayAttr(prologue.vectors),
      b.getArrayAttr(epilogue.vectors), gather, scatter, b.getArrayAttr(lowRankWeights), lowRankOf);
  kernel.getPrologue().takeBody(*prologue.region);
  kernel.getEpilogue().takeBody(*epilogue.region);
  return kernel;
}
