// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Pages of one cache: a free list over memory that only grows. A call sets the pages aside that
// it may need, so that nothing fails while code runs; what it did not take goes back afterwards. All pools of a model
// draw on one budget. A page may have several holders; it counts once.

#ifndef LARIAT_RUNTIME_KV_PAGEPOOL_H
#define LARIAT_RUNTIME_KV_PAGEPOOL_H

#include "lariat/Runtime/Device/DeviceBuffer.h"

#include <unordered_map>
#include <vector>

namespace lariat::runtime {

/// Bytes of pages that tables hold or a call has set aside, over all caches of a model.
struct PageBudget {
  int64_t limit = 0; ///< 0: none
  int64_t used = 0;

  int64_t getLeft() const { return limit == 0 ? INT64_MAX - used : limit - used; }
};

class PagePool {
public:
  /// `name` is the cache's, for messages. `device` and `budget` outlive the pool.
  PagePool(DeviceMemory &device, std::string name, int64_t pageBytes, PageBudget &budget)
      : device(&device), name(std::move(name)), pageBytes(pageBytes), budget(&budget) {}

  /// Sets `count` more pages aside; an error sets nothing aside.
  Status reserve(int64_t count);
  /// Gives back what was set aside and not taken.
  void releaseReserved();
  /// A page of zeros, from those set aside, else from the rest; null if there is none.
  std::byte *take();
  /// The same with the bytes of another page.
  std::byte *takeCopy(const std::byte *page);
  /// Adds a holder to a page.
  void share(const std::byte *page) { ++numOthers[page]; }
  bool isShared(const std::byte *page) const { return numOthers.contains(page); }
  /// A holder less; without any the page is free.
  void giveBack(std::byte *page);

  /// Where pages are.
  DeviceMemory &getDevice() const { return *device; }
  int64_t getPageBytes() const { return pageBytes; }
  /// Pages that `takeCopy` has given.
  int64_t getNumCopied() const { return numCopied; }

private:
  Status grow(int64_t count);
  /// A page with whatever it holds; null if there is none.
  std::byte *takeAny(bool &isZero);

  DeviceMemory *device;
  std::string name;
  int64_t pageBytes;
  PageBudget *budget;
  std::vector<DeviceBuffer> memory;
  std::vector<std::byte *> fresh;                           ///< free, never used: zeros
  std::vector<std::byte *> used;                            ///< free, with old entries
  std::unordered_map<const std::byte *, int64_t> numOthers; ///< holders beside the first, of pages that have some
  int64_t numReserved = 0, numCopied = 0;
  int64_t uncheckedBytes = 0; ///< grown since the system was asked for its memory
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_PAGEPOOL_H
