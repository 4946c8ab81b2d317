// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A call works on a copy, so that one that fails leaves no state half written.

#include "lariat/Runtime/Memory/States.h"

#include <algorithm>
#include <cstring>

using namespace lariat::runtime;

Status BatchState::load(const StateShape &newShape, std::span<SequenceState *const> sequences, int64_t newDepths) {
  shape = newShape;
  depths = newDepths;
  for (const SequenceState *state : sequences)
    depths = std::max(depths, state->depths);
  int64_t line = shape.getLineBytes(), bytes = 0;
  bool fits =
      multiply(line * shape.layers, depths, bytes) && multiply(bytes, static_cast<int64_t>(sequences.size()), bytes);
  if (!fits)
    return makeError("states of ", depths, " depths are too large for ", static_cast<int64_t>(sequences.size()),
                     " sequences");
  if (Status status = memory.reserve(bytes, "states"))
    return status;
  std::byte *target = memory.data();
  for (const SequenceState *state : sequences)
    for (int64_t layer = 0; layer < shape.layers; ++layer, target += depths * line) {
      int64_t known = state->depths * line;
      if (known > 0)
        std::memcpy(target, state->bytes.data() + layer * known, known);
      std::memset(target + known, 0, depths * line - known);
    }
  return Status::success();
}

void BatchState::store(std::span<SequenceState *const> sequences) const {
  int64_t bytes = shape.layers * depths * shape.getLineBytes();
  const std::byte *source = memory.data();
  for (SequenceState *state : sequences) {
    state->depths = depths;
    state->bytes.assign(source, source + bytes);
    source += bytes;
  }
}
