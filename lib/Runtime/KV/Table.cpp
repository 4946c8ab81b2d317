// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing, sharing and dropping entries. Dropping from a table that is not ordered moves the entries that stay
// together, in the order in which they were written. That must not happen on a shared page, so of a table that is not
// ordered a page is shared only if all its entries are.

#include "lariat/Runtime/KV/Table.h"

#include <algorithm>
#include <utility>

using namespace lariat;
using namespace lariat::runtime;

static constexpr int64_t kEntries = abi::kPageEntries;

/// Room for `wanted` elements, growing so that adding one at a time stays linear.
template <typename Vector>
static void makeCapacity(Vector &vector, int64_t wanted) {
  if (static_cast<int64_t>(vector.capacity()) < wanted)
    vector.reserve(std::max<int64_t>(wanted, 2 * vector.capacity()));
}

void Table::makeRoom(int64_t count) {
  makeCapacity(positions, size() + count);
  makeCapacity(marks, size() + count);
  makeCapacity(pages, (size() + count + kEntries - 1) / kEntries);
}

int64_t Table::find(int32_t position) const {
  if (position > last)
    return -1;
  if (!ordered)
    return position < static_cast<int64_t>(indexOf.size()) ? indexOf[position] - 1 : -1;
  auto it = std::ranges::lower_bound(positions, position, {}, withoutPrefixBit);
  return it != positions.end() && withoutPrefixBit(*it) == position ? it - positions.begin() : -1;
}

void Table::loseOrder() {
  ordered = false;
  indexOf.assign(last + 1, 0);
  for (int64_t index = 0; index < size(); ++index)
    indexOf[withoutPrefixBit(positions[index])] = static_cast<int32_t>(index + 1);
}

/// Makes the page of an entry one that no other table holds; false where there is none left for a copy.
bool Table::own(int64_t index, PagePool &pool) {
  std::byte *&page = pages[index / kEntries];
  if (!pool.isShared(page))
    return true;
  std::byte *copy = pool.takeCopy(page);
  if (!copy)
    return false;
  pool.giveBack(std::exchange(page, copy));
  return true;
}

abi::EntryRef Table::reserve(int32_t position, EntryFlags facts, PagePool &pool) {
  int32_t marked = facts.inPrefix ? position | abi::kPrefixBit : position;
  auto mark = static_cast<uint8_t>((facts.filled ? kFilledMark : 0) | (facts.isGenerated ? kGeneratedMark : 0));
  if (int64_t index = find(position); index >= 0) {
    if (!own(index, pool))
      return {nullptr, 0};
    numFilled += (mark & kFilledMark) - (marks[index] & kFilledMark);
    numGenerated += ((mark & kGeneratedMark) - (marks[index] & kGeneratedMark)) / kGeneratedMark;
    marks[index] = mark;
    positions[index] = marked;
    return getRef(index);
  }
  if (positions.size() == positions.capacity())
    return {nullptr, 0};
  if (getRoom() == 0) {
    std::byte *page = pool.take();
    if (!page)
      return {nullptr, 0};
    pages.push_back(page);
  } else if (!own(size(), pool)) {
    return {nullptr, 0};
  }
  if (ordered && position < last)
    loseOrder();
  positions.push_back(marked);
  marks.push_back(mark);
  numFilled += facts.filled;
  numGenerated += facts.isGenerated;
  last = std::max(last, position);
  if (!ordered) {
    indexOf.resize(std::max<size_t>(indexOf.size(), last + 1));
    indexOf[position] = static_cast<int32_t>(size());
  }
  return getRef(size() - 1);
}

void Table::countMarks() {
  numFilled = std::ranges::count_if(marks, [](uint8_t mark) { return mark & kFilledMark; });
  numGenerated = std::ranges::count_if(marks, [](uint8_t mark) { return mark & kGeneratedMark; });
}

