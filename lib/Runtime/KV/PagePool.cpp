// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reserved pages stay in the free lists; a number says how many of them are spoken for. A page that is used again is
// filled with zeros first: kernels compute on whole pages and must not meet another sequence's infinities there.

#include "lariat/Runtime/KV/PagePool.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>

using namespace lariat::runtime;

/// Least memory that is asked for at a time.
static constexpr int64_t kGrowBytes = int64_t(4) << 20;
/// After so much growth the system is asked again what it has left, which takes some microseconds.
static constexpr int64_t kCheckedBytes = int64_t(64) << 20;

Status PagePool::grow(int64_t count) {
  count = std::max(count, kGrowBytes / pageBytes);
  int64_t bytes = 0;
  DeviceBuffer buffer;
  if (!multiply(count, pageBytes, bytes))
    return makeError("cache '", name, "' cannot have ", count, " more pages of ", pageBytes, " bytes");
  // Pages are touched when they are taken, where there is no error to give any more.
  uncheckedBytes += std::min(bytes, kCheckedBytes);
  int64_t left = uncheckedBytes < kCheckedBytes ? INT64_MAX : device->readAvailable();
  if (left != INT64_MAX)
    uncheckedBytes = bytes > left ? kCheckedBytes : 0;
  if (bytes > left) {
    Error error = makeError("the call may need ", count, " more pages of ", pageBytes, " bytes in cache '", name,
                            "', but ", left, " bytes of memory are available");
    error.lacksPages = true;
    return error;
  }
  if (Status status = buffer.reserve(*device, Space::Device, std::max(bytes, kGrowBytes),
                                     "pages of cache '" + name + "'", Content::Zeros))
    return status;
  fresh.reserve(fresh.size() + count);
  used.reserve(used.capacity() + count);
  for (int64_t index = count - 1; index >= 0; --index)
    fresh.push_back(buffer.data() + index * pageBytes);
  memory.push_back(std::move(buffer));
  return Status::success();
}

Status PagePool::reserve(int64_t count) {
  int64_t bytes = 0, left = budget->getLeft();
  if (!multiply(count, pageBytes, bytes) || bytes > left) {
    Error error = makeError("the call may need ", count, " more pages of ", pageBytes, " bytes in cache '", name,
                            "', but ", left, " bytes are left of the limit of ", budget->limit);
    error.lacksPages = true;
    return error;
  }
  auto numFree = static_cast<int64_t>(fresh.size() + used.size()) - numReserved;
  if (numFree < count)
    if (Status status = grow(count - numFree))
      return status;
  numReserved += count;
  budget->used += bytes;
  return Status::success();
}

void PagePool::releaseReserved() {
  budget->used -= numReserved * pageBytes;
  numReserved = 0;
}

std::byte *PagePool::takeAny(bool &isZero) {
  if (numReserved == 0 && reserve(1))
    return nullptr;
  --numReserved; // stays in the budget
  isZero = used.empty();
  std::vector<std::byte *> &pages = isZero ? fresh : used;
  std::byte *page = pages.back();
  pages.pop_back();
  return page;
}

std::byte *PagePool::take() {
  bool isZero = false;
  std::byte *page = takeAny(isZero);
  if (page && !isZero)
    device->zero(page, pageBytes);
  return page;
}

std::byte *PagePool::takeCopy(const std::byte *other) {
  bool isZero = false;
  std::byte *page = takeAny(isZero);
  if (!page)
    return nullptr;
  device->copy(page, other, pageBytes);
  ++numCopied;
  return page;
}

void PagePool::giveBack(std::byte *page) {
  if (auto it = numOthers.find(page); it != numOthers.end()) {
    if (--it->second == 0)
      numOthers.erase(it);
    return;
  }
  used.push_back(page);
  budget->used -= pageBytes;
}
