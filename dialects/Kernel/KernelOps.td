// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops of the kernel level. Buffers are memrefs with a line per row; `rows(%n)` says how many lines count.

#ifndef LARIAT_KERNEL_OPS_TD
#define LARIAT_KERNEL_OPS_TD

include "KernelParallelOps.td"
include "KernelServiceOps.td"
include "KernelStorageOps.td"

#endif // LARIAT_KERNEL_OPS_TD
