// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: what grouping, storage and emission ask of types, ops and symbols of the model level.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_MODELOPS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_MODELOPS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace lariat::forming {

/// Whether a type is a row tensor after labels are erased: its first dimension, and no other, is dynamic.
bool isRowTensor(mlir::Type type);

/// Columns of a row tensor, whose static dimensions are one in buffers; 0 for one value per row.
int64_t getWidth(mlir::Type type);

/// A fact about each row, read from its line of the row table.
bool isFact(mlir::Operation *op);

/// A weight that each row chooses by its depth.
bool isChoice(mlir::Operation *op);

/// Whether what an op gives is read through it, never written where it stands.
bool isReadThrough(mlir::Operation *op);

/// The same for `op` as a whole: a spread of what cannot be read column by column has a kernel of its own.
bool isAlias(mlir::Operation *op);

/// Whether an op computes tensors without rows from others: it is done again by whoever reads them.
bool isStaticOp(mlir::Operation *op);

/// Whether a tensor without rows can be read column by column: a weight, a constant, or arithmetic on those.
bool isStaticColumn(mlir::Value value);

/// The same rows before they advanced: at another depth they have the same lines.
mlir::Value skipAdvance(mlir::Value rows);

/// The value behind spread and take, whose lines or columns a reader of `value` reads.
struct Source {
  mlir::Value value;
  bool throughTake = false; ///< lines are chosen from it
};
Source getSource(mlir::Value value);

/// Weights and caches of a module by name.
class ModelSymbols {
public:
  explicit ModelSymbols(mlir::ModuleOp module);

  WeightOp getWeight(llvm::StringRef name) const { return weights.lookup(name); }
  CacheOp getCache(llvm::StringRef name) const { return caches.lookup(name); }

private:
  llvm::StringMap<WeightOp> weights;
  llvm::StringMap<CacheOp> caches;
};

/// Whether the one reader of a rotated value rotates it itself: an append its keys, an attend its queries.
bool isRotatedByReader(RopeOp op, const ModelSymbols &symbols);

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_MODEL_MODELOPS_H
