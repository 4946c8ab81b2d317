// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. A vector of the host that compiled code may read: in shared memory of a device, 64-byte
// aligned, with memory for whole groups of kPageEntries elements, so that a read of the group that an element is in
// stays inside.

#ifndef LARIAT_RUNTIME_DEVICE_SHAREDVECTOR_H
#define LARIAT_RUNTIME_DEVICE_SHAREDVECTOR_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Runtime/Device/DeviceMemory.h"

#include <new>
#include <vector>

namespace lariat::runtime {

template <typename T>
struct SharedAllocator {
  using value_type = T;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;

  /// The device outlives what it allocates.
  SharedAllocator(DeviceMemory &device) : device(&device) {}
  template <typename U>
  SharedAllocator(const SharedAllocator<U> &other) : device(other.device) {}

  T *allocate(size_t count) {
    int64_t bytes = getBytes(count);
    std::byte *memory = bytes < 0 ? nullptr : device->allocate(Space::Shared, Content::Any, bytes);
    if (!memory)
      throw std::bad_alloc();
    return reinterpret_cast<T *>(memory);
  }
  void deallocate(T *memory, size_t count) {
    device->release(Space::Shared, reinterpret_cast<std::byte *>(memory), getBytes(count));
  }
  bool operator==(const SharedAllocator &) const = default;

  DeviceMemory *device;

private:
  /// Of whole groups; below 0: more than there can be.
  static int64_t getBytes(size_t count) {
    constexpr size_t group = abi::kPageEntries, most = size_t(INT64_MAX) / sizeof(T) - group;
    return count > most ? -1 : static_cast<int64_t>((count + group - 1) / group * group * sizeof(T));
  }
};

template <typename T>
using SharedVector = std::vector<T, SharedAllocator<T>>;

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_DEVICE_SHAREDVECTOR_H
