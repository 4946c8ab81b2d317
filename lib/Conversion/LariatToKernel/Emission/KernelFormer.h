// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: what is known about values while one function is written anew on buffers.
//
// Ops are read in order. Row tensors become buffers with a line per row of the call, row sets a row table and a count.
// What is in a group (../Grouping) is written as one kernel when a buffer of it is needed, or where its block ends;
// every other op by its kind (Kinds.h), or else as a call on the generic path. Nothing here decides what goes together.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELFORMER_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELFORMER_H

#include "../Grouping/Grouping.h"
#include "../Storage/Storage.h"

#include "lariat/Artefact/RowTable.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Dialect/Lariat/IR/CacheUse.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include <string>

namespace lariat::forming {

using enum abi::RowColumn;
using enum abi::RowFlag;

/// Lines of so many index words, one per row.
mlir::MemRefType getWordsType(mlir::MLIRContext *context, int64_t numWords);

/// A row set on the kernel level.
struct RowSet {
  mlir::Value table; ///< memref<?x6xindex>
  mlir::Value count; ///< index
};

class KernelFormer {
public:
  KernelFormer(mlir::func::FuncOp function, const RowOwners &owners, const Grouping &grouping, Storage &storage,
               mlir::ModuleOp target);

  /// Writes the function under a name; errors name the op that has no form here.
  mlir::LogicalResult run(llvm::StringRef name);

  mlir::OpBuilder &builder() { return b; }
  Storage &getStorage() { return storage; }
  mlir::ModuleOp getTarget() { return target; }

  // Row sets (Rows.cpp).
  RowSet getRows(mlir::Value rows) { return rowSets.lookup(rows); }
  /// The row set that a row tensor belongs to.
  mlir::Value getRowsOf(mlir::Value tensor) const { return owners.lookup(tensor); }
  /// The line of each row of `at` in `from`, memref<?xindex>.
  mlir::Value getLines(mlir::Value from, mlir::Value at);
  /// A buffer of so many index words per row: a row table, entries, views.
  mlir::Value createWords(int64_t numWords);
  void defineRows(mlir::Value rows, mlir::Value table, mlir::Value count);

  // Row tensors.
  /// The buffer of a row tensor, written now if it is still part of a group.
  mlir::Value getBuffer(mlir::Value tensor);
  /// A buffer to write a value to: the caller's memory where it is returned, else a new one.
  mlir::Value createBuffer(mlir::Value tensor);
  mlir::Value createBuffer(mlir::Type element, int64_t width);
  /// `width` columns of a buffer, from a panel's first on.
  mlir::Value createColumns(mlir::Value whole, int64_t first, int64_t width);
  bool hasBuffer(mlir::Value tensor) const { return buffers.contains(tensor); }
  void setBuffer(mlir::Value tensor, mlir::Value buffer) { buffers[tensor] = buffer; }

  // Host values that are no row tensors.
  mlir::Value getScalar(mlir::Value value) { return scalars.lookup(value); }
  void setScalar(mlir::Value value, mlir::Value written) { scalars.map(value, written); }

  // Groups.
  /// Writes the groups that began and are not written yet, in order.
  void writeGroups();
  /// What A of a low-rank pair makes of the input of a product, scaled: a buffer. Null for a product without a pair.
  mlir::Value getLowRankInput(LinearOp op) const { return lowRankInputs.lookup(op); }
  void setLowRankInput(LinearOp op, mlir::Value buffer) { lowRankInputs[op] = buffer; }

  // Entries of caches (Rows.cpp).
  mlir::Value getEntries(AppendOp op);
  mlir::Value getViews(AttendOp op);
  /// The cache in which rows of a call find the keys and values of an attention, and where in it.
  struct CallCache {
    mlir::FlatSymbolRefAttr cache;
    mlir::Value entries, views;
  };
  CallCache getCallCache(AttentionOp op);

private:
  void bindArguments();
  void bindResults();
  mlir::LogicalResult form(mlir::Block &block);
  mlir::LogicalResult form(mlir::Operation *op);
  mlir::LogicalResult formReturn(mlir::func::ReturnOp op);
  /// Goes past an op of a group, which is written later; what it reads of other groups is complete now.
  void pass(mlir::Operation *op, const Group &group);
  void write(const Group &group);

