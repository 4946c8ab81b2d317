// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes are the device's to round.

#include "lariat/Runtime/Device/DeviceBuffer.h"

#include <algorithm>

using namespace lariat::runtime;

Status DeviceBuffer::reserve(DeviceMemory &device, Space wantedSpace, int64_t wanted, std::string_view what,
                             Content content) {
  bool isThere = memory && wanted <= bytes && owner.get() == &device && space == wantedSpace;
  if (isThere && content == Content::Any)
    return Status::success();
  release();
  int64_t size = wanted;
  std::byte *found = device.allocate(wantedSpace, content, size);
  if (!found)
    return makeError("there is no memory for ", what, ", which needs ", wanted, " bytes");
  owner = device.shared_from_this();
  space = wantedSpace;
  memory = found;
  bytes = size;
  return Status::success();
}

Status DeviceBuffer::grow(DeviceMemory &device, int64_t wanted, std::string_view what) {
  if (memory && wanted <= bytes)
    return Status::success();
  DeviceBuffer larger;
  if (Status status = larger.reserve(device, Space::Device, std::max(wanted, 2 * bytes), what))
    return status;
  if (memory)
    device.copy(larger.memory, memory, bytes);
  *this = std::move(larger);
  return Status::success();
}

void DeviceBuffer::release() {
  if (memory)
    owner->release(space, memory, bytes);
  owner.reset();
  memory = nullptr;
  bytes = 0;
}
