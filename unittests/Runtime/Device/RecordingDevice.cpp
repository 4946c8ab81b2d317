// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pages of the system that may not be touched, and are opened for as long as the device is at work.

#include "RecordingDevice.h"

#include "lariat/Artefact/Layout.h"
#include "lariat/Artefact/Record.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

using namespace lariat::runtime;

/// More than any test has.
static constexpr int64_t kAddresses = int64_t(1) << 36;

static int64_t toPages(int64_t bytes) {
  return lariat::abi::roundUp(std::max<int64_t>(bytes, 1), sysconf(_SC_PAGESIZE));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static std::byte *map(int64_t bytes, int flags) {
  void *mapped = mmap(nullptr, bytes, flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0);
  return mapped == MAP_FAILED ? nullptr : static_cast<std::byte *>(mapped);
}

RecordingMemory::RecordingMemory() : DeviceMemory(/*isHost=*/false), addresses(map(kAddresses, PROT_NONE)) {
  EXPECT_NE(addresses, nullptr);
}

RecordingMemory::~RecordingMemory() {
  EXPECT_TRUE(owned.empty()) << owned.size() << " pieces are not released";
  munmap(addresses, kAddresses);
}

RecordingMemory::Access::Access(RecordingMemory &memory) : memory(memory), lock(memory.mutex) {
  if (memory.numAccesses++ == 0)
    memory.protect(PROT_READ | PROT_WRITE);
}

RecordingMemory::Access::~Access() {
  if (--memory.numAccesses == 0)
    memory.protect(PROT_NONE);
}

void RecordingMemory::protect(int flags) { EXPECT_EQ(mprotect(addresses, numTaken, flags), 0); }

bool RecordingMemory::isRefused() { return refused >= 0 && refused-- == 0; }

std::byte *RecordingMemory::takeAddresses(int64_t bytes) {
  if (bytes > kAddresses - numTaken)
    return nullptr;
  std::byte *begin = addresses + numTaken;
  numTaken += toPages(bytes);
  return begin;
}

std::byte *RecordingMemory::allocate(Space space, Content content, int64_t &bytes) {
  Access access(*this);
  if (bytes < 0 || bytes > kAddresses || isRefused())
    return nullptr;
  int64_t size = toPages(bytes);
  std::byte *memory = space == Space::Device ? takeAddresses(size) : map(size, PROT_READ | PROT_WRITE);
  if (!memory)
    return nullptr;
  protect(PROT_READ | PROT_WRITE);
  if (content == Content::Any)
    std::memset(memory, 0xff, size);
  pieces[memory] = {size, space};
  owned[memory] = size;
  bytes = size;
  return memory;
}

void RecordingMemory::release(Space space, std::byte *memory, int64_t bytes) {
  std::lock_guard lock(mutex);
  auto it = pieces.find(memory);
  ASSERT_TRUE(it != pieces.end() && it->second.space == space && it->second.bytes == toPages(bytes));
  if (space == Space::Device)
    return giveBack(memory, bytes);
  pieces.erase(it);
  owned.erase(memory);
  EXPECT_EQ(munmap(memory, bytes), 0);
}

std::byte *RecordingMemory::setAside(int64_t bytes) {
  std::lock_guard lock(mutex);
  std::byte *memory = isRefused() ? nullptr : takeAddresses(bytes);
  if (memory)
    owned[memory] = bytes;
  return memory;
}

bool RecordingMemory::open(std::byte *begin, int64_t bytes) {
  std::lock_guard lock(mutex);
  if (isRefused())
    return false;
  // Behind what is open already, as a rule.
  auto it = pieces.upper_bound(begin);
  bool continues = it != pieces.begin() && std::prev(it)->first + std::prev(it)->second.bytes >= begin &&
                   std::prev(it)->first >= std::prev(owned.upper_bound(begin))->first;
  auto &[first, piece] = continues ? *std::prev(it) : *pieces.try_emplace(begin).first;
  piece.bytes = std::max(piece.bytes, begin + bytes - first);
  return true;
}

void RecordingMemory::giveBack(std::byte *memory, int64_t bytes) {
  std::lock_guard lock(mutex);
  EXPECT_EQ(owned.erase(memory), 1u);
  std::erase_if(pieces, [&](const auto &piece) { return piece.first >= memory && piece.first < memory + bytes; });
  madvise(memory, toPages(bytes), MADV_DONTNEED);
}

void RecordingMemory::verify(const char *what, ConstLines lines, int64_t count, int64_t bytes) {
  for (int64_t line = 0; line < count; ++line) {
    const std::byte *begin = lines.get(line);
    auto next = pieces.upper_bound(begin);
    bool isInside = next != pieces.begin() && begin + bytes <= std::prev(next)->first + std::prev(next)->second.bytes;
    if (!isInside)
      fail(std::string(what) + " is not in memory of the device");
  }
}

void RecordingMemory::fail(const std::string &why) {
  if (fault.ok())
    fault = makeError(why);
}

void RecordingMemory::write(const char *what, int64_t count, int64_t bytes) {
  write(std::string(what) + " " + std::to_string(count) + " x " + std::to_string(bytes));
}

std::vector<std::string> RecordingMemory::takeRecord() {
  std::lock_guard lock(mutex);
  return std::exchange(record, {});
}

void RecordingMemory::zero(Lines target, int64_t count, int64_t bytes) {
  Access access(*this);
  write("zero", count, bytes);
  verify("what is zeroed", {target.begin, target.stride, target.numbers}, count, bytes);
  if (fault.ok())
    zeroOnHost(target, count, bytes);
}

void RecordingMemory::copy(Lines target, ConstLines source, int64_t count, int64_t bytes) {
  Access access(*this);
  write("copy", count, bytes);
  verify("the target of a copy", {target.begin, target.stride, target.numbers}, count, bytes);
  verify("the source of a copy", source, count, bytes);
  if (fault.ok())
    copyOnHost(target, source, count, bytes);
}

void RecordingMemory::upload(Lines target, ConstLines source, int64_t count, int64_t bytes) {
  // The source is read while the device's memory is closed.
  std::vector<std::byte> values(count * bytes);
  copyOnHost({values.data(), bytes}, source, count, bytes);
  Access access(*this);
  write("upload", count, bytes);
  verify("the target of an upload", {target.begin, target.stride, target.numbers}, count, bytes);
  if (fault.ok())
    copyOnHost(target, {values.data(), bytes}, count, bytes);
}

void RecordingMemory::download(Lines target, ConstLines source, int64_t count, int64_t bytes) {
  std::vector<std::byte> values(count * bytes);
  {
    Access access(*this);
    write("download", count, bytes);
    verify("the source of a download", source, count, bytes);
    if (fault.ok())
      copyOnHost({values.data(), bytes}, source, count, bytes);
  }
  copyOnHost(target, {values.data(), bytes}, count, bytes);
}

Status RecordingMemory::takeFault() {
  std::lock_guard lock(mutex);
  return std::exchange(fault, Status::success());
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

std::unique_ptr<Device::Hold> RecordingDevice::hold() {
  struct Held final : Hold {
    explicit Held(std::recursive_mutex &mutex) : lock(mutex) {}
    std::lock_guard<std::recursive_mutex> lock;
  };
  return std::make_unique<Held>(mutex);
}

StopPoll::Time RecordingDevice::launch(const lariat::abi::Kernel *kernels, const lariat::abi::Call *call,
                                       const int64_t *records, int64_t count, StopPoll *stop) {
  RecordingMemory::Access access(*own);
  own->write("launch " + std::to_string(count));
  lariat::abi::RecordReader record{records};
  for (int64_t index = 0; index < count; ++index, record = record.getNext()) {
    for (int64_t thread = 0; thread < getNumThreads(); ++thread)
      kernels[record.getKernel()](call, record.words, thread, getNumThreads());
    if (record.hasFlag(lariat::abi::kBarrierAfter) && stop && stop->askAt(std::chrono::steady_clock::now()))
      break;
  }
  return std::chrono::steady_clock::now();
}
