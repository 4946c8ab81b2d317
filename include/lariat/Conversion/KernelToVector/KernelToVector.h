// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From kernels to functions of vector, arith, math, scf and LLVM pointers, for one CPU. A kernel that differs from
// another only in where its data lies is the same function: what differs stands in records (lariat/Artefact/Record.h).

#ifndef LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H
#define LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H

#include "lariat/Conversion/KernelCodegen.h"
#include "lariat/Dialect/Kernel/IR/Records.h"
#include "lariat/Target/Description/CPUTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include <memory>

namespace lariat {

/// Writes the functions of kernels into `module`, one per key:
///   func.func private @kernel_KIND_n(%call: !llvm.ptr, %record: !llvm.ptr, %thread: i64, %numThreads: i64)
/// `record` points at the record's first word. Symbols of kernels are looked up in the module that the kernel stands
/// in. Functions of the C library are declared by the names of abi::kLibraryFunctions.
class KernelEmitter : public KernelCodegen {
public:
  KernelEmitter(mlir::ModuleOp module, const CPUTarget &target);
  ~KernelEmitter() override;

  mlir::FailureOr<int64_t> emit(mlir::Operation *kernel) override;
  llvm::SmallVector<int64_t> getLiterals(mlir::Operation *kernel) const override;
  llvm::ArrayRef<mlir::FlatSymbolRefAttr> getFunctions() const override { return kernels; }
  int64_t getScratchBytes() const override { return scratchBytes; }

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
  llvm::StringMap<int64_t> numbers;                   ///< of kernels, by key
  llvm::SmallVector<mlir::FlatSymbolRefAttr> kernels; ///< by number
  llvm::StringMap<mlir::func::FuncOp> functions;      ///< all, by name
  int64_t scratchBytes = 0;
};

} // namespace lariat

#endif // LARIAT_CONVERSION_KERNELTOVECTOR_KERNELTOVECTOR_H
