// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: groups of model-level ops that become one kernel.
//
// A group is open while nothing outside has asked for a value of it. An elementwise op joins the open group of its
// operands where it has the same rows and columns: the epilogue of a gemm, or a rowwise kernel, which may also reduce.
// When a gemm asks for a value that nothing else needs, a rowwise group becomes its prologue. take, spread and facts
// of rows belong to no group: whoever reads them reads their source.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_GROUPS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_GROUPS_H

#include "RegionWriter.h"

#include <list>

namespace lariat::forming {

struct Group {
  bool isGemm = false;
  mlir::Value rows;                              ///< row set of all its values
  int64_t width = 0;                             ///< columns; 0 while all its values are per row
  int64_t parts = 1;                             ///< equal parts of a row that norms treat apart
  llvm::SmallVector<mlir::Operation *> members;  ///< rowwise ops, or the epilogue of a gemm
  llvm::SmallVector<LinearOp> linears;           ///< of a gemm; more than one: same columns, or side by side
  bool sideBySide = false;                       ///< one product whose columns are those of the linears in turn
  mlir::Value input;                             ///< of a gemm
  llvm::SmallVector<mlir::Operation *> prologue; ///< of a gemm: the group that gives its input
  llvm::DenseMap<mlir::Operation *, mlir::Value> lowRank; ///< linear -> what A of its pair makes, scaled: a buffer
};

class Groups {
public:
  explicit Groups(Forming &forming) : forming(forming) {}

  /// Takes an op if it belongs to a group; false if it has to go another way.
  bool take(mlir::Operation *op);
  /// Writes the group of a value, if it is in one.
  void close(mlir::Value value);
  void closeAll();

  /// Writes a value that no open group holds to a buffer.
  void copy(mlir::Value value, mlir::Value buffer);
  void copyBuffer(mlir::Value from, mlir::Value to, mlir::Value rows);
  /// Writes the lines that `put` names.
  void scatter(PutOp put, mlir::Value buffer);

private:
  void emitCopy(RegionWriter &writer, KernelOperands &operands, mlir::Value written, mlir::Value out, mlir::Value rows,
                mlir::Value lines);
  bool takeElementwise(mlir::Operation *op);
  bool takeLinear(LinearOp op);
  bool takeBiasedDot(LinearOp op);
  void takeGroupedNorm(NormOp op);
  /// linear ops of the block with the same input, beginning with `op`.
  llvm::SmallVector<LinearOp> findSiblings(LinearOp op);
  void openGemms(llvm::ArrayRef<LinearOp> linears);
  Group &openGemm(llvm::ArrayRef<LinearOp> linears, bool sideBySide);
  mlir::Value formLowRank(LinearOp op);
  bool canJoin(Group &group, mlir::Operation *op);
  void add(Group &group, mlir::Operation *op);
  Group *find(mlir::Value value);
  void close(Group &group);
  void erase(Group &group);
  void emitRowwise(Group &group);
  void emitGemm(Group &group);

  Forming &forming;
  std::list<Group> open;
  llvm::DenseMap<mlir::Value, Group *> groupOf;
};

/// The value behind take and spread, as far as they only repeat or choose lines.
mlir::Value skipAliases(mlir::Value value);

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_GROUPS_H
