// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What barrier placement and arena planning ask of a kernel.

#ifndef LARIAT_KERNEL_INTERFACES_TD
#define LARIAT_KERNEL_INTERFACES_TD

include "mlir/IR/OpBase.td"

def ParallelKernelInterface : OpInterface<"ParallelKernelInterface"> {
  let cppNamespace = "::lariat::kernel";
  let description = "A kernel that all threads of a parallel region run together.";
  let methods = [
    InterfaceMethod<"Buffers that the kernel reads.", "::llvm::SmallVector<::mlir::Value>", "getReadBuffers">,
    InterfaceMethod<"Buffers that the kernel writes.", "::llvm::SmallVector<::mlir::Value>", "getWrittenBuffers">,
    InterfaceMethod<"The cache whose entries it reads or writes; null for none.", "::mlir::FlatSymbolRefAttr",
      "getTouchedCache", (ins), "", "return {};">
  ];
}

#endif // LARIAT_KERNEL_INTERFACES_TD
