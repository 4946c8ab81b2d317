// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The angles of rotary position, shared by every lowering.

#ifndef LARIAT_DIALECT_LARIAT_IR_ROPE_H
#define LARIAT_DIALECT_LARIAT_IR_ROPE_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace lariat {

/// Columns of a head that `op` rotates.
int64_t getRotatedColumns(RopeOp op);

/// The weight that holds the frequencies of `op`; null where the op gives them itself.
mlir::FlatSymbolRefAttr getFrequencyWeight(RopeOp op);

/// Angle per position of each rotated pair, with the op's scaling applied. Not of an op whose frequencies are a weight.
llvm::SmallVector<double> getRopeFrequencies(RopeOp op);

/// The weights of `module` that hold frequencies, which no dtype rounds.
llvm::SmallPtrSet<mlir::Operation *, 2> findFrequencyWeights(mlir::ModuleOp module);

/// The factor of cosines and sines.
double getMagnitude(RopeOp op);

/// The type to which cosines and sines are rounded.
mlir::Type getAngleType(RopeOp op);

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_IR_ROPE_H
