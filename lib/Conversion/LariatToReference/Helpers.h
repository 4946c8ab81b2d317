// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the functions and globals that patterns of the reference lowering share.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_HELPERS_H
#define LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_HELPERS_H

#include "LoopEmitter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/ADT/StringMap.h"

namespace lariat::reference {

/// Private functions, one per kind and shape, and external globals, one per weight and layout.
class Helpers {
public:
  /// Writes the body of a helper; returns what it returns.
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(LoopEmitter &, mlir::ValueRange)>;

  explicit Helpers(mlir::ModuleOp module);

  /// Calls the helper named `kind` that is told apart by `params` and the operand and result types, after writing it if
  /// this is its first call.
  mlir::ValueRange call(mlir::ConversionPatternRewriter &rewriter, mlir::Location loc, llvm::StringRef kind,
                        llvm::StringRef params, mlir::ValueRange operands, mlir::TypeRange results, Body body);

  /// The memory of a weight. Transposed: (K, N) of a weight of shape (N, K).
  mlir::Value weight(mlir::ConversionPatternRewriter &rewriter, mlir::Location loc, llvm::StringRef name,
                     bool transposed);
  WeightOp getWeight(llvm::StringRef name) const { return weights.lookup(name); }
  CacheOp getCache(llvm::StringRef name) const { return caches.lookup(name).first; }

  /// Arguments of the function around `op` that hold a cache (keys, values, present) or a state (values).
  llvm::SmallVector<mlir::Value> cacheMemory(mlir::Operation *op, llvm::StringRef name) const;
  mlir::Value stateMemory(mlir::Operation *op, llvm::StringRef name) const;
  mlir::Value faultMemory(mlir::Operation *op) const;

  /// Numbers by which faults name caches, states, and weights of which no depth past the end may be asked for.
  int64_t getCacheNumber(llvm::StringRef name) const { return caches.lookup(name).second / kArgumentsPerCache; }
  int64_t getStateNumber(llvm::StringRef name) const { return states.lookup(name).second - firstState; }
  std::optional<int64_t> getCheckedWeightNumber(llvm::StringRef name) const;

  /// Adds those arguments to every function of the module.
  void addMemoryArguments();

private:
  mlir::ModuleOp module;
  llvm::StringMap<mlir::func::FuncOp> functions;
  llvm::StringMap<unsigned> numOfKind;
  llvm::StringMap<WeightOp> weights;
  llvm::StringMap<int64_t> checkedWeights;
  llvm::StringMap<std::pair<CacheOp, unsigned>> caches; ///< with the place of the keys among the added arguments
  llvm::StringMap<std::pair<StateOp, unsigned>> states;
  unsigned firstState = 0;                   ///< its place among the added arguments
  llvm::SmallVector<mlir::Type> memoryTypes; ///< of the added arguments
};

/// A pattern of this lowering.
template <typename OpT>
class ReferencePattern : public mlir::OpConversionPattern<OpT> {
public:
  ReferencePattern(const mlir::TypeConverter &converter, mlir::MLIRContext *context, Helpers &helpers)
      : mlir::OpConversionPattern<OpT>(converter, context), helpers(helpers) {}

protected:
  mlir::RankedTensorType convert(mlir::Type type) const {
    return llvm::cast<mlir::RankedTensorType>(this->getTypeConverter()->convertType(type));
  }

  Helpers &helpers;
};

} // namespace lariat::reference

#endif // LARIAT_LIB_CONVERSION_LARIATTOREFERENCE_HELPERS_H
