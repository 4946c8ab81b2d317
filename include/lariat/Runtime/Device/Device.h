// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What runs a model's kernels. A model has one device; models may share one. Entry functions run on the calling
// thread and hand tables of records to `launch`; all else that a device does is its memory's.

#ifndef LARIAT_RUNTIME_DEVICE_DEVICE_H
#define LARIAT_RUNTIME_DEVICE_DEVICE_H

#include "lariat/Artefact/Record.h"
#include "lariat/Runtime/Base/StopPoll.h"
#include "lariat/Runtime/Device/DeviceMemory.h"

namespace lariat::runtime {

class Device {
public:
  virtual ~Device() = default;
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  DeviceMemory &getMemory() const { return memory; }
  /// The most threads that a kernel is told of; each has scratch of its own.
  virtual int64_t getNumThreads() const = 0;
  /// While it lives, the calling thread has the device for itself, and others wait for it. Launches need one.
  struct Hold {
    virtual ~Hold() = default;
  };
  virtual std::unique_ptr<Hold> hold() = 0;
  /// Runs `count` records one after the other in memory, each by all threads that take part, with a barrier behind
  /// those that ask for one, and waits for the last. `kernels` are those of the records' object, by number. `stop`,
  /// where there is one, is asked at barriers, and with yes the records behind one are left out. Returns when it ended.
  virtual StopPoll::Time launch(const abi::Kernel *kernels, const abi::Call *call, const int64_t *records,
                                int64_t count, StopPoll *stop) = 0;

protected:
  explicit Device(DeviceMemory &memory) : memory(memory) {}

private:
  DeviceMemory &memory;
};

/// An error where a CPU cannot be asked for so many threads.
Status verifyNumThreads(int64_t numThreads);

/// The CPU, with so many threads (ThreadPool), each tied to a processor where that is of use; 0: one per core that this
/// process may use.
Expected<std::shared_ptr<Device>> openCPU(int64_t numThreads, bool pin);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_DEVICE_DEVICE_H
