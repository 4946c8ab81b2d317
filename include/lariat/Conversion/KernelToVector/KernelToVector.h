// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From kernels to functions of vector, arith, math, scf and LLVM pointers, for one CPU. A kernel that differs from
// another only in where its data lies is the same function: what differs stands in records (lariat/Artefact/Record.h).

#ifndef LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H
#define LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H

#include "lariat/Artefact/Record.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Target/Description/CPUTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <string>

namespace lariat {

/// An operand of a record.
struct RecordField {
  using Kind = abi::OperandKind;
  Kind kind;
  mlir::Value value;              ///< of a buffer, a memref; of a cell, an index or another scalar
  mlir::FlatSymbolRefAttr symbol; ///< a kernel.packed or kernel.rope_table
  int64_t literal = 0;
};

/// The record of a kernel: a field per operand of the op, in order, then literals of its kind, packed operands, and the
/// rotary table.
llvm::SmallVector<RecordField> getRecordFields(mlir::Operation *kernel);

/// Kernels with the same key share a function: everything but what stands in the record.
std::string getKernelKey(mlir::Operation *kernel);

/// Fails where the module does not have a cache that `op` uses.
mlir::LogicalResult checkCaches(mlir::Operation *op);

/// Writes the functions of kernels into `module`, one per key:
///   func.func private @kernel_KIND_n(%call: !llvm.ptr, %record: !llvm.ptr, %thread: i64, %numThreads: i64)
/// `record` points at the record's first word. Symbols of kernels are looked up in the module that the kernel stands in.
/// Functions of the C library are declared by the names of abi::kLibraryFunctions.
class KernelEmitter {
public:
  KernelEmitter(mlir::ModuleOp module, const CPUTarget &target);
  ~KernelEmitter();

  /// The kernel's function; null after an error.
  mlir::FlatSymbolRefAttr emit(mlir::Operation *kernel);

  /// Bytes of scratch memory that a thread needs: the largest over all kernels so far.
  int64_t getScratchBytes() const { return scratchBytes; }

  // For the writers of kernels.

  const CPUTarget &getTarget() const { return target; }
  mlir::ModuleOp getModule() const { return module; }
  void needScratch(int64_t bytes) { scratchBytes = std::max(scratchBytes, bytes); }
  /// A function that kernels share, written by `write` (at the end of its body) when it is first asked for.
  mlir::func::FuncOp getFunction(llvm::StringRef name, mlir::FunctionType type,
                                 llvm::function_ref<void(mlir::OpBuilder &, mlir::func::FuncOp)> write);

private:
  struct Patterns;

  mlir::ModuleOp module;
  const CPUTarget &target;
  std::unique_ptr<Patterns> patterns;
  llvm::StringMap<mlir::func::FuncOp> functions; ///< by key of a kernel, or name of a shared function
  int64_t scratchBytes = 0, numKernels = 0;
};

} // namespace lariat

#endif // LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H