/// Copies an entry over another one, all parts.
static void copyEntry(const abi::EntryRef &source, const abi::EntryRef &target, const PageLayout &layout,
                      DeviceMemory &device) {
  int64_t bytes = layout.elementBytes, lineBytes = layout.dim * bytes, side = kEntries * lineBytes;
  auto copyLine = [&](int64_t before) {
    device.copy(target.page + before + target.index * lineBytes, source.page + before + source.index * lineBytes,
                lineBytes);
  };
  auto copyColumns = [&](int64_t before) {
    device.copy({target.page + before + target.index * bytes, kEntries * bytes},
                {source.page + before + source.index * bytes, kEntries * bytes}, layout.dim, bytes);
  };
  for (int64_t part = 0; part < layout.parts; ++part) {
    int64_t keys = part * 2 * side;
    if (layout.keys == abi::KeyOrder::Columns)
      copyColumns(keys);
    else
      copyLine(keys);
    copyLine(keys + side);
  }
}

//===----------------------------------------------------------------------===//
// Sharing
//===----------------------------------------------------------------------===//

int64_t Table::countBefore(int32_t position) const {
  return std::ranges::count_if(positions, [&](int32_t marked) { return withoutPrefixBit(marked) < position; });
}

/// First entries, all before a position, whose pages may be shared.
int64_t Table::countShareable(int32_t position) const {
  auto it = std::ranges::find_if(positions, [&](int32_t marked) { return withoutPrefixBit(marked) >= position; });
  int64_t count = it - positions.begin();
  return ordered || count == size() ? count : count / kEntries * kEntries;
}

int64_t Table::countCopies(int32_t position) const {
  return (countBefore(position) - countShareable(position) + kEntries - 1) / kEntries;
}

void Table::share(const Table &from, int32_t position, PagePool &pool, const PageLayout &layout) {
  int64_t numShared = from.countShareable(position);
  makeRoom(from.countBefore(position));
  pages.assign(from.pages.begin(), from.pages.begin() + (numShared + kEntries - 1) / kEntries);
  for (std::byte *page : pages)
    pool.share(page);
  for (int64_t index = 0; index < from.size(); ++index) {
    int32_t marked = from.positions[index], here = withoutPrefixBit(marked);
    if (here >= position)
      continue;
    if (index >= numShared && getRoom() == 0)
      pages.push_back(pool.take());
    positions.push_back(marked);
    marks.push_back(from.marks[index]);
    if (index >= numShared)
      copyEntry(from.getRef(index), getRef(size() - 1), layout, pool.getDevice());
    ordered &= here > last;
    last = std::max(last, here);
  }
  countMarks();
  if (!ordered)
    loseOrder();
}

bool Table::canTruncate(int32_t position, const PagePool &pool) const {
  if (ordered)
    return true;
  auto it = std::ranges::find_if(positions, [&](int32_t marked) { return withoutPrefixBit(marked) >= position; });
  int64_t first = it - positions.begin(), end = countBefore(position); // entries that others move to
  for (int64_t index = first; index < end; ++index)
    if (pool.isShared(pages[index / kEntries]))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Dropping
//===----------------------------------------------------------------------===//

void Table::restart() {
  positions.clear();
  marks.clear();
  indexOf.clear();
  numFilled = numGenerated = 0;
  last = -1;
  ordered = true;
}

void Table::truncate(int32_t position, PagePool &pool, const PageLayout &layout) {
  if (position > last)
    return;
  int64_t kept = 0;
  bool stillOrdered = true;
  last = -1;
  for (int64_t index = 0; index < size(); ++index) {
    int32_t here = withoutPrefixBit(positions[index]);
    if (here >= position)
      continue;
    if (index != kept)
      copyEntry(getRef(index), getRef(kept), layout, pool.getDevice());
    positions[kept] = positions[index];
    marks[kept] = marks[index];
    stillOrdered &= here > last;
    last = std::max(last, here);
    ++kept;
  }
  positions.resize(kept);
  marks.resize(kept);
  countMarks();
  for (int64_t needed = (kept + kEntries - 1) / kEntries; getNumPages() > needed; pages.pop_back())
    pool.giveBack(pages.back());
  ordered = stillOrdered;
  indexOf.clear();
  if (!ordered)
    loseOrder();
}
