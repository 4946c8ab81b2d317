// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: which symbol of the kernel level stands for which content, so that equal data is declared once.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_STORAGE_STORAGE_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_STORAGE_STORAGE_H

#include "../Model/ModelOps.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace lariat::forming {

/// Finds or declares kernel.packed, kernel.rope_table and kernel.cache ops.
class Storage {
public:
  Storage(mlir::ModuleOp source, const ModelSymbols &symbols, mlir::ModuleOp target);

  // Symbols of the model level.
  const ModelSymbols &getSymbols() const { return symbols; }
  WeightOp getWeight(mlir::FlatSymbolRefAttr name) const { return symbols.getWeight(name.getValue()); }
  CacheOp getCache(llvm::StringRef name) const { return symbols.getCache(name); }
  /// The number of a weight among those that refuse depths past their end; none for another weight.
  std::optional<int64_t> getCheckedWeightNumber(mlir::FlatSymbolRefAttr name) const;

  // Symbols of the kernel level. Each is declared at its first use.
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
                                  llvm::ArrayRef<int64_t> shape, mlir::Attribute format);
  mlir::OpBuilder atEnd();
  /// Key and value heads of an attention's cache, and the columns of one.
  static std::pair<int64_t, int64_t> getTransientShape(AttentionOp op);

  mlir::ModuleOp source, target;
  const ModelSymbols &symbols;
  llvm::StringMap<int64_t> cacheNumbers, checkedWeights;
  llvm::StringSet<> declaredCaches;
  llvm::DenseMap<std::pair<int64_t, int64_t>, int64_t> transientNumbers;
  llvm::DenseMap<std::pair<int64_t, int64_t>, mlir::FlatSymbolRefAttr> transientCaches;

  // Declarations by what they hold.
  llvm::DenseMap<std::pair<mlir::Attribute, int>, mlir::FlatSymbolRefAttr> declared; ///< sources and kind
  llvm::DenseMap<mlir::Attribute, mlir::FlatSymbolRefAttr> constants;
  llvm::DenseMap<mlir::Attribute, mlir::FlatSymbolRefAttr> ropeTables;
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_STORAGE_STORAGE_H
