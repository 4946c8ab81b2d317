// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Look-ups over slots. Every kind is the same merge: take the entries of some slots in the order (position, slot), and
// of each position all of them or the last one:
//   exact, first     one slot
//   else_first       slot 0 and the row's slot, the last
//   newest_at_most   slots up to the row's, the last
//   all_at_most      slots up to the row's, all
// Entries of prompt and of generated rows may follow different kinds; then each entry counts by the kind of its row.
// Entries are only ever added or overwritten in place while a call runs, so a list that was true is brought up to date
// from the smallest position that is new.

#include "lariat/Runtime/KV/SequenceCache.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

namespace {

/// An entry on its way into a list.
struct Candidate {
  int32_t position; ///< without kPrefixBit
  int32_t slot;
  int32_t marked; ///< with kPrefixBit
  bool isOneOfAll;
  abi::EntryRef ref;
};

/// The slots of a look-up.
struct Slots {
  int64_t first, end;
  bool onlyEnds; ///< the first and the last of them

  bool has(int64_t slot) const {
    return slot >= first && slot < end && (!onlyEnds || slot == first || slot == end - 1);
  }
  bool operator==(const Slots &) const = default;
};

/// What counts of the entries of some rows.
struct Part {
  Slots slots;
  bool all; ///< of a position, else the last one

  Part(LookUp lookUp, int64_t slot, int64_t numTables);
};

} // namespace

static Slots getSlots(LookUp lookUp, int64_t slot) {
  switch (lookUp) {
  case LookUp::Exact:
    return {slot, slot + 1, false};
  case LookUp::First:
    return {0, 1, false};
  case LookUp::ElseFirst:
    return {0, slot + 1, true};
  case LookUp::NewestAtMost:
  case LookUp::AllAtMost:
    return {0, slot + 1, false};
  }
  return {0, 0, false};
}

static Slots getSlots(const SequenceCache::Query &query) { return getSlots(query.lookUp, query.slot); }

Part::Part(LookUp lookUp, int64_t slot, int64_t numTables)
    : slots(getSlots(lookUp, slot)), all(lookUp == LookUp::AllAtMost) {
  if (lookUp == LookUp::ElseFirst && slot >= numTables)
    slots = {0, 1, false}; // the row's slot was never written
  slots.end = std::min(slots.end, numTables);
}

Table &SequenceCache::add(int64_t slot, DeviceMemory &device) {
  if (slot >= static_cast<int64_t>(tables.size())) {
    tables.resize(slot + 1);
    touchedIn.resize(slot + 1);
  }
  if (!tables[slot])
    tables[slot] = std::make_unique<Table>(device);
  return *tables[slot];
}

Table &SequenceCache::touch(int64_t slot, const ViewMemory &memory) {
  Table &table = add(slot, memory.device);
  if (touchedIn[slot] != memory.call) {
    table.makeRoom(roomPerSlot);
    touchedIn[slot] = memory.call;
  }
  return table;
}

void SequenceCache::outdateLists(ViewMemory &memory) {
  for (auto &[query, merged] : lists)
    memory.outdated.push_back(std::move(merged.list));
  lists.clear();
}

abi::EntryRef SequenceCache::reserve(int64_t slot, int32_t position, EntryFlags facts, PagePool &pool,
                                     ViewMemory &memory) {
  int64_t numCopied = pool.getNumCopied();
  abi::EntryRef entry = touch(slot, memory).reserve(position, facts, pool);
  if (pool.getNumCopied() != numCopied) // lists show a page that belongs to others from now on
    outdateLists(memory);
  return entry;
}

bool SequenceCache::hasGenerated() const {
  return std::ranges::any_of(tables, [](const auto &table) { return table && table->getNumGenerated() > 0; });
}

/// Whether the table of the look-up's last slot is the view: it is the only one, or it has every position and no
/// shallower entry counts beside it.
bool SequenceCache::isWhole(const Query &query) const {
  if (query.isPhased)
    return false;
  Slots slots = getSlots(query);
  const Table *table = find(slots.end - 1);
  if (!table || !table->isOrdered())
    return false;
  if (slots.end - slots.first == 1)
    return true;
  if (query.lookUp == LookUp::AllAtMost || table->getLast() + 1 != table->size())
    return false;
  for (int64_t slot = slots.first; slot < slots.end - 1; ++slot)
    if (const Table *other = find(slot); slots.has(slot) && other && other->getLast() > table->getLast())
      return false;
  return true;
}

/// The smallest position among the entries that a list does not have yet.
static int32_t findFirstNew(const Table &table, int64_t numTaken) {
  const SharedVector<int32_t> &positions = table.getPositions();
  if (numTaken == table.size())
    return INT32_MAX;
  if (table.isOrdered())
    return withoutPrefixBit(positions[numTaken]);
  int32_t first = INT32_MAX;
  for (int64_t index = numTaken; index < table.size(); ++index)
    first = std::min(first, withoutPrefixBit(positions[index]));
  return first;
}

