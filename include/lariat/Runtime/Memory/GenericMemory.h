// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Memory of kernel.generic: blocks of the calling thread that all go at once when the kernel
// ends.

#ifndef LARIAT_RUNTIME_MEMORY_GENERICMEMORY_H
#define LARIAT_RUNTIME_MEMORY_GENERICMEMORY_H

#include <cstdint>

namespace lariat::runtime {

/// 64-byte aligned, not initialised. Compiled code cannot go on without memory, so if there is none the process ends
/// with a message.
void *allocateGeneric(int64_t bytes);
/// Frees what the calling thread has allocated; its memory is kept for the next kernel, up to a bound.
void releaseGeneric();
/// Bytes that the calling thread keeps.
int64_t getKeptGenericBytes();

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_MEMORY_GENERICMEMORY_H
