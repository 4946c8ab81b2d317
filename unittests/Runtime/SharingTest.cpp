// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequences that begin with the entries of others: who sees what, who holds which page, and what is copied when. Views
// are compared with a map from (position, slot) to what was written.

#include "lariat/Runtime/KV/KVPool.h"
#include "lariat/Runtime/KV/PrefixKey.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

using namespace lariat::runtime;

namespace {

constexpr PageLayout kLayout{/*parts=*/2, /*dim=*/3, /*elementBytes=*/4};

/// All elements of an entry, keys and values.
std::vector<float *> listElements(const lariat::abi::EntryRef &entry) {
  std::vector<float *> elements;
  auto *page = reinterpret_cast<float *>(entry.page);
  for (int64_t part = 0; part < kLayout.parts; ++part)
    for (int64_t column = 0; column < kLayout.dim; ++column) {
      float *keys = page + part * 2 * kLayout.dim * 64, *values = keys + kLayout.dim * 64;
      elements.push_back(&keys[column * 64 + entry.index]);
      elements.push_back(&values[entry.index * kLayout.dim + column]);
    }
  return elements;
}

using Shown = std::vector<std::pair<int32_t, float>>; // position, value

Shown show(const lariat::abi::View &view) {
  Shown shown;
  for (int64_t index = 0; index < view.count; ++index) {
    lariat::abi::EntryRef entry =
        view.refs ? view.refs[index] : lariat::abi::EntryRef{view.pages[index / 64], index % 64};
    std::set<float> values;
    for (const float *element : listElements(entry))
      values.insert(*element);
    shown.emplace_back(view.positions[index], values.size() == 1 ? *values.begin() : -1);
  }
  return shown;
}

struct Pool {
  explicit Pool(int64_t limit = 0)
      : kv(getHostMemory(), {{.name = "kv", .layout = kLayout, .slotsAtMost = 4}}, limit) {}

  PagePool &pages() { return kv.getPages(0); }
  /// That tables hold.
  int64_t countPages() const { return kv.getBudget().used / kLayout.getPageBytes(); }

  KVPool kv;
  ViewMemory views{getHostMemory()};
  float next = 1;
};

/// A sequence with one cache, and what it should hold.
struct Holder {
  explicit Holder(Pool &pool) : pool(&pool), caches(1) {}

  SequenceCache &cache() { return caches[0]; }

  void write(int64_t slot, int32_t position) {
    lariat::abi::EntryRef entry =
        cache().reserve(slot, position, {.isGenerated = position >= firstGenerated}, pool->pages(), pool->views);
    ASSERT_NE(entry.page, nullptr);
    for (float *element : listElements(entry))
      *element = pool->next;
    expected[{position, slot}] = pool->next++;
  }
  /// One call that writes positions up to `end` to some slots.
  void writeTo(int32_t end, int64_t numSlots = 1) {
    pool->views.startCall();
    cache().startCall(end - length);
    for (int64_t slot = 0; slot < numSlots; ++slot)
      for (int32_t position = length; position < end; ++position)
        write(slot, position);
    length = end;
  }
  Holder begin(int32_t position) {
    Holder other(*pool);
    Status status = pool->kv.share(caches, other.caches, position);
    EXPECT_TRUE(status.ok()) << status.text();
    for (const auto &[place, value] : expected)
      if (place.first < position)
        other.expected[place] = value;
    other.length = position;
    other.firstGenerated = firstGenerated;
    return other;
  }
  /// The most pages that the next rows need.
  int64_t countPages(int64_t numRows, int64_t numSlots) {
    std::vector<int64_t> lines;
    for (int64_t row = 0; row < numRows; ++row)
      lines.insert(lines.end(), {row, 0, length + row, 0, 0, 0});
    return KVPool::countPages(pool->kv.getFacts(0), cache(), pool->pages(), lines.data(), numRows, numSlots);
  }
  bool truncate(int32_t position) {
    if (!pool->kv.truncate(caches, position))
      return false;
    std::erase_if(expected, [&](const auto &entry) { return entry.first.first >= position; });
    length = std::min(length, position);
    return true;
  }
  void check() {
    for (int64_t slot = 0; slot < 4; ++slot) {
      Shown exact, newest, all, phased;
      for (const auto &[place, value] : expected) {
        auto [position, written] = place;
        if (written == slot)
          exact.emplace_back(position, value);
        if (written == (position < firstGenerated ? slot : 0))
          phased.emplace_back(position, value);
        if (written > slot)
          continue;
        all.emplace_back(position, value);
        if (!newest.empty() && newest.back().first == position)
          newest.pop_back();
        newest.emplace_back(position, value);
      }
      EXPECT_EQ(show(cache().view({slot, LookUp::Exact}, pool->views)), exact);
      EXPECT_EQ(show(cache().view({slot, LookUp::NewestAtMost}, pool->views)), newest);
      EXPECT_EQ(show(cache().view({slot, LookUp::AllAtMost}, pool->views)), all);
      EXPECT_EQ(show(cache().view({slot, LookUp::Exact, true, 0, LookUp::First}, pool->views)), phased);
    }
  }
  /// Pages of one slot.
  std::vector<std::byte *> listPages(int64_t slot) const {
    const Table *table = caches[0].find(slot);
    return table ? std::vector(table->getPages(), table->getPages() + table->getNumPages())
                 : std::vector<std::byte *>();
  }

