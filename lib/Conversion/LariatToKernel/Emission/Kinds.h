// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the kinds of kernels, each in a file of its name, and what they share. Kinds.def is the table.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H

#include "KernelFormer.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lariat::forming {

/// Writes the kernels of an op that is in no group; false for an op without a kind, or that its kind has no kernel for.
bool formKind(KernelFormer &former, mlir::Operation *op);
/// Writes any other op as a call of its reference lowering; fails for what no function on tensors stands for.
llvm::LogicalResult formGeneric(KernelFormer &former, mlir::Operation *op);

/// What a group needs where it begins, and its kernel where it is over.
void beginGroup(KernelFormer &former, const Group &group);
void writeGroup(KernelFormer &former, const Group &group);

// The kinds of groups.
void writeRowwise(KernelFormer &former, const Group &group);
void beginGemm(KernelFormer &former, const Group &group);
void writeGemm(KernelFormer &former, const Group &group);

// The kinds of ops.
#define LARIAT_KIND(OpT, form) bool form(KernelFormer &former, OpT op);
#include "Kinds.def"

// Copies (Copies.cpp).
/// Writes a value that no open group holds to a buffer.
void copyValue(KernelFormer &former, mlir::Value value, mlir::Value buffer);
void copyBuffer(KernelFormer &former, mlir::Value from, mlir::Value to, mlir::Value rows);

/// Keys or queries before their rotation, and the rotation that their reader has to do; null for none.
struct Unrotated {
  mlir::Value buffer;
  kernel::RopeAttr rope;
};
Unrotated getUnrotated(KernelFormer &former, mlir::Value value);

/// Whether a mask shows later positions.
bool looksAhead(MaskAttr mask);

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KINDS_H
