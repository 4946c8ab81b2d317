// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing and dropping entries. Dropping from a table that is not ordered moves the entries that stay together, in the
// order in which they were written.

#include "lariat/Runtime/KV/Table.h"

#include <algorithm>
#include <cstring>

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
  makeCapacity(isFilled, size() + count);
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

abi::EntryRef Table::reserve(int32_t position, bool inPrefix, bool filled, PagePool &pool) {
  int32_t marked = inPrefix ? position | abi::kPrefixBit : position;
  if (int64_t index = find(position); index >= 0) {
    numFilled += static_cast<int>(filled) - isFilled[index];
    isFilled[index] = filled;
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
  }
  if (ordered && position < last)
    loseOrder();
  positions.push_back(marked);
  isFilled.push_back(filled);
  numFilled += filled;
  last = std::max(last, position);
  if (!ordered) {
    indexOf.resize(std::max<size_t>(indexOf.size(), last + 1));
    indexOf[position] = static_cast<int32_t>(size());
  }
  return getRef(size() - 1);
}

/// Copies entry `from` over entry `to`, all parts.
void Table::moveEntry(int64_t from, int64_t to, const PageLayout &layout) {
  abi::EntryRef source = getRef(from), target = getRef(to);
  int64_t bytes = layout.elementBytes, side = layout.dim * kEntries * bytes;
  for (int64_t part = 0; part < layout.parts; ++part) {
    std::byte *read = source.page + part * 2 * side, *write = target.page + part * 2 * side;
    for (int64_t column = 0; column < layout.dim; ++column)
      std::memcpy(write + (column * kEntries + target.index) * bytes, read + (column * kEntries + source.index) * bytes,
                  bytes);
    std::memcpy(write + side + target.index * layout.dim * bytes, read + side + source.index * layout.dim * bytes,
                layout.dim * bytes);
  }
}

void Table::restart() {
  positions.clear();
  isFilled.clear();
  indexOf.clear();
  numFilled = 0;
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
      moveEntry(index, kept, layout);
    positions[kept] = positions[index];
    isFilled[kept] = isFilled[index];
    stillOrdered &= here > last;
    last = std::max(last, here);
    ++kept;
  }
  positions.resize(kept);
  isFilled.resize(kept);
  numFilled = std::ranges::count(isFilled, 1);
  for (int64_t needed = (kept + kEntries - 1) / kEntries; getNumPages() > needed; pages.pop_back())
    pool.giveBack(pages.back());
  ordered = stillOrdered;
  indexOf.clear();
  if (!ordered)
    loseOrder();
}
