// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. What one sequence has in one cache: a table per slot, and the views of rows on them. A view
// of one slot is its table. A view over several slots is a list in ascending order of (position, slot), kept between
// calls and extended by what is new. Arrays of a view stay as they are until the call ends, whatever is written
// meanwhile.

#ifndef LARIAT_RUNTIME_KV_SEQUENCECACHE_H
#define LARIAT_RUNTIME_KV_SEQUENCECACHE_H

#include "lariat/Artefact/LookUp.h"
#include "lariat/Runtime/KV/Table.h"

#include <compare>
#include <map>
#include <memory>

namespace lariat::runtime {

using abi::LookUp;

/// Entries in the order that a view shows them.
struct EntryList {
  explicit EntryList(DeviceMemory &device) : refs(device), positions(device) {}

  SharedVector<abi::EntryRef> refs;
  SharedVector<int32_t> positions; ///< with kPrefixBit
};

/// What the views of one call share.
struct ViewMemory {
  explicit ViewMemory(DeviceMemory &device) : device(device) {}

  DeviceMemory &device;            ///< that reads them
  uint64_t call = 1;               ///< number of the call
  std::vector<EntryList> outdated; ///< lists that a view of this call shows and that are no longer true

  void startCall() {
    ++call;
    outdated.clear();
  }
};

class SequenceCache {
public:
  /// What a row asks for: how it finds entries, and, where that is another way, those of generated rows.
  struct Query {
    int64_t slot;
    LookUp lookUp;
    bool isPhased = false; ///< whether the following hold for entries of generated rows
    int64_t generatedSlot = 0;
    LookUp generatedLookUp = LookUp::Exact;

    auto operator<=>(const Query &) const = default;
  };

  /// To be called before the first use in a call that writes at most `numNew` entries to a slot.
  void startCall(int64_t numNew) { roomPerSlot = numNew; }
  /// The entry of a position in a slot; see Table::reserve.
  abi::EntryRef reserve(int64_t slot, int32_t position, EntryFlags facts, PagePool &pool, ViewMemory &memory);
  /// All entries that rows may look at which ask this; every row that asks the same in a call gets the same arrays,
  /// until something is written.
  abi::View view(Query query, ViewMemory &memory);
  /// Drops all entries of a slot and keeps its pages. Views of the slot's own table are over, others stay.
  void restart(int64_t slot, ViewMemory &memory);
  /// Pages for copies that `share` takes.
  int64_t countCopies(int32_t position) const;
  /// As Table::share, for every slot; this cache is empty. Not while a call runs.
  void share(const SequenceCache &from, int32_t position, PagePool &pool, const PageLayout &layout);
  /// As Table::canTruncate, for every slot.
  bool canTruncate(int32_t position, const PagePool &pool) const;
  /// Drops the entries of positions from `position` on. Not while a call runs.
  void truncate(int32_t position, PagePool &pool, const PageLayout &layout);

  /// Tables by slot; those never written are empty.
  const std::vector<std::unique_ptr<Table>> &getTables() const { return tables; }
  /// The table of a slot, or null.
  const Table *find(int64_t slot) const {
    return slot >= 0 && slot < static_cast<int64_t>(tables.size()) ? tables[slot].get() : nullptr;
  }

private:
  /// Entries of several slots, merged.
  struct Merged {
    explicit Merged(DeviceMemory &device) : list(device) {}

    EntryList list;
    std::vector<int64_t> numTaken; ///< entries of each slot that are in the list
    uint64_t shownIn = 0;          ///< last call that was shown the list
  };

  Table &add(int64_t slot, DeviceMemory &device);
  Table &touch(int64_t slot, const ViewMemory &memory);
  /// Makes lists anew when they are asked for; what views of this call show stays.
  void outdateLists(ViewMemory &memory);
  bool isWhole(const Query &query) const;
  bool hasGenerated() const;
  const EntryList &merge(const Query &query, ViewMemory &memory);

  std::vector<std::unique_ptr<Table>> tables;
  std::vector<uint64_t> touchedIn; ///< last call that made room in a table
  std::map<Query, Merged> lists;
  int64_t roomPerSlot = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_SEQUENCECACHE_H