  // Control flow (ControlFlow.cpp).
  mlir::LogicalResult formControlFlow(mlir::Operation *op);
  mlir::LogicalResult formFor(mlir::scf::ForOp op);
  mlir::LogicalResult formWhile(mlir::scf::WhileOp op);
  mlir::LogicalResult formIf(mlir::scf::IfOp op);
  /// Storage of a value that control flow changes, with a first value in it or none.
  void openVariable(mlir::Value variable, mlir::Value initial, llvm::SmallVectorImpl<mlir::Value> &hostInits);
  void bindVariable(mlir::Value variable, mlir::Value like, mlir::ValueRange hostValues, unsigned &next);
  void assignVariables(mlir::ValueRange variables, mlir::ValueRange values,
                       llvm::SmallVectorImpl<mlir::Value> &hostValues, mlir::Location loc);
  bool readsFrom(mlir::Value value, const llvm::DenseSet<mlir::Value> &owned);

  // Rows and caches (Rows.cpp).
  /// Copies the lines of a row set.
  void copyRows(mlir::Value from, mlir::Value to, mlir::Value count, mlir::Location loc);
  /// Whatever later ops will ask of a new row set is written at once, so that it does not cut a run of kernels.
  void prepareRows(mlir::Value rows);
  /// A slot per row, `fixed` if there is one, unless that was done for the same key before.
  mlir::Value getSlots(mlir::Value rows, llvm::StringRef key, mlir::Value fixed, kernel::SlotRuleAttr rule,
                       kernel::SlotRuleAttr generatedRule);
  mlir::Value getAppendSlots(AppendOp op);
  /// `generated`: where entries of generated rows are looked up from, under a policy that differs for them.
  mlir::Value getAttendSlots(AttendOp op, bool generated);
  /// Sees to it that rows have a depth which the weights have that `op` chooses by it.
  void checkDepths(mlir::Operation *op, mlir::Value rows);
  /// Whether entries of an append, or the view of an attend, are the same made where their rows are defined.
  bool mayReserveAt(mlir::Value rows, AppendOp op);
  bool mayViewAt(mlir::Value rows, AttendOp op);
  /// Views made so far lack what is appended inside of `op`.
  void outdateViews(mlir::Operation *op);
  std::string getEntryKey(AppendOp op);

  mlir::func::FuncOp function;
  const RowOwners &owners;
  const Grouping &grouping;
  Storage &storage;
  mlir::ModuleOp target;
  mlir::OpBuilder b;

  llvm::SmallVector<const Group *> pending; ///< groups that began and are not written yet, in order
  llvm::DenseMap<mlir::Operation *, mlir::Value> lowRankInputs;
  llvm::DenseMap<mlir::Value, RowSet> rowSets;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  mlir::IRMapping scalars;
  llvm::DenseMap<mlir::Value, mlir::Value> resultPorts; ///< value returned -> the caller's memory
  bool hasFailed = false;                               ///< an error was emitted where none could be returned

  /// Services written so far, by what they depend on. They hold in the block they stand in and in those below it.
  struct Services {
    llvm::DenseMap<std::pair<mlir::Value, mlir::Value>, mlir::Value> lines;
    llvm::StringMap<mlir::Value> slots, entries, views;
    llvm::DenseMap<mlir::Value, int64_t> checkedDepths; ///< by row set: end of the depths that it may have
  };
  Services services;
  llvm::StringMap<CacheUse> cacheUses;  ///< of the function
  llvm::StringMap<int64_t> numReserved; ///< by cache: a view has what was reserved before it was made
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELFORMER_H
