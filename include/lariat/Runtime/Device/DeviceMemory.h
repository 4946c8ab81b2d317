// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Memory of the device that kernels run on. There are three kinds of memory:
//
//   host     what the runtime and its callers have for themselves; kernels never see it
//   shared   what host and device both read and write, at the same address: row tables and what services make of them
//            (arena, cells, page lists, ports that are row sets, bits or indices)
//   device   what kernels alone touch, and the functions below: weights, pages, states, seats, rotary tables, scratch,
//            ports of values. The host has its addresses and never follows them
//
// On a CPU all three are one, and every function is the copy that it says. Elsewhere transfers are done in the order in
// which they and launches were asked for, and reading shared memory after a launch shows what kernels wrote.

#ifndef LARIAT_RUNTIME_DEVICE_DEVICEMEMORY_H
#define LARIAT_RUNTIME_DEVICE_DEVICEMEMORY_H

#include "lariat/Runtime/Base/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lariat::runtime {

/// Memory that a device can have.
enum class Space { Device, Shared };

/// What new memory holds.
enum class Content { Any, Zeros };

/// Lines in memory, each as far from the one before it as the next. With `numbers`, an array of the host, line i is the
/// one with that number.
template <typename Byte>
struct LineRange {
  Byte *begin = nullptr;
  int64_t stride = 0;
  const int64_t *numbers = nullptr;

  Byte *get(int64_t line) const { return begin + (numbers ? numbers[line] : line) * stride; }
};
using Lines = LineRange<std::byte>;
using ConstLines = LineRange<const std::byte>;

/// What `copy` and `zero` do to `bytes` of each of `count` lines, where the host may touch them all.
void copyOnHost(Lines target, ConstLines source, int64_t count, int64_t bytes);
void zeroOnHost(Lines target, int64_t count, int64_t bytes);

/// May be used by any thread. Whoever keeps memory keeps this alive (DeviceBuffer).
class DeviceMemory : public std::enable_shared_from_this<DeviceMemory> {
public:
  virtual ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;

  /// Whether the host may follow addresses of device memory. Then it reads results where they are, and weights are used
  /// where they are mapped.
  bool isHost() const { return host; }

  /// At least `bytes`, which becomes how many there are, 64-byte aligned; null where there is no memory.
  virtual std::byte *allocate(Space space, Content content, int64_t &bytes) = 0;
  /// `bytes`: as many as were asked for, or as there are.
  virtual void release(Space space, std::byte *memory, int64_t bytes) = 0;
  /// Bytes of device memory that can still be had, as far as anybody knows.
  virtual int64_t readAvailable() const = 0;

  /// Addresses of device memory, for a table that grows in place: nothing is behind them until it is opened. Null where
  /// there are none.
  virtual std::byte *setAside(int64_t bytes) = 0;
  /// Puts memory behind addresses that were set aside, opened ones too; false where there is none.
  virtual bool open(std::byte *begin, int64_t bytes) = 0;
  virtual void giveBack(std::byte *memory, int64_t bytes) = 0;

  // All of these are given what they need to be right: a failure is the device's own, and `takeFault` gives it.
  virtual void zero(Lines target, int64_t count, int64_t bytes) = 0;
  /// From device or shared memory to the same; in shared memory the bytes are there afterwards.
  virtual void copy(Lines target, ConstLines source, int64_t count, int64_t bytes) = 0;
  /// From host memory, which may change afterwards.
  virtual void upload(Lines target, ConstLines source, int64_t count, int64_t bytes) = 0;
  /// To host memory, where the bytes are afterwards.
  virtual void download(Lines target, ConstLines source, int64_t count, int64_t bytes) = 0;
  /// The first thing that went wrong since the last question, kernels included.
  virtual Status takeFault() = 0;

  void zero(std::byte *target, int64_t bytes) { zero({target, 0}, 1, bytes); }
  void copy(std::byte *target, const std::byte *source, int64_t bytes) { copy({target, 0}, {source, 0}, 1, bytes); }
  void upload(std::byte *target, const std::byte *source, int64_t bytes) { upload({target, 0}, {source, 0}, 1, bytes); }

protected:
  explicit DeviceMemory(bool isHost) : host(isHost) {}

private:
  bool host;
};

/// Memory of the CPU, the same for all models.
DeviceMemory &getHostMemory();

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_DEVICE_DEVICEMEMORY_H
