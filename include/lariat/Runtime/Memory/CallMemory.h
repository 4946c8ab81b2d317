// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. What compiled code works in: arena, cells, scratch, inputs. One per model, used by one call
// after the other, grows only.

#ifndef LARIAT_RUNTIME_MEMORY_CALLMEMORY_H
#define LARIAT_RUNTIME_MEMORY_CALLMEMORY_H

#include "lariat/Runtime/Device/DeviceBuffer.h"

#include <vector>

namespace lariat::runtime {

/// How much a call needs.
struct CallSize {
  int64_t arenaBytesPerRow = 0, paddedRows = 0, cells = 0, scratchBytes = 0, numThreads = 1;
};

class CallMemory {
public:
  /// Makes room; cells are zeros afterwards, the rest may hold anything. Arena and cells are shared memory: services
  /// keep row tables there, slots, entries and views. Scratch is the device's.
  Status prepare(DeviceMemory &device, const CallSize &size);
  /// Memory for input `index`, of `bytes`.
  Expected<std::byte *> prepareInput(DeviceMemory &device, Space space, int64_t index, int64_t bytes);

  std::byte *getArena() const { return arena.data(); }
  int64_t *getCells() const { return reinterpret_cast<int64_t *>(cells.data()); }
  std::byte *getScratch() const { return scratch.data(); }
  int64_t getArenaBytes() const { return arena.size(); }
  int64_t getCellBytes() const { return cells.size(); }
  int64_t getScratchBytes() const { return scratch.size(); }
  /// From one thread's scratch to the next.
  int64_t getScratchStride() const { return scratchStride; }

private:
  DeviceBuffer arena, cells, scratch;
  std::vector<PortBuffer> inputs;
  int64_t scratchStride = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_MEMORY_CALLMEMORY_H
