// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: which row set each row tensor of a function belongs to. Its type does not say once labels are erased.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_ROWOWNERS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_ROWOWNERS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lariat::forming {

class RowOwners {
public:
  explicit RowOwners(mlir::func::FuncOp function);

  /// The row set of a row tensor; null where no operand of its op says which.
  mlir::Value lookup(mlir::Value tensor) const { return owners.lookup(tensor); }

private:
  void visit(mlir::Block &block);
  void visit(mlir::Operation *op);
  /// Values that control flow carries are of the rows of what they start as.
  void carry(mlir::ValueRange variables, mlir::ValueRange like);
  mlir::Value find(mlir::Operation *op) const;

  llvm::DenseMap<mlir::Value, mlir::Value> owners;
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_ROWOWNERS_H