  Pool *pool;
  std::vector<SequenceCache> caches;
  std::map<std::pair<int32_t, int64_t>, float> expected;
  int32_t length = 0, firstGenerated = 80;
};

} // namespace

//===----------------------------------------------------------------------===//
// Pages
//===----------------------------------------------------------------------===//

TEST(Sharing, pagesCountOnce) {
  Pool pool;
  Holder first(pool);
  first.writeTo(130);
  Holder second = first.begin(130);
  EXPECT_EQ(second.listPages(0), first.listPages(0));
  EXPECT_EQ(pool.countPages(), 3);
  first.truncate(0);
  EXPECT_EQ(pool.countPages(), 3);
  second.check();
  second.truncate(0);
  EXPECT_EQ(pool.kv.getBudget().used, 0);
}

TEST(Sharing, whoWritesToASharedPageGetsACopyOfItFirst) {
  Pool pool;
  Holder first(pool);
  first.writeTo(100);
  Holder second = first.begin(70);
  EXPECT_EQ(pool.countPages(), 2);
  second.writeTo(80);
  EXPECT_EQ(second.listPages(0)[0], first.listPages(0)[0]);
  EXPECT_NE(second.listPages(0)[1], first.listPages(0)[1]);
  EXPECT_EQ(pool.countPages(), 3);
  EXPECT_EQ(pool.pages().getNumCopied(), 1);
  first.check();
  second.check();
  // Alone on its page now, so writing copies nothing.
  second.writeTo(90);
  first.writeTo(110);
  EXPECT_EQ(pool.pages().getNumCopied(), 1);
  first.check();
  second.check();
}

TEST(Sharing, theFirstHolderGetsTheCopyIfItWritesFirst) {
  Pool pool;
  Holder first(pool);
  first.writeTo(70);
  Holder second = first.begin(70);
  std::byte *page = first.listPages(0)[1];
  first.writeTo(71);
  EXPECT_NE(first.listPages(0)[1], page);
  EXPECT_EQ(second.listPages(0)[1], page);
  second.writeTo(72);
  EXPECT_EQ(second.listPages(0)[1], page);
  first.check();
  second.check();
}

TEST(Sharing, listsShowTheCopy) {
  Pool pool;
  Holder first(pool);
  first.writeTo(70, 2);
  Holder second = first.begin(66);
  second.check();
  second.writeTo(68, 2); // its lists showed entries of the page that is copied
  first.truncate(0);
  Holder third(pool); // takes the page of the first one
  third.writeTo(130, 2);
  second.check();
  third.check();
}