/// Adds the entries of a table from a position on that count.
static void collect(const Table &table, int32_t slot, int32_t from, const Part &prompt, const Part &generated,
                    std::vector<Candidate> &candidates) {
  const SharedVector<int32_t> &positions = table.getPositions();
  auto begin = table.isOrdered() ? std::ranges::lower_bound(positions, from, {}, withoutPrefixBit) : positions.begin();
  for (auto it = begin; it != positions.end(); ++it) {
    int64_t index = it - positions.begin();
    const Part &part = table.isGenerated(index) ? generated : prompt;
    if (int32_t position = withoutPrefixBit(*it); position >= from && part.slots.has(slot))
      candidates.push_back({position, slot, *it, part.all, table.getRef(index)});
  }
}

static void append(EntryList &list, std::vector<Candidate> &candidates) {
  std::ranges::sort(candidates, {}, [](const Candidate &entry) { return std::pair(entry.position, entry.slot); });
  for (size_t index = 0; index < candidates.size(); ++index) {
    const Candidate &entry = candidates[index];
    bool isLast = index + 1 == candidates.size() || candidates[index + 1].position != entry.position;
    if (!entry.isOneOfAll && !isLast)
      continue;
    list.refs.push_back(entry.ref);
    list.positions.push_back(entry.marked);
  }
}

const EntryList &SequenceCache::merge(const Query &query, ViewMemory &memory) {
  Merged &merged = lists.try_emplace(query, memory.device).first->second;
  auto numTables = static_cast<int64_t>(tables.size());
  Part prompt(query.lookUp, query.slot, numTables), generated = prompt;
  if (query.isPhased)
    generated = Part(query.generatedLookUp, query.generatedSlot, numTables);
  merged.numTaken.resize(tables.size());
  auto forEachTable = [&](auto visit) {
    for (int64_t slot = 0; slot < numTables; ++slot)
      if (const Table *table = find(slot); table && (prompt.slots.has(slot) || generated.slots.has(slot)))
        visit(slot, *table);
  };
  int32_t from = INT32_MAX;
  forEachTable(
      [&](int64_t slot, const Table &table) { from = std::min(from, findFirstNew(table, merged.numTaken[slot])); });
  if (from != INT32_MAX) {
    auto &list = merged.list;
    int64_t kept = std::ranges::lower_bound(list.positions, from, {}, withoutPrefixBit) - list.positions.begin();
    if (merged.shownIn == memory.call) {
      EntryList copy(memory.device);
      copy.refs.assign(list.refs.begin(), list.refs.begin() + kept);
      copy.positions.assign(list.positions.begin(), list.positions.begin() + kept);
      memory.outdated.push_back(std::exchange(list, std::move(copy)));
    } else {
      list.refs.resize(kept);
      list.positions.resize(kept);
    }
    std::vector<Candidate> candidates;
    forEachTable([&](int64_t slot, const Table &table) {
      collect(table, static_cast<int32_t>(slot), from, prompt, generated, candidates);
      merged.numTaken[slot] = table.size();
    });
    append(list, candidates);
  }
  merged.shownIn = memory.call;
  return merged.list;
}

abi::View SequenceCache::view(Query query, ViewMemory &memory) {
  abi::View view = {};
  if (query.isPhased) {
    Slots slots = getSlots(query);
    bool isOneSlot = slots.end - slots.first == 1 && slots == getSlots(query.generatedLookUp, query.generatedSlot);
    if (isOneSlot || !hasGenerated())
      query = {query.slot, query.lookUp};
  }
  const SharedVector<int32_t> *positions = nullptr;
  if (isWhole(query)) {
    const Table &table = touch(getSlots(query).end - 1, memory);
    positions = &table.getPositions();
    view.pages = table.getPages();
  } else {
    const EntryList &list = merge(query, memory);
    positions = &list.positions;
    view.refs = list.refs.data();
  }
  view.positions = positions->data();
  view.count = static_cast<int64_t>(positions->size());
  return view;
}

void SequenceCache::restart(int64_t slot, ViewMemory &memory) {
  if (!find(slot))
    return;
  tables[slot]->restart();
  outdateLists(memory);
}

int64_t SequenceCache::countCopies(int32_t position) const {
  int64_t count = 0;
  for (const std::unique_ptr<Table> &table : tables)
    count += table ? table->countCopies(position) : 0;
  return count;
}

void SequenceCache::share(const SequenceCache &from, int32_t position, PagePool &pool, const PageLayout &layout) {
  for (size_t slot = 0; slot < from.tables.size(); ++slot)
    if (const Table *table = from.tables[slot].get(); table && table->countBefore(position) > 0)
      add(static_cast<int64_t>(slot), pool.getDevice()).share(*table, position, pool, layout);
}

bool SequenceCache::canTruncate(int32_t position, const PagePool &pool) const {
  return std::ranges::all_of(
      tables, [&](const std::unique_ptr<Table> &table) { return !table || table->canTruncate(position, pool); });
}

void SequenceCache::truncate(int32_t position, PagePool &pool, const PageLayout &layout) {
  for (std::unique_ptr<Table> &table : tables)
    if (table)
      table->truncate(position, pool, layout);
  lists.clear();
}
