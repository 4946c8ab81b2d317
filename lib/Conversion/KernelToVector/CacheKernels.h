// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: kernels around a cache: embed, rotate, append, attend.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEKERNELS_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEKERNELS_H

#include "KernelWriter.h"

namespace lariat::vectors {

void addFields(kernel::EmbedOp op, llvm::SmallVectorImpl<RecordField> &fields);
void addFields(kernel::RotateOp op, llvm::SmallVectorImpl<RecordField> &fields);
void addFields(kernel::AppendOp op, llvm::SmallVectorImpl<RecordField> &fields);
void addFields(kernel::AttendOp op, llvm::SmallVectorImpl<RecordField> &fields);

void addKey(kernel::EmbedOp op, KeyWriter &key);
void addKey(kernel::RotateOp op, KeyWriter &key);
void addKey(kernel::AppendOp op, KeyWriter &key);
void addKey(kernel::AttendOp op, KeyWriter &key);

llvm::LogicalResult writeKernel(kernel::EmbedOp op, KernelWriter &w);
llvm::LogicalResult writeKernel(kernel::RotateOp op, KernelWriter &w);
llvm::LogicalResult writeKernel(kernel::AppendOp op, KernelWriter &w);
llvm::LogicalResult writeKernel(kernel::AttendOp op, KernelWriter &w);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEKERNELS_H
