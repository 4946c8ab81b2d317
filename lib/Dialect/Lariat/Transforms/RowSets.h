// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What several passes ask about row sets and build on them. Private to this library.

#ifndef LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_ROW_SETS_H
#define LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_ROW_SETS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

namespace lariat {

/// The labels that occur under an operation, so that a pass can name new sets.
class LabelPool {
public:
  explicit LabelPool(mlir::Operation *root);

  /// A row set type with the label `base`, or `base` and a number where it is taken.
  RowsType getFresh(llvm::StringRef base);

private:
  mlir::MLIRContext *context;
  llvm::StringSet<> taken;
};

/// Whether `part` is `whole` or a chain of selections from it, so that its rows are rows of `whole` at the same depth.
bool isSelectionOf(mlir::Value part, mlir::Value whole);

/// Whether a value is computed from constants and weights alone: wherever it is computed again, it is the same.
bool isRepeatable(mlir::Value value);

/// Whether the regions of `op` use nothing that `loop` computes.
bool capturesFromOutsideOnly(mlir::Operation *op, RecurOp loop);

/// Computes a repeatable value again at the insertion point, unless `mapping` has it already.
mlir::Value repeat(mlir::OpBuilder &builder, mlir::Value value, mlir::IRMapping &mapping);

/// Clones `op` for the rows that `mapping` gives in place of its own: row tensors become those of `rows`.
mlir::Operation *cloneForRows(mlir::OpBuilder &builder, mlir::Operation *op, mlir::IRMapping &mapping, RowsType rows);

/// Replaces each `take` under `root` that takes a whole set from itself by its operand.
void dropWholeTakes(mlir::Operation *root);

/// Erases operations of a block that nothing needs, the last first.
void eraseDeadOps(mlir::Block &block);

/// One bit per row of `rows`, all of them `bit`.
mlir::Value buildBits(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, bool bit);

/// One bit per row of `rows`: whether the row is at `depth`.
mlir::Value buildIsAtDepth(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, int64_t depth);

/// One bit per row of `rows`: whether its token was generated.
mlir::Value buildIsGenerated(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows);

/// A row tensor like `type` for `rows`, all zeros.
mlir::Value buildZeros(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, mlir::RankedTensorType type);

/// `index`, or 0 where it is null, as i32 for each row of `rows`.
mlir::Value buildSteps(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, mlir::Value index);

} // namespace lariat

#endif // LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_ROW_SETS_H
