// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: which ops of the model level become one kernel. An analysis: it reads a function and changes nothing.
//
// Ops are read in order. A group is open until something needs a value of it in a buffer. An elementwise op joins the
// open group of its operands where it has the same rows and columns: the epilogue of a product, or a rowwise kernel,
// which may also reduce. Where nothing but a product reads the values of a rowwise group, it becomes the product's
// prologue. take, spread and facts of rows are in no group: who reads them reads their source. Groups end with their
// block, at control flow, and at ops that have kernels of their own. Why a group ended is kept, for who wonders.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPING_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPING_H

#include "../Model/ModelOps.h"
#include "../Model/RowOwners.h"

#include <memory>

namespace lariat::forming {

enum class GroupKind { Rowwise, Gemm };

/// Ops that become one kernel.
struct Group {
  GroupKind kind = GroupKind::Rowwise;
  mlir::Value rows;                              ///< row set of all its values
  int64_t width = 0;                             ///< columns; 0 while all its values are per row
  int64_t parts = 1;                             ///< equal parts of a row that norms treat apart
  llvm::SmallVector<mlir::Operation *> members;  ///< rowwise ops, or the epilogue of a product
  llvm::SmallVector<LinearOp> linears;           ///< of a product; more than one: same columns, or side by side
  bool sideBySide = false;                       ///< one product whose columns are those of the linears in turn
  mlir::Value input;                             ///< of a product
  llvm::SmallVector<mlir::Operation *> prologue; ///< of a product: the ops that give its input
  std::string whyEnded;                          ///< why nothing joins any more: "the block ends"

  bool isGemm() const { return kind == GroupKind::Gemm; }
};

/// Values of a group that something outside of it reads, in order.
llvm::SmallVector<mlir::Value> findOutputs(const Group &group);

/// One value per row with a bias: a dot product, then an addition, each a kernel of its own.
bool isBiasedDot(LinearOp op);

/// The groups of a function of one block.
class Grouping {
public:
  Grouping(mlir::func::FuncOp function, const RowOwners &owners, const ModelSymbols &symbols);

  /// The group that an op is in; null for an op in none.
  const Group *find(mlir::Operation *op) const { return op ? groupOf.lookup(op) : nullptr; }
  const Group *find(mlir::Value value) const { return find(value.getDefiningOp()); }
  /// Groups whose first op this is, in order. Several products with one input begin together.
  llvm::SmallVector<const Group *> getGroupsAt(mlir::Operation *op) const { return groupsAt.lookup(op); }

  /// One paragraph per group, for -lariat-print-groups.
  void print(llvm::raw_ostream &os) const;
  /// Remarks that say where each group ended, and why.
  void explain() const;

private:
  mlir::func::FuncOp function;
  std::vector<std::unique_ptr<Group>> groups;
  llvm::DenseMap<mlir::Operation *, const Group *> groupOf;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<const Group *>> groupsAt;
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPING_H
