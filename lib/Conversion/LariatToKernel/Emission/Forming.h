// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the parts of the conversion lariat -> kernel and what they share.
//
// One entry function is read in order and written anew on buffers. Row tensors become buffers with a line per row of the
// call, row sets become a row table and a count. Arithmetic is not written where it stands: it gathers in groups
// (Groups.h), each of which becomes one kernel when something else needs a value of it.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_FORMING_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_FORMING_H

#include "lariat/Artefact/RowTable.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Dialect/Lariat/IR/CacheUse.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace lariat::forming {

/// Whether a type is a row tensor after labels are erased: its first dimension, and no other, is dynamic.
bool isRowTensor(mlir::Type type);

/// Columns of a row tensor, whose static dimensions are one in buffers; 0 for one value per row.
int64_t getWidth(mlir::Type type);

/// A weight that each row chooses by its depth.
bool isChoice(mlir::Operation *op);

/// Whether what an op gives is read through it, never written where it stands.
bool isReadThrough(mlir::Operation *op);

/// Whether an op computes tensors without rows from others: it is done again by whoever reads them.
bool isStaticOp(mlir::Operation *op);

/// Whether a tensor without rows can be read column by column: a weight, a constant, or arithmetic on those.
bool isStaticColumn(mlir::Value value);

using enum abi::RowColumn;
using enum abi::RowFlag;

/// Lines of so many index words, one per row.
mlir::MemRefType getWordsType(mlir::MLIRContext *context, int64_t numWords);

/// The same rows before they advanced: at another depth they have the same lines.
mlir::Value skipAdvance(mlir::Value rows);

/// A row set on the kernel level.
struct RowSet {
  mlir::Value table; ///< memref<?x6xindex>
  mlir::Value count; ///< index
};

/// Data in weights.bin: finds or declares kernel.packed and kernel.rope_table ops.
class Storage {
public:
  Storage(mlir::ModuleOp source, mlir::ModuleOp target, mlir::Type weightType);

  WeightOp getWeight(mlir::FlatSymbolRefAttr name) const { return weights.lookup(name.getValue()); }
  /// Its number among those of which no depth past the end may be asked for.
  std::optional<int64_t> getCheckedWeightNumber(mlir::FlatSymbolRefAttr name) const;
  bool hasWeight(llvm::StringRef name) const { return weights.contains(name); }
  CacheOp getCache(llvm::StringRef name) const { return caches.lookup(name); }
  /// Weights side by side, for gemm and embed.
  mlir::FlatSymbolRefAttr getPanels(llvm::ArrayRef<mlir::FlatSymbolRefAttr> names);
  /// Vectors side by side.
  mlir::FlatSymbolRefAttr getVector(llvm::ArrayRef<mlir::FlatSymbolRefAttr> names);
  /// Rows of a matrix as vectors.
  mlir::FlatSymbolRefAttr getVectors(mlir::FlatSymbolRefAttr name);
  mlir::FlatSymbolRefAttr getConstant(mlir::DenseElementsAttr value);
  mlir::FlatSymbolRefAttr getRopeTable(RopeOp op);
  mlir::FlatSymbolRefAttr getCacheDeclaration(llvm::StringRef name);
  /// The cache in which attention among the rows of a call keeps their keys and values.
  mlir::FlatSymbolRefAttr getTransientCache(AttentionOp op);
  /// A name that no symbol of either level has.
  std::string getFreeName(const llvm::Twine &wanted);

private:
  mlir::FlatSymbolRefAttr declare(kernel::PackKind kind, llvm::ArrayRef<mlir::FlatSymbolRefAttr> names,
                                  llvm::ArrayRef<int64_t> shape, mlir::Type type);
  mlir::OpBuilder atEnd();
  /// Key and value heads of an attention's cache, and the columns of one.
  static std::pair<int64_t, int64_t> getTransientShape(AttentionOp op);

  mlir::ModuleOp source, target;
  mlir::Type weightType;
  llvm::StringMap<WeightOp> weights;
  llvm::StringMap<CacheOp> caches;
  llvm::StringMap<int64_t> cacheNumbers, checkedWeights;
  llvm::StringSet<> declaredCaches;
  llvm::DenseMap<std::pair<int64_t, int64_t>, int64_t> transientNumbers;
  llvm::DenseMap<std::pair<int64_t, int64_t>, mlir::FlatSymbolRefAttr> transientCaches;

