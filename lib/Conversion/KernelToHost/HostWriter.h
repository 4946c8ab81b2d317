// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: rewrites the ops of one entry function in place.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOHOST_HOSTWRITER_H
#define LARIAT_LIB_CONVERSION_KERNELTOHOST_HOSTWRITER_H

#include "lariat/Conversion/KernelCodegen.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Dialect/Kernel/IR/Records.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace lariat::host {

using kernel::RecordField;

class HostWriter {
public:
  HostWriter(mlir::func::FuncOp function, KernelCodegen &codegen);

  mlir::LogicalResult run();

private:
  // Memory.
  mlir::Value constantI64(int64_t value);
  mlir::Value toI64(mlir::Value index);
  mlir::Value ptrAdd(mlir::Value address, mlir::Value bytes);
  mlir::Value ptrAdd(mlir::Value address, int64_t bytes);
  mlir::Value load(mlir::Type type, mlir::Value address);
  /// The address of a buffer, computed where its op stands.
  mlir::Value getAddress(mlir::Value buffer);
  /// The address of one element.
  mlir::Value getElement(mlir::Value buffer, mlir::ValueRange indices);
  /// A stack slot of the function.
  mlir::Value reserveStack(mlir::Type type);

  // Each replaces an op by code and erases it.
  mlir::LogicalResult rewrite(mlir::Operation *op);
  mlir::LogicalResult rewritePortRows(kernel::PortRowsOp op);
  mlir::LogicalResult rewriteSetPortRows(kernel::SetPortRowsOp op);
  mlir::LogicalResult rewriteLoad(mlir::memref::LoadOp op);
  mlir::LogicalResult rewriteStore(mlir::memref::StoreOp op);
  mlir::LogicalResult rewriteService(kernel::RowServiceOpInterface op);
  mlir::LogicalResult rewriteParallel(kernel::ParallelRegionOp op);
  mlir::LogicalResult rewriteGeneric(kernel::GenericOp op);

  // Services.
  mlir::Value callService(int64_t offset, mlir::Type result, mlir::ValueRange operands);

  // Records.
  int64_t getCell(mlir::Value value);
  mlir::LogicalResult addBuffer(mlir::Value buffer, abi::RecordEncoder &record);
  mlir::LogicalResult addOperand(const RecordField &field, abi::RecordEncoder &record);
  mlir::Value createTable(llvm::ArrayRef<abi::RecordEncoder> records);

  // The generic path.
  mlir::LLVM::LLVMFuncOp getBody(kernel::GenericOp op, mlir::ValueRange operands);
  mlir::Value describe(mlir::Value data, llvm::ArrayRef<mlir::Value> sizes);
  mlir::Value packLines(mlir::Value buffer, mlir::Value rows);
  void copyLines(mlir::Value from, mlir::Value fromLine, mlir::Value to, mlir::Value toLine, mlir::Value bytes,
                 mlir::Value rows);

  mlir::func::FuncOp function;
  mlir::ModuleOp module;
  KernelCodegen &codegen;
  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::Type pointer, i64;
  mlir::Value call, bases, arena, paddedRows, cells;
  llvm::DenseMap<mlir::Value, mlir::Value> addresses;
  llvm::DenseMap<mlir::Value, int64_t> cellOf;
  int64_t numCells = 0, numTables = 0;
};

} // namespace lariat::host

#endif // LARIAT_LIB_CONVERSION_KERNELTOHOST_HOSTWRITER_H
