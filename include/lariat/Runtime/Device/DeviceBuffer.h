// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Memory of a device: owned, 64-byte aligned, grows only.

#ifndef LARIAT_RUNTIME_DEVICE_DEVICEBUFFER_H
#define LARIAT_RUNTIME_DEVICE_DEVICEBUFFER_H

#include "lariat/Runtime/Device/DeviceMemory.h"

#include <utility>

namespace lariat::runtime {

class DeviceBuffer {
public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer &&other) noexcept { *this = std::move(other); }
  DeviceBuffer &operator=(DeviceBuffer &&other) noexcept {
    std::swap(owner, other.owner);
    std::swap(space, other.space);
    std::swap(memory, other.memory);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~DeviceBuffer() { release(); }

  /// Makes room for `wanted` bytes. The old content is gone if the buffer has to grow, or comes from another device or
  /// space. `what` stands in the message.
  Status reserve(DeviceMemory &device, Space space, int64_t wanted, std::string_view what,
                 Content content = Content::Any);
  /// The same of device memory, and the content stays; an error changes nothing. Grows so that adding a little at a
  /// time stays linear.
  Status grow(DeviceMemory &device, int64_t wanted, std::string_view what);
  void release();

  std::byte *data() const { return memory; }
  int64_t size() const { return bytes; }
  /// Where it is; of a buffer that has memory.
  DeviceMemory &getDevice() const { return *owner; }

private:
  std::shared_ptr<DeviceMemory> owner;
  Space space = Space::Device;
  std::byte *memory = nullptr;
  int64_t bytes = 0;
};

/// A buffer that is in one space at one time and in the other at another: memory of both is kept.
class PortBuffer {
public:
  Status reserve(DeviceMemory &device, Space wanted, int64_t bytes, std::string_view what) {
    space = wanted;
    return get().reserve(device, space, bytes, what);
  }
  std::byte *data() const { return (space == Space::Shared ? shared : own).data(); }

private:
  DeviceBuffer &get() { return space == Space::Shared ? shared : own; }

  DeviceBuffer shared, own;
  Space space = Space::Device;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_DEVICE_DEVICEBUFFER_H
