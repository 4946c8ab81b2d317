// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pages, tables and views. Views of random caches are compared with a map from (slot, position) to what was written.

#include "lariat/Runtime/KV/KVPool.h"

#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <random>
#include <set>

using namespace lariat::runtime;

static constexpr PageLayout kLayout{/*parts=*/2, /*dim=*/3, /*elementBytes=*/4};

/// All elements of an entry are `value`.
static void writeEntry(const lariat::abi::EntryRef &entry, float value) {
  auto *page = reinterpret_cast<float *>(entry.page);
  for (int64_t part = 0; part < kLayout.parts; ++part)
    for (int64_t column = 0; column < kLayout.dim; ++column) {
      float *keys = page + part * 2 * kLayout.dim * 64, *values = keys + kLayout.dim * 64;
      keys[column * 64 + entry.index] = value;
      values[entry.index * kLayout.dim + column] = value;
    }
}

/// The value of an entry, or -1 if its elements are not all the same.
static float readEntry(const lariat::abi::EntryRef &entry) {
  const auto *page = reinterpret_cast<const float *>(entry.page);
  std::set<float> seen;
  for (int64_t part = 0; part < kLayout.parts; ++part)
    for (int64_t column = 0; column < kLayout.dim; ++column) {
      const float *keys = page + part * 2 * kLayout.dim * 64, *values = keys + kLayout.dim * 64;
      seen.insert({keys[column * 64 + entry.index], values[entry.index * kLayout.dim + column]});
    }
  return seen.size() == 1 ? *seen.begin() : -1;
}

using Shown = std::vector<std::pair<int32_t, float>>; // position with kPrefixBit, value

static Shown show(const lariat::abi::View &view) {
  Shown shown;
  for (int64_t index = 0; index < view.count; ++index) {
    lariat::abi::EntryRef entry =
        view.refs ? view.refs[index] : lariat::abi::EntryRef{view.pages[index / 64], index % 64};
    shown.emplace_back(view.positions[index], readEntry(entry));
  }
  return shown;
}

//===----------------------------------------------------------------------===//
// Pool
//===----------------------------------------------------------------------===//

TEST(PagePool, countsAndLimits) {
  PageBudget budget{.limit = 5 * 1024};
  PagePool pool(getHostMemory(), "kv", 1024, budget);
  EXPECT_EQ(pool.reserve(6).text(),
            "the call may need 6 more pages of 1024 bytes in cache 'kv', but 5120 bytes are left of "
            "the limit of 5120");
  EXPECT_EQ(budget.used, 0);
  ASSERT_TRUE(pool.reserve(4).ok());
  std::byte *first = pool.take(), *second = pool.take();
  ASSERT_TRUE(first && second && first != second);
  pool.releaseReserved();
  EXPECT_EQ(budget.used, 2048);
  first[5] = std::byte(1);
  pool.giveBack(first);
  EXPECT_EQ(budget.used, 1024);
  std::byte *again = pool.take();
  EXPECT_EQ(again, first);
  EXPECT_EQ(again[5], std::byte(0));
  EXPECT_TRUE(pool.take() && pool.take() && pool.take());
  EXPECT_EQ(pool.take(), nullptr);
}

TEST(PagePool, refusesWhatDoesNotFitAnInteger) {
  PageBudget budget;
  PagePool pool(getHostMemory(), "kv", int64_t(1) << 40, budget);
  EXPECT_FALSE(pool.reserve(int64_t(1) << 40).ok());
  EXPECT_FALSE(pool.reserve(1 << 20).ok()); // more than any address space
  EXPECT_EQ(budget.used, 0);
}

namespace {

/// Lines of a row table, of one sequence.
struct RowLines {
  std::vector<int64_t> words;

