// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What host code asks of the code of kernels, whatever machine that is for. Each kind of machine has a code generator
// of its own, for one module at a time.

#ifndef LARIAT_CONVERSION_KERNELCODEGEN_H
#define LARIAT_CONVERSION_KERNELCODEGEN_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace lariat {

class KernelCodegen {
public:
  virtual ~KernelCodegen() = default;

  /// The number of the function that does what `kernel` does by its record; numbers count from 0. Kernels with the same
  /// key (kernel::getKernelKey) have the same number. Fails with an error at the kernel.
  virtual mlir::FailureOr<int64_t> emit(mlir::Operation *kernel) = 0;

  /// What stands in the record of a kernel for its literal attributes, in order.
  virtual llvm::SmallVector<int64_t> getLiterals(mlir::Operation *kernel) const = 0;

  /// The function of each number so far: a symbol of the module, by whose address the runtime knows it.
  virtual llvm::ArrayRef<mlir::FlatSymbolRefAttr> getFunctions() const = 0;

  /// Bytes of scratch memory that a thread needs: the largest over all kernels so far.
  virtual int64_t getScratchBytes() const = 0;
};

} // namespace lariat

#endif // LARIAT_CONVERSION_KERNELCODEGEN_H
