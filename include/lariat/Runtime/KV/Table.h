// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The entries of one (sequence, cache, slot), in the order in which they were written, 64 to a
// page. Mostly that is the order of positions, and a view is the table itself. Rows that stopped and rows that ran on
// may be written one after the other at the same depth; then the order is lost and views are lists (SequenceCache).
//
// Tables share pages where their first entries are the same. Who writes to a page that another table holds too gets a
// copy of it first; the entries that both have never change.

#ifndef LARIAT_RUNTIME_KV_TABLE_H
#define LARIAT_RUNTIME_KV_TABLE_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Runtime/Device/SharedVector.h"
#include "lariat/Runtime/KV/PagePool.h"

#include <vector>

namespace lariat::runtime {

/// Position of an entry, from View::positions.
inline int32_t withoutPrefixBit(int32_t position) { return position & ~abi::kPrefixBit; }

/// What a page looks like: [part]{keys [dim][64] or [64][dim], values [64][dim]}, a part per layer and head.
struct PageLayout {
  int64_t parts = 0, dim = 0, elementBytes = 0;
  abi::KeyOrder keys = abi::KeyOrder::Columns;

  int64_t getEntryBytes() const { return parts * 2 * dim * elementBytes; }
  int64_t getPageBytes() const { return getEntryBytes() * abi::kPageEntries; }
};

/// What a table keeps of the row that wrote an entry.
struct EntryFlags {
  bool inPrefix = false;    ///< inside the bidirectional prefix
  bool filled = false;      ///< had stopped before
  bool isGenerated = false; ///< its token was generated
};

class Table {
public:
  explicit Table(DeviceMemory &device) : pages(device), positions(device) {}

  /// Makes room for `count` more entries without moving `getPages()` or `getPositions()` until the next call of this.
  void makeRoom(int64_t count);
  /// The entry of a position: the one that it has, else a new one at the end. The page is null where no page or no room
  /// is left.
  abi::EntryRef reserve(int32_t position, EntryFlags facts, PagePool &pool);
  /// Entries at positions before `position`.
  int64_t countBefore(int32_t position) const;
  /// Pages for copies that `share` takes.
  int64_t countCopies(int32_t position) const;
  /// Makes an empty table one with the entries of `from` at positions before `position`, where `from` gets no more
  /// entries. Pages that have only such entries are shared, others are copied to pages that were set aside.
  void share(const Table &from, int32_t position, PagePool &pool, const PageLayout &layout);
  /// Whether the next entry takes a copy of a page.
  bool copiesNext(const PagePool &pool) const {
    return getRoom() > 0 && pool.isShared(pages[size() / abi::kPageEntries]);
  }
  /// Whether `truncate` leaves pages alone that other tables hold.
  bool canTruncate(int32_t position, const PagePool &pool) const;
  /// Drops the entries of positions from `position` on.
  void truncate(int32_t position, PagePool &pool, const PageLayout &layout);

  /// Drops all entries and keeps the pages.
  void restart();

  int64_t size() const { return static_cast<int64_t>(positions.size()); }
  int64_t getNumFilled() const { return numFilled; }
  int64_t getNumGenerated() const { return numGenerated; }
  bool isGenerated(int64_t index) const { return marks[index] & kGeneratedMark; }
  /// The index of a position's entry, or -1.
  int64_t find(int32_t position) const;
  int64_t getNumPages() const { return static_cast<int64_t>(pages.size()); }
  /// Entries that fit without another page.
  int64_t getRoom() const { return getNumPages() * abi::kPageEntries - size(); }
  /// Whether entries lie in ascending order of positions.
  bool isOrdered() const { return ordered; }
  /// Largest position, -1 where there is no entry.
  int32_t getLast() const { return last; }
  std::byte *const *getPages() const { return pages.data(); }
  /// One per entry, with kPrefixBit.
  const SharedVector<int32_t> &getPositions() const { return positions; }
  abi::EntryRef getRef(int64_t index) const { return {pages[index / abi::kPageEntries], index % abi::kPageEntries}; }

private:
  enum Mark : uint8_t { kFilledMark = 1, kGeneratedMark = 2 };

  void loseOrder();
  void countMarks();
  bool own(int64_t index, PagePool &pool);
  int64_t countShareable(int32_t position) const;

  SharedVector<std::byte *> pages;
  SharedVector<int32_t> positions;
  std::vector<uint8_t> marks;   ///< one per entry
  std::vector<int32_t> indexOf; ///< of a table that is not ordered: index + 1 by position
  int64_t numFilled = 0, numGenerated = 0;
  int32_t last = -1;
  bool ordered = true;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_TABLE_H