TEST(Sharing, aViewShowsTheSameAllThroughACallThatCopies) {
  Pool pool;
  Holder first(pool);
  first.writeTo(70, 2);
  Holder second = first.begin(66);
  pool.views.startCall();
  second.cache().startCall(1);
  std::vector<std::pair<lariat::abi::View, Shown>> taken;
  for (LookUp lookUp : {LookUp::Exact, LookUp::NewestAtMost, LookUp::AllAtMost}) {
    lariat::abi::View view = second.cache().view({1, lookUp}, pool.views);
    taken.emplace_back(view, show(view));
  }
  second.write(0, 66);
  second.write(1, 66);
  for (const auto &[view, shown] : taken)
    EXPECT_EQ(show(view), shown);
}

TEST(Sharing, aPageOutOfOrderIsSharedOnlyIfAllItsEntriesAre) {
  Pool pool;
  Holder first(pool);
  first.cache().startCall(200);
  for (int32_t position : {1, 0}) // loses the order
    first.write(0, position);
  first.length = 2;
  first.writeTo(70);
  Holder second = first.begin(68);
  EXPECT_EQ(second.listPages(0)[0], first.listPages(0)[0]);
  EXPECT_NE(second.listPages(0)[1], first.listPages(0)[1]);
  second.check();
  // Dropping moves entries of a table without order, which must not happen on the shared page.
  EXPECT_TRUE(first.truncate(68));
  EXPECT_FALSE(first.truncate(1));
  EXPECT_TRUE(first.truncate(0));
  second.check();
  EXPECT_TRUE(second.truncate(1));
  second.check();
}

TEST(Sharing, aCallSetsThePageOfACopyAside) {
  Pool pool;
  Holder first(pool);
  first.writeTo(70, 2);
  Holder second = first.begin(70);
  EXPECT_EQ(second.countPages(/*numRows=*/1, /*numSlots=*/2), 2);
  first.truncate(0);
  EXPECT_EQ(second.countPages(/*numRows=*/1, /*numSlots=*/2), 0);
  // A full page is not written any more.
  Holder whole(pool);
  whole.writeTo(64);
  Holder other = whole.begin(64);
  EXPECT_EQ(other.countPages(/*numRows=*/1, /*numSlots=*/1), 1);
}

TEST(Sharing, anEntryThatIsWrittenAgainLeavesTheOtherHoldersAlone) {
  Pool pool;
  Holder first(pool);
  first.writeTo(70);
  Holder second = first.begin(70);
  second.length = 60;
  EXPECT_EQ(second.countPages(/*numRows=*/2, /*numSlots=*/1), 1);
  EXPECT_EQ(second.countPages(/*numRows=*/11, /*numSlots=*/1), 2); // the page of position 70 is that of 64
  second.writeTo(71);
  EXPECT_EQ(pool.pages().getNumCopied(), 2);
  first.check();
  second.check();
}

TEST(Sharing, withoutPagesForCopiesNothingIsShared) {
  Pool pool(/*limit=*/2 * kLayout.getPageBytes());
  Holder first(pool);
  first.cache().startCall(70);
  for (int32_t position = 70; position-- > 0;)
    first.write(0, position);
  Holder second(pool);
  Status status = pool.kv.share(first.caches, second.caches, 30);
  EXPECT_TRUE(status.lacksPages());
  EXPECT_TRUE(second.listPages(0).empty());
  first.truncate(0);
  EXPECT_EQ(pool.kv.getBudget().used, 0);
}

TEST(Sharing, entriesOfSharedPagesCountOnce) {
  Pool pool;
  Holder first(pool), alone(pool);
  first.writeTo(100);
  alone.writeTo(10);
  Holder second = first.begin(70), third = first.begin(80);
  EntryCount count(pool.pages());
  for (Holder *one : {&second, &first, &third, &alone})
    count.add(one->cache());
  EXPECT_EQ(count.get(), 110);
}

