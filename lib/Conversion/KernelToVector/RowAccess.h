// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: operands of rowwise and gemm as a row sees them.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWACCESS_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWACCESS_H

#include "RowRegion.h"

namespace lariat::vectors {

/// What to add to the address of depth-indexed data, and where depths come from.
class RowAccess {
public:
  /// `table` is the address of the row table; null where the kernel has none.
  RowAccess(KernelWriter &w, mlir::Operation *op, mlir::Value tableOperand, Value table)
      : w(w), op(op), tableOperand(tableOperand), table(table) {}

  /// Index lists: operands and their addresses.
  void setIndices(ValueRange operands, llvm::SmallVector<Value> addresses) {
    indexOperands.assign(operands.begin(), operands.end());
    indices = std::move(addresses);
  }

  /// The line that `row` reads or writes through index list `list`; -1 for its own.
  Value getLine(Value row, int64_t list);

  /// An argument: `operand` at `address` (or its value, for a scalar), from column `firstColumn` on.
  RowSlot getArgument(Value operand, Value address, Value line, Value firstColumn, int64_t width);
  /// A result likewise.
  RowSlot getResult(Value operand, Value address, Value line, Value firstColumn, int64_t width);
  /// A vector of weights.bin.
  RowSlot getVector(mlir::FlatSymbolRefAttr symbol, Value address, Value row);
  /// Data of the row's depth.
  Value getAtDepth(kernel::PackedOp data, Value address, Value row);

  /// The row's depth in the table, an i64.
  Value getDepth(Value row);
  Value getFact(kernel::FactKind kind, Value row);

private:
  KernelWriter &w;
  mlir::Operation *op;
  mlir::Value tableOperand;
  Value table;
  llvm::SmallVector<Value> indexOperands, indices;
};

/// Whether region arguments of these operands, and then of as many vectors, differ from column to column.
llvm::SmallVector<bool> findColumnArguments(ValueRange operands, size_t numVectors);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWACCESS_H
