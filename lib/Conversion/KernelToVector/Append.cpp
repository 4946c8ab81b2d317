// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.append: each thread writes some of the heads of all rows: a column of keys, or a line, and a line of values.

#include "CachePage.h"
#include "KernelCode.h"
#include "RotateHead.h"

#include "lariat/Artefact/Abi.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Fields of the record.
enum { kRows, kTable, kEntries, kKey, kValue, kLayerOffset, kAngles };

/// The layer's place in a page, so that layers share a function.
static SmallVector<int64_t> getLiterals(kernel::AppendOp op) {
  CachePage page{lookUp<kernel::CacheOp>(op, op.getCacheAttr())};
  return {page.getLayerOffset(op.getLayer())};
}

/// One element of columns, rounded to `element`.
static Value loadRounded(CodeWriter &w, ColumnRange from, Value column, Type element) {
  Value value = w.load(from.element, skipColumns(w, from, column).address);
  if (from.element == element)
    return value;
  return element.isF32() ? w.widen(value) : w.narrow(value, element);
}

static void writeKernel(kernel::AppendOp op, KernelWriter &w) {
  auto typeOf = [](Value buffer) { return cast<MemRefType>(buffer.getType()); };
  CachePage page{lookUp<kernel::CacheOp>(op, op.getCacheAttr())};
  int64_t heads = page.cache.getHeads(), dim = page.cache.getDim();
  MemRefType tableType = typeOf(op.getTable()), keyType = typeOf(op.getKey()), valueType = typeOf(op.getValue());
  Rope rope;
  ColumnRange rotated;
  if (op.getRope()) {
    rope = Rope::get(op, *op.getRope(), w.field(kAngles));
    rotated = {w.b.getF32Type(), w.scratch(4 * dim)};
  }

  auto writeEntry = [&](Value row, Value head, Value memory, Value index) {
    Value column = w.multiply(head, dim);
    Value keys = w.ptrAdd(memory, w.add(w.field(kLayerOffset), w.multiply(head, page.getHeadBytes())));
    ColumnRange key{keyType.getElementType(), w.line(w.field(kKey), keyType, row)};
    ColumnRange value{valueType.getElementType(), w.line(w.field(kValue), valueType, row)};
    key = skipColumns(w, key, column);
    if (rope) {
      Value position = w.loadI64(w.line(w.field(kTable), tableType, row), abi::kPosition);
      writeHead(w, rope, rope.getLine(w, position), key, rotated, dim);
      key = rotated;
    }
    Value first = w.ptrAdd(keys, w.multiply(index, page.getKeyEntryBytes()));
    if (page.hasKeyPanels())
      w.forLoop(w.constantI64(0), w.constantI64(dim), w.constantI64(1), [&](Value j) {
        w.store(loadRounded(w, key, j, page.getElement()), w.ptrAdd(first, w.multiply(j, page.getKeyColumnBytes())));
      });
    else
      copyColumns(w, key, {page.getElement(), first}, 0, dim);
    Value line = w.ptrAdd(keys, w.add(w.multiply(index, page.getValueLineBytes()), page.getKeysBytes()));
    copyColumns(w, skipColumns(w, value, column), {page.getElement(), line}, 0, dim);
  };

  auto [begin, end] = w.share(w.multiply(w.field(kRows), heads));
  w.forLoop(begin, end, [&](Value number) {
    Value row = w.divide(number, w.constantI64(heads)), head = w.remainder(number, w.constantI64(heads));
    Value entry = w.line(w.field(kEntries), typeOf(op.getEntries()), row), memory = w.loadI64(entry, 0);
    w.ifThen(w.compare(arith::CmpIPredicate::ne, memory, w.constantI64(0)),
             [&] { writeEntry(row, head, w.loadPointer(entry, 0), w.loadI64(entry, 1)); });
  });
}

void vectors::populateAppendCode(KernelCodes &codes) { codes.add(writeKernel, getLiterals); }
