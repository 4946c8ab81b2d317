// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the kinds of kernels, each in a file of its name, and what they share. Kinds.def is the table.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H

#include "Forming.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lariat::forming {

/// Writes the kernels of an op that is in no group; false for an op without a kind, or that its kind has no kernel for.
bool formKind(Forming &forming, mlir::Operation *op);
/// Writes any other op as a call of its reference lowering; fails for what no function on tensors stands for.
llvm::LogicalResult formGeneric(Forming &forming, mlir::Operation *op);

/// What a group needs where it begins, and its kernel where it is over.
void beginGroup(Forming &forming, const Group &group);
void writeGroup(Forming &forming, const Group &group);

// The kinds of groups.
void writeRowwise(Forming &forming, const Group &group);
void beginGemm(Forming &forming, const Group &group);
void writeGemm(Forming &forming, const Group &group);

// The kinds of ops.
#define LARIAT_KIND(OpT, form) bool form(Forming &forming, OpT op);
#include "Kinds.def"

// Copies (Copies.cpp).
/// Writes a value that no open group holds to a buffer.
void copyValue(Forming &forming, mlir::Value value, mlir::Value buffer);
void copyBuffer(Forming &forming, mlir::Value from, mlir::Value to, mlir::Value rows);

/// Keys or queries before their rotation, and the rotation that their reader has to do; null for none.
struct Unrotated {
  mlir::Value buffer;
  kernel::RopeAttr rope;
};
Unrotated getUnrotated(Forming &forming, mlir::Value value);

/// Whether a mask shows later positions.
bool looksAhead(MaskAttr mask);

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H
