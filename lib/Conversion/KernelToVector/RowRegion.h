// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: code of row regions: bodies of rowwise, prologues and epilogues of gemm.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWREGION_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWREGION_H

#include "KernelWriter.h"

namespace lariat::vectors {

/// Gives the value of a fact about the row at hand, an index.
using FactSource = llvm::function_ref<Value(kernel::FactKind)>;

/// Where a region argument comes from, or a result goes, for the row at hand.
struct RowSlot {
  mlir::Type element;
  bool isColumn;          ///< `value` is the address of column 0; else of nothing but the one value,
  Value value;            ///< or the value itself for arguments
  bool hasPadding = true; ///< up to 16 columns may be read (argument) or written (result) where the last ones end
};

class RowRegion {
public:
  /// `isColumn[i]`: argument i differs from column to column.
  RowRegion(mlir::Block &block, llvm::ArrayRef<bool> isColumn);

  /// Whether a result differs from column to column.
  bool isColumnResult(size_t index) const;

  /// All columns of one row. Reductions are done in stages, each a loop that computes anew what it needs.
  void writeRow(CodeWriter &w, int64_t width, llvm::ArrayRef<RowSlot> arguments, FactSource fact,
                llvm::ArrayRef<RowSlot> results);

  /// The per-row values of a region without reductions, for `writeColumns`.
  using Mapping = llvm::DenseMap<Value, Value>;
  Mapping writeRowValues(CodeWriter &w, llvm::ArrayRef<Value> arguments, FactSource fact);
  /// Results at 16 columns; `columns[i]` is read where argument i differs from column to column.
  llvm::SmallVector<Value> writeColumns(CodeWriter &w, const Mapping &rowValues, llvm::ArrayRef<Value> columns);

private:
  void writeRowOps(CodeWriter &w, int64_t stage, FactSource fact, Mapping &rowValues);
  void writeReductions(CodeWriter &w, int64_t stage, int64_t width, llvm::ArrayRef<RowSlot> arguments,
                       Mapping &rowValues);
  Value getColumns(CodeWriter &w, Value value, const Mapping &rowValues, Mapping &columnValues,
                   llvm::function_ref<Value(mlir::BlockArgument)> read);

  mlir::Block &block;
  llvm::DenseSet<Value> columnValues;
  llvm::DenseMap<Value, int64_t> stages; ///< reductions that come one after the other before a value is known
  int64_t numStages = 0;                 ///< loops of reductions
};

/// An op of arith or math with other operands: scalars, or vectors of 16 where any of them is one.
Value writeOp(CodeWriter &w, mlir::Operation *op, llvm::ArrayRef<Value> operands);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROWREGION_H
