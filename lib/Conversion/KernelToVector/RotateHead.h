// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the columns of one head, as they are or rotated, for rotate, append and attend.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROTATEHEAD_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROTATEHEAD_H

#include "KernelWriter.h"

namespace lariat::vectors {

/// Columns side by side in memory.
struct ColumnRange {
  mlir::Type element; ///< f32 or bf16
  Value address;
};

/// Up to 16 columns as f32, and f32 rounded to the type of columns.
Value loadFloats(CodeWriter &w, ColumnRange from, int64_t count = kLanes);
void storeFloats(CodeWriter &w, Value reals, ColumnRange to, int64_t count = kLanes);

/// `range` from column `column` on.
ColumnRange skipColumns(CodeWriter &w, ColumnRange range, Value column);
ColumnRange skipColumns(CodeWriter &w, ColumnRange range, int64_t column);

/// Copies columns `first` to `end`.
void copyColumns(CodeWriter &w, ColumnRange from, ColumnRange to, int64_t first, int64_t end);

/// The rope of a kernel: its shape, and where the lines of its table are.
struct Rope {
  kernel::RopeAttr attr;
  Value table;
  int64_t lineBytes;

  /// Of `op`, whose table is at `table`.
  static Rope get(mlir::Operation *op, kernel::RopeAttr attr, Value table);
  explicit operator bool() const { return static_cast<bool>(attr); }
  /// Cosines and sines of a position.
  Value getLine(CodeWriter &w, Value position) const;
};

/// The `width` columns of a head, rotated by a line of the table if there is a rope; `line` is not read otherwise.
/// Pairs (u, v) become u cos - v sin, v cos + u sin, every operation rounded. `from` and `to` may be the same.
void writeHead(CodeWriter &w, const Rope &rope, Value line, ColumnRange from, ColumnRange to, int64_t width);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ROTATEHEAD_H
