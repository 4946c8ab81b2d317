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

namespace lariat::kernel {

/// What the caches of a machine hold of weights, about, in bytes. The last one has 32 MiB and more, but other processors
/// use it too, and what is read in turn is gone before its turn comes where a little is lacking. Measured on Zen 3:
/// 13 MB are read at 38 to 65 GB/s, 23 MB at 20 to 25, as any amount from memory.
inline constexpr int64_t kCachedBytes = 16 << 20;

} // namespace lariat::kernel

#endif // LARIAT_DIALECT_KERNEL_TRANSFORMS_PASSES_H
