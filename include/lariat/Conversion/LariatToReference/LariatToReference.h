// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What code lowered by convert-lariat-to-reference and its caller agree on: the names and
// layouts of weights, caches and states.

#ifndef LARIAT_CONVERSION_LARIATTOREFERENCE_LARIATTOREFERENCE_H
#define LARIAT_CONVERSION_LARIATTOREFERENCE_LARIATTOREFERENCE_H

#include "lariat/Artefact/RowTable.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Transforms/DialectConversion.h"

namespace lariat::reference {

/// Row sets are row tables, `tensor<?x6xindex>`.
using abi::RowColumn;
using enum abi::RowColumn;
using enum abi::RowFlag;

/// Values of a cache's `present` memory, i8 per (sequence, layer, slot, position).
enum Presence : int64_t {
  kAbsent = 0,
  kComputed = 1,       ///< the row's own entry
  kFilled = 2,         ///< written for a row that had stopped
  kPrefixEntry = 4,    ///< added for a row inside the prefix
  kGeneratedEntry = 8, ///< added for a row whose token was generated
};

/// Arguments that every entry function has after its own, in the order of the module's caches, then of its states:
///   cache: keys, values  memref<?x?x?x?x?xT>  [sequence][layer][slot][position][heads * dim]
///          present       memref<?x?x?x?xi8>   [sequence][layer][slot][position]
///   state: values        memref<?x?x?x?xT>    [sequence][layer][depth][width]
/// and, last, the words of Artefact/Fault.h: memref<?xindex>.
inline constexpr unsigned kArgumentsPerCache = 3;

/// A weight as lowered code sees it: the external symbol of a memref.global.
struct WeightSymbol {
  std::string symbol;    ///< name of the global
  std::string weight;    ///< name of the lariat.weight
  bool transposed;       ///< (K, N) in place of the stored (N, K)
  mlir::MemRefType type; ///< leading dimension per depth where depth-indexed
};

/// The weights that a lowered module reads.
llvm::SmallVector<WeightSymbol> collectWeightSymbols(mlir::ModuleOp module);

/// Whether `op` is an elementwise op, of any dialect, that gives a row tensor.
bool isElementwiseOnRows(mlir::Operation *op);

/// Patterns by kind of op; `convert-lariat-to-reference` applies all.
class Helpers;
void populateRowPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &converter, Helpers &helpers);
void populateWeightPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &converter, Helpers &helpers);
void populateElementwisePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &converter,
                                 Helpers &helpers);
void populateAttentionPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &converter,
                               Helpers &helpers);

} // namespace lariat::reference

#endif // LARIAT_CONVERSION_LARIATTOREFERENCE_LARIATTOREFERENCE_H
