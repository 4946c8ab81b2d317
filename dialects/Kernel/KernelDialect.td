// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel level: few fused row kernels on buffers. See README.md beside this file.

#ifndef LARIAT_KERNEL_DIALECT_TD
#define LARIAT_KERNEL_DIALECT_TD

include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::lariat::kernel";
  let summary = "fused row kernels on buffers";
  let description = [{
    Every kernel works on the rows of a set and writes buffers that are given to it. A buffer has a line per row of the
    call; how many lines count is the number of rows of the set at hand, an index. Kernels that may run on all threads
    stand in `kernel.parallel`, in order, with a `kernel.barrier` wherever one reads what another wrote; everything else
    is done by the calling thread. Control flow is `scf` on values of the calling thread, so that no barrier can be
    reached by some threads only.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // LARIAT_KERNEL_DIALECT_TD