  // Declarations by what they hold.
  llvm::DenseMap<std::pair<mlir::Attribute, int>, mlir::FlatSymbolRefAttr> declared; ///< sources and kind
  llvm::DenseMap<mlir::Attribute, mlir::FlatSymbolRefAttr> constants;
  llvm::DenseMap<mlir::Attribute, mlir::FlatSymbolRefAttr> ropeTables;
};

class Groups;

/// What is known about values while one function is written.
class Forming {
public:
  Forming(mlir::func::FuncOp function, Storage &storage, mlir::ModuleOp target);
  ~Forming();

  /// Writes the function; errors name the op that has no form here.
  mlir::LogicalResult run(llvm::StringRef name);

  mlir::OpBuilder &builder() { return b; }
  Storage &getStorage() { return storage; }

  // Row sets.
  RowSet getRows(mlir::Value rows) { return rowSets.lookup(rows); }
  /// The row set that a row tensor belongs to.
  mlir::Value getRowsOf(mlir::Value tensor) const { return rowsOf.lookup(tensor); }
  void setRowsOf(mlir::Value tensor, mlir::Value rows) { rowsOf[tensor] = rows; }
  /// The line of each row of `at` in `from`, memref<?xindex>.
  mlir::Value getLines(mlir::Value from, mlir::Value at);

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
  /// A host value that is no row tensor.
  mlir::Value getScalar(mlir::Value value) { return scalars.lookup(value); }

  /// Copies the lines of a row set.
  void copyRows(mlir::Value from, mlir::Value to, mlir::Value count, mlir::Location loc);

private:
  friend class Groups;

  mlir::LogicalResult checkFunction();
  void bindArguments();
  void bindResults();
  mlir::LogicalResult form(mlir::Block &block);
  mlir::LogicalResult form(mlir::Operation *op);
  mlir::LogicalResult formReturn(mlir::func::ReturnOp op);

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
  /// False for an op of another kind.
  bool formRowOp(mlir::Operation *op);
  void formPut(PutOp op);
  /// False where the parts do not start at panels.
  bool formConcat(ConcatOp op);
  void formAppend(AppendOp op);
  void formAttend(AttendOp op);
  void formAttention(AttentionOp op);
  void formRope(RopeOp op);
  /// A buffer of so many index words per row: a row table, entries, views.
  mlir::Value createWords(int64_t numWords);
  void defineRows(mlir::Value rows, mlir::Value table, mlir::Value count);
  /// Whatever later ops will ask of a new row set is written at once, so that it does not cut a run of kernels.
  void prepareRows(mlir::Value rows);
  /// Buffer, and the rotation that the reader has to do.
  std::pair<mlir::Value, kernel::RopeAttr> getUnrotated(mlir::Value value);
  /// A slot per row, chosen by a host loop unless that was done for the same key before.
  mlir::Value getSlots(mlir::Value rows, llvm::StringRef key, llvm::function_ref<mlir::Value(mlir::Value)> choose);
  mlir::Value getAppendSlots(AppendOp op);
  /// `generated`: where entries of generated rows are looked up from, under a policy that differs for them.
  mlir::Value getAttendSlots(AttendOp op, bool generated);
  /// A column of the row table.
  mlir::Value getFact(mlir::Value rows, mlir::Value row, int64_t column);
  /// A host loop over rows.
  void forEachRow(mlir::Value count, mlir::Location loc, llvm::function_ref<void(mlir::Value)> body);
  /// Sees to it that rows have a depth which the weights have that `op` chooses by it.
  void checkDepths(mlir::Operation *op, mlir::Value rows);
  /// Whether entries of an append, or the view of an attend, are the same made where their rows are defined.
  bool mayReserveAt(mlir::Value rows, AppendOp op);
  bool mayViewAt(mlir::Value rows, AttendOp op);
  /// Views made so far lack what is appended inside of `op`.
  void outdateViews(mlir::Operation *op);
  std::string getEntryKey(AppendOp op);
  mlir::Value getEntries(AppendOp op);
  mlir::Value getViews(AttendOp op);

  // The slow road (Generic.cpp).
  /// False where an op does more than copy columns that start at a panel.
  bool formColumnCopy(mlir::Operation *op);
  mlir::LogicalResult formGeneric(mlir::Operation *op);

  mlir::func::FuncOp function;
  Storage &storage;
  mlir::ModuleOp target;
  mlir::OpBuilder b;
  std::unique_ptr<Groups> groups;

  llvm::DenseMap<mlir::Value, RowSet> rowSets;
  llvm::DenseMap<mlir::Value, mlir::Value> rowsOf, buffers;
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

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_FORMING_H