TEST(Sharing, randomSequencesHoldWhatTheyWrote) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    auto draw = [&](int64_t least, int64_t most) {
      return std::uniform_int_distribution<int64_t>(least, most)(random);
    };
    Pool pool;
    std::vector<Holder> holders;
    holders.emplace_back(pool);
    for (int step = 0; step < 60; ++step) {
      Holder &one = holders[draw(0, static_cast<int64_t>(holders.size()) - 1)];
      switch (draw(0, 5)) {
      case 0:
        if (holders.size() < 6)
          holders.push_back(one.begin(static_cast<int32_t>(draw(0, one.length))));
        break;
      case 1:
        one.truncate(static_cast<int32_t>(draw(0, one.length)));
        break;
      default: {
        auto count = static_cast<int32_t>(draw(0, 2) ? draw(1, 4) : draw(1, 90));
        int64_t numSlots = draw(1, 4);
        bool keepsOrder = draw(0, 2) > 0;
        ASSERT_TRUE(pool.pages().reserve(one.countPages(count, numSlots)).ok());
        int64_t used = pool.kv.getBudget().used;
        pool.views.startCall();
        one.cache().startCall(count);
        for (int64_t slot = 0; slot < numSlots; ++slot)
          for (unsigned half = 0; half < 2; ++half)
            for (int32_t position = one.length; position < one.length + count; ++position)
              if (keepsOrder ? half == 0 : (position * 7U + slot + seed) % 3 == half)
                one.write(slot, position);
        one.length += count;
        EXPECT_EQ(pool.kv.getBudget().used, used) << "more pages were taken than set aside";
        pool.kv.releaseReserved();
      }
      }
      if (step % 6 == 5)
        for (Holder &holder : holders)
          holder.check();
      std::set<std::byte *> pages;
      for (const Holder &holder : holders)
        for (int64_t slot = 0; slot < 4; ++slot)
          for (std::byte *page : holder.listPages(slot))
            pages.insert(page);
      ASSERT_EQ(pool.kv.getBudget().used, static_cast<int64_t>(pages.size()) * kLayout.getPageBytes());
    }
    for (Holder &holder : holders)
      EXPECT_TRUE(holder.truncate(0));
    EXPECT_EQ(pool.kv.getBudget().used, 0);
  }
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

TEST(PrefixKey, rowsAreCommonUpToTheFirstTokenOrPhaseThatDiffers) {
  std::vector<int64_t> one = {5, 6, 7, 8}, other = {5, 6, 9}, longer = {5, 6, 7, 8, 9};
  EXPECT_EQ(countCommonRows({one, 4}, {other, 3}), 2);
  EXPECT_EQ(countCommonRows({one, 4}, {longer, 5}), 4);
  EXPECT_EQ(countCommonRows({one, 3}, {longer, 5}), 3); // token 3 was generated in one and given in the other
  EXPECT_EQ(countCommonRows({one, 3}, {longer, 3}), 4);
}

TEST(PrefixKey, theLastRowOfARequestIsNeverSpared) {
  std::vector<int64_t> tokens = {5, 6, 7};
  EXPECT_EQ(countSparedRows({}, {tokens, 3}, {tokens, 3}), 2);
}

TEST(PrefixKey, aBidirectionalPrefixIsSparedWholeOrNotAtAll) {
  std::vector<int64_t> request = {5, 6, 7, 8}, settled = {5, 6, 7};
  PrefixKey key;
  key.prefix = 3;
  EXPECT_EQ(countSparedRows(key, {request, 4}, {settled, 3}), 3);
  key.prefix = 4;
  EXPECT_EQ(countSparedRows(key, {request, 4}, {settled, 3}), 0);
}
