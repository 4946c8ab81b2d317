// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. States of a sequence between calls, and of all sequences of a call side by side while it
// runs. A depth that was never reached is zeros.

#ifndef LARIAT_RUNTIME_MEMORY_STATES_H
#define LARIAT_RUNTIME_MEMORY_STATES_H

#include "lariat/Runtime/Device/DeviceBuffer.h"

#include <span>
#include <vector>

namespace lariat::runtime {

/// [layer][depth][width] of elements.
struct StateShape {
  int64_t layers = 0, width = 0, elementBytes = 0;
  int64_t depthFactor = 1; ///< depths per step of the outermost loop

  int64_t getLineBytes() const { return width * elementBytes; }
};

/// One state of one sequence.
struct SequenceState {
  int64_t depths = 0;
  DeviceBuffer memory; ///< [layer][depth][width]
};

/// One state of the sequences of a call: [sequence][layer][depth][width].
class BatchState {
public:
  /// Copies the sequences' states in, with room for `depths` at least, and has memory ready for what they will be.
  Status load(DeviceMemory &device, const StateShape &shape, std::span<SequenceState *const> sequences, int64_t depths);
  /// Copies them back.
  void store(std::span<SequenceState *const> sequences);

  std::byte *data() const { return memory.data(); }
  int64_t getDepths() const { return depths; }

private:
  StateShape shape;
  int64_t depths = 0;
  DeviceBuffer memory;
  std::vector<DeviceBuffer> larger; ///< one per sequence, for those whose memory is too small
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_MEMORY_STATES_H
