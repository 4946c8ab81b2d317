// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A call works on a copy, so that one that fails leaves no state half written.

#include "lariat/Runtime/Memory/States.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>

using namespace lariat::runtime;

Status BatchState::load(DeviceMemory &device, const StateShape &newShape, std::span<SequenceState *const> sequences,
                        int64_t newDepths) {
  shape = newShape;
  depths = newDepths;
  for (const SequenceState *state : sequences)
    depths = std::max(depths, state->depths);
  int64_t line = shape.getLineBytes(), each = 0, bytes = 0;
  bool fits =
      multiply(line * shape.layers, depths, each) && multiply(each, static_cast<int64_t>(sequences.size()), bytes);
  if (!fits)
    return makeError("states of ", depths, " depths are too large for ", static_cast<int64_t>(sequences.size()),
                     " sequences");
  if (Status status = memory.reserve(device, Space::Device, bytes, "states"))
    return status;
  larger.clear();
  larger.resize(sequences.size());
  for (size_t sequence = 0; sequence < sequences.size(); ++sequence)
    if (const DeviceBuffer &known = sequences[sequence]->memory; !known.data() || known.size() < each)
      if (Status status = larger[sequence].reserve(device, Space::Device, each, "states"))
        return status;
  std::byte *target = memory.data();
  for (const SequenceState *state : sequences)
    for (int64_t layer = 0; layer < shape.layers; ++layer, target += depths * line) {
      int64_t known = state->depths * line;
      if (known > 0)
        device.copy(target, state->memory.data() + layer * known, known);
      device.zero(target + known, depths * line - known);
    }
  return Status::success();
}

void BatchState::store(std::span<SequenceState *const> sequences) {
  int64_t bytes = shape.layers * depths * shape.getLineBytes();
  const std::byte *source = memory.data();
  for (size_t sequence = 0; sequence < sequences.size(); ++sequence, source += bytes) {
    SequenceState &state = *sequences[sequence];
    if (larger[sequence].data())
      state.memory = std::move(larger[sequence]);
    state.depths = depths;
    state.memory.getDevice().copy(state.memory.data(), source, bytes);
  }
  larger.clear(); // what was too small
}
