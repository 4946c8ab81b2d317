// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the table of kinds of kernels that have code. A kind has a file of its own, which adds it;
// populateKernelCodes calls all of them.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELCODE_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELCODE_H

#include "KernelWriter.h"

#include <functional>

namespace lariat::vectors {

/// What code generation does with a kind of kernel.
struct KernelCode {
  /// What its record has for its literal attributes.
  std::function<llvm::SmallVector<int64_t>(mlir::Operation *)> getLiterals;
  /// Writes the body of its function.
  std::function<void(mlir::Operation *, KernelWriter &)> write;
};

class KernelCodes {
public:
  template <typename OpT>
  void add(void (*write)(OpT, KernelWriter &), llvm::SmallVector<int64_t> (*getLiterals)(OpT) = nullptr) {
    KernelCode &code = codes[mlir::TypeID::get<OpT>()];
    code.write = [=](mlir::Operation *op, KernelWriter &w) { write(mlir::cast<OpT>(op), w); };
    code.getLiterals = [=](mlir::Operation *op) {
      return getLiterals ? getLiterals(mlir::cast<OpT>(op)) : llvm::SmallVector<int64_t>();
    };
  }

  /// The code of an op; null if it has none.
  const KernelCode *find(mlir::Operation *op) const {
    auto it = codes.find(op->getName().getTypeID());
    return it == codes.end() ? nullptr : &it->second;
  }

private:
  llvm::DenseMap<mlir::TypeID, KernelCode> codes;
};

void populateAppendCode(KernelCodes &codes);
void populateAttendCode(KernelCodes &codes);
void populateEmbedCode(KernelCodes &codes);
void populateGemmCode(KernelCodes &codes);
void populateRotateCode(KernelCodes &codes);
void populateRowwiseCode(KernelCodes &codes);
void populateTopKCode(KernelCodes &codes);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_KERNELCODE_H