  /// `count` rows from a position on, at a depth.
  RowLines &add(int64_t position, int64_t count, int64_t depth, bool isGenerated = false) {
    for (int64_t row = 0; row < count; ++row)
      words.insert(words.end(), {0, 0, position + row, depth, isGenerated ? lariat::abi::kGenerated : 0, 0});
    return *this;
  }
  int64_t countPages(const CacheSpec &facts, const SequenceCache &cache, const PagePool &pool, int64_t loops) const {
    return KVPool::countPages(facts, cache, pool, words.data(), static_cast<int64_t>(words.size()) / 6, loops);
  }
};

} // namespace

TEST(KVPool, countsTheMostPagesOfACall) {
  CacheSpec facts{"kv", kLayout, 8};
  KVPool pool(getHostMemory(), {facts}, /*limit=*/0);
  SequenceCache cache;
  ViewMemory memory{getHostMemory()};
  EXPECT_EQ(RowLines().add(0, 130, 0).countPages(facts, cache, pool.getPages(0), 4), 4 * 3);
  cache.startCall(10);
  for (int32_t position = 0; position < 10; ++position)
    cache.reserve(0, position, {}, pool.getPages(0), memory);
  EXPECT_EQ(RowLines().add(10, 54, 0).countPages(facts, cache, pool.getPages(0), 2),
            1); // fits slot 0, a page for slot 1
  EXPECT_EQ(RowLines().add(10, 55, 0).countPages(facts, cache, pool.getPages(0), 2), 2);
  EXPECT_EQ(RowLines().add(0, 64, 0).countPages(facts, cache, pool.getPages(0), 1), 0); // ten are there
  EXPECT_EQ(RowLines().add(0, 1, 1).add(10, 65, 3).countPages(facts, cache, pool.getPages(0), 1), 3);
  EXPECT_EQ(RowLines().add(10, 1, 0).countPages(facts, cache, pool.getPages(0), 0), 0);
}

