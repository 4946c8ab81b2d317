// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A device for tests, with memory of its own: nobody may touch it but kernels while they are launched, and the
// functions of DeviceMemory. Code of the host that follows one of its addresses ends the process. Kernels are the
// CPU's, run by one thread that takes the part of two. New memory holds no numbers, unless zeros are asked for.
// Everything that is asked of the device is written down.

#ifndef LARIAT_UNITTESTS_RUNTIME_DEVICE_RECORDINGDEVICE_H
#define LARIAT_UNITTESTS_RUNTIME_DEVICE_RECORDINGDEVICE_H

#include "lariat/Runtime/Device/Device.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace lariat::runtime {

class RecordingMemory final : public DeviceMemory {
public:
  RecordingMemory();
  ~RecordingMemory() override;

  std::byte *allocate(Space space, Content content, int64_t &bytes) override;
  void release(Space space, std::byte *memory, int64_t bytes) override;
  int64_t readAvailable() const override { return INT64_MAX; }
  std::byte *setAside(int64_t bytes) override;
  bool open(std::byte *begin, int64_t bytes) override;
  void giveBack(std::byte *memory, int64_t bytes) override;
  using DeviceMemory::copy;
  using DeviceMemory::upload;
  using DeviceMemory::zero;
  void zero(Lines target, int64_t count, int64_t bytes) override;
  void copy(Lines target, ConstLines source, int64_t count, int64_t bytes) override;
  void upload(Lines target, ConstLines source, int64_t count, int64_t bytes) override;
  void download(Lines target, ConstLines source, int64_t count, int64_t bytes) override;
  Status takeFault() override;

  /// Device memory may be touched while it lives, by this thread.
  class Access {
  public:
    explicit Access(RecordingMemory &memory);
    ~Access();

  private:
    RecordingMemory &memory;
    std::unique_lock<std::recursive_mutex> lock;
  };

  void write(std::string what) { record.push_back(std::move(what)); }
  /// What was asked since the last question, without allocations: "launch" with a number of records, and transfers with
  /// lines and bytes of each, as "upload 3 x 4".
  std::vector<std::string> takeRecord();
  /// There is no memory for allocation `number`, counted from now on; 0 is the next one.
  void refuse(int64_t number) { refused = number; }
  /// Whether the allocation that was to be refused has come.
  bool hasRefused() const { return refused < 0; }
  /// The next fault, unless there is one.
  void fail(const std::string &why);
  /// What is allocated and not released.
  int64_t getNumAllocated() const { return static_cast<int64_t>(owned.size()); }

private:
  struct Piece {
    int64_t bytes = 0;
    Space space = Space::Device;
  };

  /// Addresses of device memory that were never given before, so that nobody finds others behind old ones.
  std::byte *takeAddresses(int64_t bytes);
  void protect(int flags);
  void write(const char *what, int64_t count, int64_t bytes);
  /// A fault where lines are in none of the device's pieces.
  void verify(const char *what, ConstLines lines, int64_t count, int64_t bytes);
  bool isRefused();

  mutable std::recursive_mutex mutex;
  std::byte *addresses = nullptr;             ///< of all device memory, one range
  int64_t numTaken = 0;                       ///< bytes of it
  std::map<const std::byte *, Piece> pieces;  ///< that there is memory behind, by where they begin
  std::map<const std::byte *, int64_t> owned; ///< bytes of what was allocated or set aside
  int64_t numAccesses = 0;
  int64_t refused = INT64_MAX;
  std::vector<std::string> record;
  Status fault;
};

class RecordingDevice final : public Device {
public:
  RecordingDevice() : RecordingDevice(std::make_shared<RecordingMemory>()) {}

  RecordingMemory &memory() const { return *own; }
  int64_t getNumThreads() const override { return 2; }
  std::unique_ptr<Hold> hold() override;
  StopPoll::Time launch(const abi::Kernel *kernels, const abi::Call *call, const int64_t *records, int64_t count,
                        StopPoll *stop) override;

private:
  explicit RecordingDevice(std::shared_ptr<RecordingMemory> memory) : Device(*memory), own(std::move(memory)) {}

  std::shared_ptr<RecordingMemory> own;
  std::recursive_mutex mutex;
};

} // namespace lariat::runtime

#endif // LARIAT_UNITTESTS_RUNTIME_DEVICE_RECORDINGDEVICE_H
