// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The angles of rotary position, shared by every lowering.

#ifndef LARIAT_DIALECT_LARIAT_IR_ROPE_H
#define LARIAT_DIALECT_LARIAT_IR_ROPE_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"

namespace lariat {

/// Columns of a head that `op` rotates.
int64_t getRotatedColumns(RopeOp op);

/// Angle per position of each rotated pair, with the op's scaling applied.
llvm::SmallVector<double> getRopeFrequencies(RopeOp op);

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_IR_ROPE_H
