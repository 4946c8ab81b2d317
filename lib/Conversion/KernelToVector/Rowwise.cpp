// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.rowwise: each thread does some of the rows.

#include "KernelCode.h"
#include "RowAccess.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Operand segments.
enum { kRows, kTable, kInputs, kOuts, kIndices };

static void writeKernel(kernel::RowwiseOp op, KernelWriter &w) {
  auto getField = [&](unsigned segment, size_t i) {
    return w.field(op.getODSOperandIndexAndLength(segment).first + i);
  };
  RowAccess access(w, op, op.getTable(), op.getTable() ? getField(kTable, 0) : Value());
  SmallVector<Value> lists;
  for (size_t i = 0; i < op.getIndices().size(); ++i)
    lists.push_back(getField(kIndices, i));
  access.setIndices(op.getIndices(), std::move(lists));

  Block &block = op.getBody().front();
  RowRegion region(block, findColumnArguments(op.getInputs(), op.getVectors().size()));
  int64_t width = op.getWidth(), groups = op.getGroups();
  size_t firstVector = op->getNumOperands();

  auto writeGroup = [&](Value row, Value firstColumn) {
    SmallVector<RowSlot> arguments, results;
    for (auto [i, input] : llvm::enumerate(op.getInputs()))
      arguments.push_back(
          access.getArgument(input, getField(kInputs, i), access.getLine(row, op.getGather()[i]), firstColumn, width));
    for (auto [i, symbol] : llvm::enumerate(op.getVectors().getAsRange<FlatSymbolRefAttr>()))
      arguments.push_back(access.getVector(symbol, w.field(firstVector + i), row));
    for (auto [i, out] : llvm::enumerate(op.getOuts()))
      results.push_back(
          access.getResult(out, getField(kOuts, i), access.getLine(row, op.getScatter()[i]), firstColumn, width));
    region.writeRow(w, width, arguments, [&](kernel::FactKind kind) { return access.getFact(kind, row); }, results);
  };

  auto [begin, end] = w.share(w.field(0));
  w.forLoop(begin, end, [&](Value row) {
    if (groups == 1)
      return writeGroup(row, Value());
    w.forLoop(w.constantI64(0), w.constantI64(groups), [&](Value group) { writeGroup(row, w.multiply(group, width)); });
  });
}

void vectors::populateRowwiseCode(KernelCodes &codes) { codes.add(writeKernel); }
