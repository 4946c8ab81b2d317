// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.embed: a row of packed weights per token. The columns of a row of weights lie in a panel, a line apart.
// Threads share the rows, or the columns of a single one.

#include "KernelCode.h"
#include "PanelLoader.h"
#include "RotateHead.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Fields of the record.
enum { kRows, kIds, kOut, kWeight };

namespace {

/// Reads one row of packed weights: a column of their panels.
class PackedRow {
public:
  PackedRow(KernelWriter &w, kernel::PackedOp data, Value weight, Value id)
      : w(w), data(data), loader(*findPanelLoader(data)), stepsPerLine(loader.getStepsPerLine()) {
    auto columns = static_cast<int64_t>(data.getPanelColumns());
    Value panel = w.multiply(w.divide(id, w.constantI64(columns)), data.getPanelBytes());
    first =
        w.ptrAdd(weight, w.add(panel, w.multiply(w.remainder(id, w.constantI64(columns)), loader.getWordBytes(w.b))));
  }

  /// Values `k` to `k + count`, count at most 16. `k` is a multiple of 16.
  Value load(Value k, int64_t count) {
    Value values = w.constantFloat(0, w.vectorOf(w.b.getF32Type()));
    Value lines = w.ptrAdd(first, w.multiply(k, data.getPanelLineBytes() / stepsPerLine));
    Value line;
    for (int64_t i = 0; i < count; ++i) {
      if (i % stepsPerLine == 0)
        line = w.ptrAdd(lines, i / stepsPerLine * data.getPanelLineBytes());
      Value value = loader.loadValue(w, line, i % stepsPerLine, data.getPanelColumns());
      values = vector::InsertOp::create(w.b, w.loc, value, values, i);
    }
    return values;
  }

private:
  KernelWriter &w;
  kernel::PackedOp data;
  const PanelLoader &loader;
  int64_t stepsPerLine;
  Value first; ///< address of the column in the first line
};

} // namespace

static void writeKernel(kernel::EmbedOp op, KernelWriter &w) {
  auto idsType = cast<MemRefType>(op.getIds().getType()), outType = cast<MemRefType>(op.getOut().getType());
  auto data = lookUp<kernel::PackedOp>(op, op.getWeightAttr());
  Type idType = idsType.getElementType();
  int64_t width = outType.getDimSize(1), whole = width / kLanes;
  Value rows = w.field(kRows), isOne = w.compare(arith::CmpIPredicate::eq, rows, w.constantI64(1));
  auto [firstRow, endRow] = w.share(rows);
  auto [firstVector, endVector] = w.share(w.constantI64(whole));
  firstRow = w.select(isOne, w.constantI64(0), firstRow);
  endRow = w.select(isOne, rows, endRow);
  firstVector = w.select(isOne, firstVector, w.constantI64(0));
  endVector = w.select(isOne, endVector, w.constantI64(whole));
  w.forLoop(firstRow, endRow, [&](Value row) {
    Value address = w.line(w.field(kIds), idsType, row), id;
    if (idType.isIndex() || idType.isInteger(64))
      id = w.loadI64(address);
    else
      id = arith::ExtUIOp::create(w.b, w.loc, w.b.getI64Type(), w.load(idType, address));
    // An id that the weight does not have gives zeros.
    Value isThere = w.compare(arith::CmpIPredicate::ult, id, w.constantI64(data.getShape()[0]));
    PackedRow packed(w, data, w.field(kWeight), w.select(isThere, id, w.constantI64(0)));
    Value zeros = w.constantFloat(0, w.vectorOf(w.b.getF32Type()));
    auto load = [&](Value column, int64_t count) { return w.select(isThere, packed.load(column, count), zeros); };
    ColumnRange out{outType.getElementType(), w.line(w.field(kOut), outType, row)};
    w.forLoop(firstVector, endVector, [&](Value number) {
      Value column = w.multiply(number, kLanes);
      storeFloats(w, load(column, kLanes), skipColumns(w, out, column));
    });
    if (int64_t rest = width % kLanes) {
      Value column = w.constantI64(whole * kLanes);
      storeFloats(w, load(column, rest), skipColumns(w, out, column),
                  rest); // by all threads alike if there is one row
    }
  });
}

void vectors::populateEmbedCode(KernelCodes &codes) { codes.add(writeKernel); }
