// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes come from a manifest and from a caller, so they are multiplied with care.

#include "lariat/Runtime/Memory/CallMemory.h"

#include "lariat/Artefact/Layout.h"
#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <cstring>

using namespace lariat::runtime;

Status CallMemory::prepare(DeviceMemory &device, const CallSize &size) {
  int64_t arenaBytes = 0, scratchBytes = 0;
  scratchStride = roundUp(size.scratchBytes, kAlignment);
  if (!multiply(size.arenaBytesPerRow, size.paddedRows, arenaBytes))
    return makeError("the arena of ", size.arenaBytesPerRow, " bytes per row is too large for ", size.paddedRows,
                     " rows");
  if (!multiply(scratchStride, size.numThreads, scratchBytes))
    return makeError("scratch of ", scratchStride, " bytes is too large for ", size.numThreads, " threads");
  if (Status status = arena.reserve(device, Space::Shared, arenaBytes, "the arena"))
    return status;
  if (Status status = scratch.reserve(device, Space::Device, scratchBytes, "scratch"))
    return status;
  int64_t cellBytes = size.cells * static_cast<int64_t>(sizeof(int64_t));
  if (Status status = cells.reserve(device, Space::Shared, cellBytes, "cells"))
    return status;
  std::memset(cells.data(), 0, cellBytes);
  return Status::success();
}

Expected<std::byte *> CallMemory::prepareInput(DeviceMemory &device, Space space, int64_t index, int64_t bytes) {
  if (index >= static_cast<int64_t>(inputs.size()))
    inputs.resize(index + 1);
  if (Status status = inputs[index].reserve(device, space, bytes, "an input"))
    return status.takeError();
  return inputs[index].data();
}
