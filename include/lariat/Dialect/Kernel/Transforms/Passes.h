// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes of the kernel level; dialects/Kernel/KernelPasses.td describes each.

#ifndef LARIAT_DIALECT_KERNEL_TRANSFORMS_PASSES_H
#define LARIAT_DIALECT_KERNEL_TRANSFORMS_PASSES_H

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace lariat {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

#endif // LARIAT_DIALECT_KERNEL_TRANSFORMS_PASSES_H
