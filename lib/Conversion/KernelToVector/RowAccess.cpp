// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands of rowwise and gemm as a row sees them.

#include "RowAccess.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

SmallVector<bool> vectors::findColumnArguments(ValueRange operands, size_t numVectors) {
  SmallVector<bool> isColumn;
  for (Value operand : operands) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    isColumn.push_back(type && type.getRank() == 2);
  }
  isColumn.append(numVectors, true);
  return isColumn;
}

Value RowAccess::getLine(Value row, int64_t list) {
  if (list < 0)
    return row;
  auto type = cast<MemRefType>(indexOperands[list].getType());
  return w.loadI64(w.line(indices[list], type, row));
}

/// The slot of a buffer; `isRoom` says whether whole vectors fit where its last columns end.
static RowSlot getSlot(KernelWriter &w, MemRefType type, Value address, Value line, Value firstColumn, bool isRoom) {
  Type element = type.getElementType();
  Value place = w.line(address, type, line);
  if (type.getRank() != 2)
    return {element, false, place};
  if (firstColumn)
    place = w.ptrAdd(place, w.multiply(firstColumn, kernel::getElementBytes(element)));
  return {element, true, place, isRoom};
}

RowSlot RowAccess::getArgument(Value operand, Value address, Value line, Value firstColumn, int64_t width) {
  auto type = dyn_cast<MemRefType>(operand.getType());
  if (!type)
    return {operand.getType(), false, operand.getType().isIndex() ? w.toIndex(address) : address};
  bool isRoom = width % kLanes == 0 || (!firstColumn && type.getRank() == 2 &&
                                        kernel::getLineElements(type) >= kernel::roundUp(width, kLanes));
  RowSlot slot = getSlot(w, type, address, line, firstColumn, isRoom);
  if (!slot.isColumn)
    slot.value = w.loadElement(slot.element, slot.value);
  return slot;
}

RowSlot RowAccess::getResult(Value operand, Value address, Value line, Value firstColumn, int64_t width) {
  auto type = cast<MemRefType>(operand.getType());
  // Longer lines belong to a buffer of which these are some columns; others may follow them.
  bool isRoom = width % kLanes == 0 || (!firstColumn && type.getRank() == 2 &&
                                        kernel::getLineElements(type) == kernel::roundUp(width, kLanes));
  return getSlot(w, type, address, line, firstColumn, isRoom);
}

Value RowAccess::getFact(kernel::FactKind kind, Value row) {
  Value line = w.line(table, cast<MemRefType>(tableOperand.getType()), row);
  return w.loadElement(w.b.getIndexType(), w.ptrAdd(line, 8 * kernel::toArtefact(kind)));
}

Value RowAccess::getDepth(Value row) {
  Value line = w.line(table, cast<MemRefType>(tableOperand.getType()), row);
  return w.loadI64(line, abi::kDepth);
}

Value RowAccess::getAtDepth(kernel::PackedOp data, Value address, Value row) {
  if (!data.getDepths())
    return address;
  Value depth = w.minimum(getDepth(row), w.constantI64(*data.getDepths() - 1));
  return w.ptrAdd(address, w.multiply(depth, data.getDepthBytes()));
}

RowSlot RowAccess::getVector(FlatSymbolRefAttr symbol, Value address, Value row) {
  auto data = lookUp<kernel::PackedOp>(op, symbol);
  return {data.getElementType(), true, getAtDepth(data, address, row)};
}
