// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What stands in the record of a kernel (lariat/Artefact/Record.h) and what its code may rely on, for those who write
// records and those who write the code that reads them.

#ifndef LARIAT_DIALECT_KERNEL_IR_RECORDS_H
#define LARIAT_DIALECT_KERNEL_IR_RECORDS_H

#include "lariat/Artefact/Record.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"

#include <string>

namespace lariat::kernel {

/// An operand of a record.
struct RecordField {
  using Kind = abi::OperandKind;
  Kind kind;
  mlir::Value value;              ///< of a buffer, a memref; of a cell, an index or another scalar
  mlir::FlatSymbolRefAttr symbol; ///< a kernel.packed or kernel.rope_table
  int64_t literal = 0;
};

/// The record of a kernel: a field per operand of the op, in order, then `literals`, which say what its literal
/// attributes say, packed operands, and the rotary table.
llvm::SmallVector<RecordField> getRecordFields(mlir::Operation *kernel, llvm::ArrayRef<int64_t> literals);

/// Kernels with the same key share a function: they differ in nothing but what stands in their records. Symbols are
/// looked up in the module that the kernel stands in, which has them.
std::string getKernelKey(mlir::Operation *kernel);

/// Fails where the module does not have what `op` names.
mlir::LogicalResult verifySymbols(mlir::Operation *op);

} // namespace lariat::kernel

#endif // LARIAT_DIALECT_KERNEL_IR_RECORDS_H
