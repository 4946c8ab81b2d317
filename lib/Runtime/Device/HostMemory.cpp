// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPU's memory is the host's: spaces are alike, and transfers are copies.

#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Base/ControlGroups.h"
#include "lariat/Runtime/Device/DeviceMemory.h"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace lariat::runtime;

DeviceMemory::~DeviceMemory() = default;

void lariat::runtime::copyOnHost(Lines target, ConstLines source, int64_t count, int64_t bytes) {
  if (target.stride == bytes && source.stride == bytes && !target.numbers && !source.numbers) {
    if (count > 0) // without lines there need not be an address
      std::memcpy(target.begin, source.begin, count * bytes);
    return;
  }
  for (int64_t line = 0; line < count; ++line)
    std::memcpy(target.get(line), source.get(line), bytes);
}

void lariat::runtime::zeroOnHost(Lines target, int64_t count, int64_t bytes) {
  for (int64_t line = 0; line < count; ++line)
    std::memset(target.get(line), 0, bytes);
}

namespace {

class HostMemory final : public DeviceMemory {
public:
  HostMemory() : DeviceMemory(/*isHost=*/true) {}

  std::byte *allocate(Space, Content content, int64_t &bytes) override {
    return allocateAligned(bytes, content == Content::Zeros);
  }
  void release(Space, std::byte *memory, int64_t bytes) override { releaseAligned(memory, bytes); }
  int64_t readAvailable() const override { return readAvailableMemory(); }

  std::byte *setAside(int64_t bytes) override {
    void *mapped =
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::byte *>(mapped);
  }
  bool open(std::byte *begin, int64_t bytes) override {
    int64_t page = sysconf(_SC_PAGESIZE), inPage = reinterpret_cast<intptr_t>(begin) % page;
    return mprotect(begin - inPage, roundUp(inPage + bytes, page), PROT_READ | PROT_WRITE) == 0;
  }
  void giveBack(std::byte *memory, int64_t bytes) override { munmap(memory, bytes); }

  void zero(Lines target, int64_t count, int64_t bytes) override { zeroOnHost(target, count, bytes); }
  void copy(Lines target, ConstLines source, int64_t count, int64_t bytes) override {
    copyOnHost(target, source, count, bytes);
  }
  void upload(Lines target, ConstLines source, int64_t count, int64_t bytes) override {
    copyOnHost(target, source, count, bytes);
  }
  void download(Lines target, ConstLines source, int64_t count, int64_t bytes) override {
    copyOnHost(target, source, count, bytes);
  }
  Status takeFault() override { return Status::success(); }
};

} // namespace

DeviceMemory &lariat::runtime::getHostMemory() {
  static const auto memory = std::make_shared<HostMemory>();
  return *memory;
}
