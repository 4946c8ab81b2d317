// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: how the groups of a function are found.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPER_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPER_H

#include "Grouping.h"

#include "llvm/ADT/SetVector.h"

namespace lariat::forming {

class Grouper {
public:
  Grouper(const RowOwners &owners, const ModelSymbols &symbols) : owners(owners), symbols(symbols) {}

  /// Adds the groups of a block and of those in it.
  void visit(mlir::Block &block);

  std::vector<std::unique_ptr<Group>> groups;                                   ///< in the order in which they began
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<const Group *>> groupsAt; ///< by the op at which they began

private:
  void visit(mlir::Operation *op);
  /// Puts an op into a group, an old or a new one; false for an op that is in none.
  bool take(mlir::Operation *op);
  void takeElementwise(mlir::Operation *op);
  void takeGroupedNorm(NormOp op);

  // Products (Products.cpp).
  bool takeLinear(LinearOp op);
  /// linear ops of the block with the same input, beginning with `op`.
  llvm::SmallVector<LinearOp> findSiblings(LinearOp op) const;
  llvm::SmallVector<Group *> openGemms(LinearOp first, llvm::ArrayRef<LinearOp> linears);
  Group *openGemm(LinearOp first, llvm::ArrayRef<LinearOp> linears, bool sideBySide);
  /// Why the group that gives the input of products cannot be their prologue; empty if it can.
  std::string findFoldObstacle(const Group &source, llvm::ArrayRef<LinearOp> linears) const;
  void foldInto(Group &gemm, Group &source);

  // Membership.
  /// The open group of a value.
  Group *find(mlir::Value value) const {
    return value.getDefiningOp() ? openOf.lookup(value.getDefiningOp()) : nullptr;
  }
  Group &begin(mlir::Operation *op, mlir::Value rows);
  void add(Group &group, mlir::Operation *op);
  /// Why `op` cannot join a group; empty if it can.
  std::string findObstacle(const Group &group, mlir::Operation *op) const;
  void end(Group &group, const llvm::Twine &why);
  void endAll(const llvm::Twine &why);

  const RowOwners &owners;
  const ModelSymbols &symbols;
  llvm::SmallSetVector<Group *, 4> openGroups;
  llvm::DenseMap<mlir::Operation *, Group *> openOf; ///< by op, while a group is open
  llvm::DenseSet<mlir::Operation *> products;        ///< linear ops of all groups
};

/// Whether an op is arithmetic on each column of each row.
bool isElementwise(mlir::Operation *op);

/// 'OP', to begin a clause with.
std::string quote(mlir::Operation *op);

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_GROUPING_GROUPER_H