TEST(KVPool, countsPagesOfSlotsThatDepthsShare) {
  CacheSpec ring{"kv", kLayout, 3, false, true, {SlotRule::Ring, 3}, {SlotRule::Shared, 1}};
  CacheSpec first{"kv", kLayout, 1, false, true, {SlotRule::First}, {SlotRule::First}};
  KVPool pool(getHostMemory(), {ring}, /*limit=*/0);
  SequenceCache cache;
  ViewMemory memory{getHostMemory()};
  EXPECT_EQ(RowLines().add(0, 65, 0).countPages(ring, cache, pool.getPages(0), 9), 3 * 2);
  EXPECT_EQ(RowLines().add(0, 65, 4).countPages(ring, cache, pool.getPages(0), 1), 2);
  EXPECT_EQ(RowLines().add(0, 65, 0, /*isGenerated=*/true).countPages(ring, cache, pool.getPages(0), 9), 2);
  EXPECT_EQ(RowLines().add(0, 65, 0).countPages(first, cache, pool.getPages(0), 9), 2);
  EXPECT_EQ(RowLines().add(0, 65, 1).countPages(first, cache, pool.getPages(0), 1), 0);
  cache.startCall(64);
  for (int32_t position = 0; position < 64; ++position)
    cache.reserve(1, position, {}, pool.getPages(0), memory);
  EXPECT_EQ(RowLines().add(0, 64, 4).countPages(ring, cache, pool.getPages(0), 1), 0); // written over
  EXPECT_EQ(RowLines().add(63, 2, 4).countPages(ring, cache, pool.getPages(0), 1), 1);
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

TEST(Table, samePositionIsOverwritten) {
  PageBudget budget;
  PagePool pool(getHostMemory(), "kv", kLayout.getPageBytes(), budget);
  Table table(getHostMemory());
  table.makeRoom(3);
  lariat::abi::EntryRef first = table.reserve(4, {.isGenerated = true}, pool),
                        again = table.reserve(4, {.inPrefix = true, .filled = true}, pool);
  EXPECT_EQ(first.page, again.page);
  EXPECT_EQ(first.index, again.index);
  EXPECT_EQ(table.size(), 1);
  EXPECT_EQ(table.getNumFilled(), 1);
  EXPECT_EQ(table.getNumGenerated(), 0);
  EXPECT_EQ(table.getPositions()[0], 4 | lariat::abi::kPrefixBit);
  table.reserve(4, {.isGenerated = true}, pool);
  EXPECT_EQ(table.getNumFilled(), 0);
  EXPECT_EQ(table.getNumGenerated(), 1);
}

/// An entry that moves takes its keys and values along and leaves other entries alone, in pages of either layout.
TEST(Table, movesEntriesOfAnyLayout) {
  for (lariat::abi::KeyOrder order : {lariat::abi::KeyOrder::Columns, lariat::abi::KeyOrder::Entries}) {
    PageLayout layout = kLayout;
    layout.keys = order;
    auto getElements = [&](const lariat::abi::EntryRef &entry) {
      auto *page = reinterpret_cast<float *>(entry.page);
      std::vector<float *> elements;
      for (int64_t part = 0; part < layout.parts; ++part)
        for (int64_t column = 0; column < layout.dim; ++column) {
          float *keys = page + part * 2 * layout.dim * 64, *values = keys + layout.dim * 64;
          bool isTurned = order == lariat::abi::KeyOrder::Columns;
          elements.push_back(isTurned ? &keys[column * 64 + entry.index] : &keys[entry.index * layout.dim + column]);
          elements.push_back(&values[entry.index * layout.dim + column]);
        }
      return elements;
    };
    auto read = [&](const lariat::abi::EntryRef &entry) {
      std::vector<float> values;
      for (const float *element : getElements(entry))
        values.push_back(*element);
      return values;
    };
    PageBudget budget;
    PagePool pool(getHostMemory(), "kv", layout.getPageBytes(), budget);
    ASSERT_FALSE(pool.reserve(1));
    Table table(getHostMemory());
    table.makeRoom(4);
    float next = 0;
    for (int32_t position : {1, 9, 3, 5})
      for (float *element : getElements(table.reserve(position, {}, pool)))
        *element = ++next;
    std::vector<float> first = read(table.getRef(0)), third = read(table.getRef(2));
    table.truncate(4, pool, layout);
    ASSERT_EQ(table.size(), 2);
    EXPECT_EQ(read(table.getRef(0)), first);
    EXPECT_EQ(read(table.getRef(1)), third);
  }
}

TEST(Table, doesNotGrowBeyondItsRoom) {
  PageBudget budget;
  PagePool pool(getHostMemory(), "kv", kLayout.getPageBytes(), budget);
  Table table(getHostMemory());
  EXPECT_EQ(table.reserve(0, {}, pool).page, nullptr);
  table.makeRoom(64);
  for (int32_t position = 0; position < 64; ++position)
    EXPECT_NE(table.reserve(position, {}, pool).page, nullptr);
  EXPECT_EQ(table.getNumPages(), 1);
  EXPECT_EQ(table.getRoom(), 0);
}

//===----------------------------------------------------------------------===//
// Views against a map
//===----------------------------------------------------------------------===//

namespace {

struct Written {
  float value;
  bool inPrefix;
  bool isGenerated;
};

/// What a row asks for, and what the service makes of a view.
struct Asked {
  int64_t slot;
  LookUp lookUp;
  int32_t position;
  bool ahead;
  std::optional<std::pair<int64_t, LookUp>> generated = {}; ///< slot and look-up of entries of generated rows

  SequenceCache::Query get() const {
    if (!generated)
      return {slot, lookUp};
    return {slot, lookUp, true, generated->first, generated->second};
  }
  lariat::abi::View narrow(lariat::abi::View view) const {
    while (!ahead && view.count > 0 && withoutPrefixBit(view.positions[view.count - 1]) > position)
      --view.count;
    return view;
  }
};

/// A cache and what it should hold.
struct Checked {
  PageBudget budget;
  PagePool pool{getHostMemory(), "kv", kLayout.getPageBytes(), budget};
  SequenceCache cache;
  ViewMemory memory{getHostMemory()};
  std::map<std::pair<int64_t, int32_t>, Written> expected; // slot, position
  float next = 1;

  void write(int64_t slot, int32_t position, bool inPrefix = false, bool isGenerated = false) {
    lariat::abi::EntryRef entry =
        cache.reserve(slot, position, {.inPrefix = inPrefix, .isGenerated = isGenerated}, pool, memory);
    ASSERT_NE(entry.page, nullptr);
    writeEntry(entry, next);
    expected[{slot, position}] = {next++, inPrefix, isGenerated};
  }

  Shown find(const Asked &query) const {
    std::map<std::pair<int32_t, int64_t>, Written> all; // position, slot
    for (const auto &[key, written] : expected)
      if (query.ahead || key.second <= query.position)
        all[{key.second, key.first}] = written;
    std::map<int32_t, Shown> byPosition;
    for (const auto &[key, written] : all) {
      auto [position, slot] = key;
      auto [ownSlot, lookUp] =
          written.isGenerated && query.generated ? *query.generated : std::pair(query.slot, query.lookUp);
      bool wanted = false;
      switch (lookUp) {
      case LookUp::Exact:
        wanted = slot == ownSlot;
        break;
      case LookUp::First:
        wanted = slot == 0;
        break;
      case LookUp::ElseFirst:
        wanted = slot == 0 || slot == ownSlot;
        break;
      case LookUp::NewestAtMost:
      case LookUp::AllAtMost:
        wanted = slot <= ownSlot;
        break;
      }
      if (!wanted)
        continue;
      Shown &here = byPosition[position];
      if (lookUp != LookUp::AllAtMost)
        here.clear();
      here.emplace_back(written.inPrefix ? position | lariat::abi::kPrefixBit : position, written.value);
    }
    Shown shown;
    for (const auto &[position, entries] : byPosition)
      shown.insert(shown.end(), entries.begin(), entries.end());
    return shown;
  }

  lariat::abi::View view(const Asked &query) { return query.narrow(cache.view(query.get(), memory)); }
  void check(const Asked &query) { EXPECT_EQ(show(view(query)), find(query)); }

  void checkAll(int32_t position) {
    for (int64_t lookUp = 0; lookUp < lariat::abi::kNumLookUps; ++lookUp)
      for (int64_t slot = 0; slot < 5; ++slot)
        for (bool ahead : {false, true})
          check({slot, static_cast<LookUp>(lookUp), position, ahead});
  }

  /// Views that differ for entries of generated rows.
  void checkPhased(int32_t position) {
    for (int64_t lookUp = 0; lookUp < lariat::abi::kNumLookUps; ++lookUp)
      for (int64_t other = 0; other < lariat::abi::kNumLookUps; ++other)
        for (int64_t slot = 0; slot < 4; ++slot)
          check({slot, static_cast<LookUp>(lookUp), position, false, std::pair(3 - slot, static_cast<LookUp>(other))});
  }
};

} // namespace

TEST(SequenceCache, viewsOfOrderedTablesAreTheTables) {
  Checked checked;
  checked.cache.startCall(200);
  for (int32_t position = 0; position < 200; ++position)
    checked.write(0, position, /*inPrefix=*/position < 3);
  lariat::abi::View view = checked.view({0, LookUp::Exact, 100, false});
  EXPECT_NE(view.pages, nullptr);
  EXPECT_EQ(view.refs, nullptr);
  EXPECT_EQ(view.count, 101);
  EXPECT_EQ(view.positions[2], 2 | lariat::abi::kPrefixBit);
  checked.checkAll(150);
  // Slot 1 has every position: rows that ran on see it alone, without a list.
  for (int32_t position = 0; position < 200; ++position)
    checked.write(1, position);
  EXPECT_NE(checked.view({1, LookUp::NewestAtMost, 100, false}).pages, nullptr);
  EXPECT_NE(checked.view({1, LookUp::ElseFirst, 100, false}).pages, nullptr);
  EXPECT_EQ(checked.view({1, LookUp::AllAtMost, 100, false}).pages, nullptr);
  checked.checkAll(150);
}

TEST(SequenceCache, listsAreSharedByRowsOfASlot) {
  Checked checked;
  checked.cache.startCall(10);
  for (int32_t position = 0; position < 10; ++position)
    checked.write(0, position);
  for (int32_t position = 0; position < 10; position += 2)
    checked.write(1, position);
  lariat::abi::View early = checked.view({1, LookUp::NewestAtMost, 3, false});
  lariat::abi::View late = checked.view({1, LookUp::NewestAtMost, 9, false});
  EXPECT_EQ(early.refs, late.refs);
  EXPECT_EQ(early.count, 4);
  EXPECT_EQ(late.count, 10);
}

TEST(SequenceCache, viewsStayAsTheyWereUntilTheCallEnds) {
  Checked checked;
  checked.cache.startCall(100);
  for (int32_t position = 0; position < 100; position += 2)
    checked.write(0, position);
  checked.write(1, 0);
  std::vector<std::pair<lariat::abi::View, Shown>> taken;
  for (LookUp lookUp : {LookUp::Exact, LookUp::NewestAtMost, LookUp::AllAtMost, LookUp::First}) {
    lariat::abi::View view = checked.view({lookUp == LookUp::Exact ? 0 : 1, lookUp, 99, true});
    taken.emplace_back(view, show(view));
  }
  for (int32_t position = 1; position < 50; position += 2) { // between those of slot 0
    checked.write(0, position);
    checked.write(1, position);
    checked.checkAll(60);
  }
  for (const auto &[view, shown] : taken)
    EXPECT_EQ(show(view), shown);
}

TEST(SequenceCache, randomWritesAndViews) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    Checked checked;
    int32_t end = 0, firstGenerated = static_cast<int32_t>(random() % 300);
    for (int call = 0; call < 12; ++call) {
      checked.memory.startCall();
      int32_t count = static_cast<int32_t>(random() % (call % 4 == 0 ? 150 : 3)) + 1;
      checked.cache.startCall(count);
      int64_t slots = random() % 4 + 1;
      unsigned stops = random() % 3; // none stops, some stop, and are filled before or after
      for (int64_t slot = 0; slot < slots; ++slot)
        for (unsigned half = 0; half < 2; ++half) {
          for (int32_t position = end; position < end + count; ++position)
            if (stops == 0 ? half == 0 : (position * 7u + slot + seed) % 3 == half)
              checked.write(slot, position, position < 20, position >= firstGenerated);
          if (random() % 2)
            checked.check(
                {slot, static_cast<LookUp>(random() % lariat::abi::kNumLookUps), end + count / 2, random() % 2 == 0});
        }
      end += count;
      checked.checkAll(end - count / 2);
      checked.checkPhased(end - count / 2);
      if (random() % 4 == 0) {
        end = static_cast<int32_t>(random() % (end + 1));
        checked.cache.truncate(end, checked.pool, kLayout);
        std::erase_if(checked.expected, [&](const auto &entry) { return entry.first.second >= end; });
        checked.memory.startCall();
        checked.checkAll(end);
      }
    }
    int64_t entries = 0, pages = 0;
    for (const std::unique_ptr<Table> &table : checked.cache.getTables())
      if (table) {
        entries += table->size();
        EXPECT_EQ(table->getNumPages(), (table->size() + 63) / 64);
        pages += table->getNumPages();
      }
    EXPECT_EQ(entries, static_cast<int64_t>(checked.expected.size()));
    EXPECT_EQ(checked.budget.used, pages * kLayout.getPageBytes());
    checked.cache.truncate(0, checked.pool, kLayout);
    EXPECT_EQ(checked.budget.used, 0);
  }
}
