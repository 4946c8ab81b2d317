// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which retained sequences stay, and which go first.

#include "PrefixCache.h"

#include <gtest/gtest.h>

using namespace lariat::runtime;

namespace {

constexpr PageLayout kSmall{/*parts=*/1, /*dim=*/1, /*elementBytes=*/4};
constexpr int kOwner = 0, kOther = 0;

KVPool makePool(const PageLayout &layout, int64_t numPages = 0) {
  return KVPool(getHostMemory(), {{.name = "kv", .layout = layout, .slotsAtMost = 1}},
                numPages * layout.getPageBytes());
}

/// A sequence of that many rows, the first token of which is `token`.
std::unique_ptr<SequenceMemory> makeSequence(KVPool &kv, int64_t token, int64_t numRows) {
  auto memory = std::make_unique<SequenceMemory>(/*numCaches=*/1, /*numStates=*/0);
  memory->key.emplace();
  memory->settled.assign(numRows, 7);
  memory->settled[0] = token;
  memory->numPrompt = memory->length = numRows;
  ViewMemory views{getHostMemory()};
  memory->caches[0].startCall(numRows);
  for (int64_t position = 0; position < numRows; ++position)
    memory->caches[0].reserve(0, static_cast<int32_t>(position), {}, kv.getPages(0), views);
  return memory;
}

/// First token and rows of each, least recently used first.
std::vector<std::pair<int64_t, size_t>> list(const PrefixCache &cache) {
  std::vector<std::pair<int64_t, size_t>> listed;
  for (const PrefixCache::Entry &entry : cache.getEntries())
    listed.emplace_back(entry.memory->settled[0], entry.memory->settled.size());
  return listed;
}

/// That sequences hold.
int64_t countPages(KVPool &kv) { return kv.getBudget().used / kv.getPages(0).getPageBytes(); }

using Listed = std::vector<std::pair<int64_t, size_t>>;

} // namespace

TEST(PrefixCache, theLeastRecentlyUsedOneLosesItsLaterHalfFirst) {
  KVPool kv = makePool(kSmall);
  PrefixCache cache;
  for (int64_t token : {1, 2, 3})
    cache.add(makeSequence(kv, token, 300), &kOwner, kv);
  cache.touch(cache.getEntries().front().memory.get());
  EXPECT_EQ(list(cache), (Listed{{2, 300}, {3, 300}, {1, 300}}));
  EXPECT_TRUE(cache.freePages(kv));
  EXPECT_EQ(list(cache), (Listed{{2, 128}, {3, 300}, {1, 300}}));
  EXPECT_EQ(countPages(kv), 2 + 5 + 5);
  EXPECT_TRUE(cache.freePages(kv) && cache.freePages(kv));
  EXPECT_EQ(list(cache), (Listed{{3, 300}, {1, 300}}));
  while (cache.freePages(kv, cache.getEntries().back().memory.get()))
    continue;
  EXPECT_EQ(list(cache), (Listed{{1, 300}})); // the one that is spared
  EXPECT_TRUE(cache.freePages(kv));
  cache.drop(&kOwner, kv);
  EXPECT_FALSE(cache.freePages(kv));
  EXPECT_EQ(kv.getBudget().used, 0);
}

TEST(PrefixCache, aSequenceWithoutRowsOfItsOwnIsDropped) {
  KVPool kv = makePool(kSmall);
  PrefixCache cache;
  cache.add(makeSequence(kv, 1, 100), &kOwner, kv);
  cache.add(makeSequence(kv, 2, 100), &kOwner, kv);
  cache.add(makeSequence(kv, 1, 30), &kOwner, kv); // the first one has all of it
  EXPECT_EQ(list(cache), (Listed{{2, 100}, {1, 100}}));
  cache.add(makeSequence(kv, 2, 200), &kOwner, kv); // has all of the second one
  EXPECT_EQ(list(cache), (Listed{{1, 100}, {2, 200}}));
  EXPECT_EQ(countPages(kv), 2 + 4);
  auto other = makeSequence(kv, 1, 100);
  other->key->loops = 2;
  cache.add(std::move(other), &kOwner, kv);
  EXPECT_EQ(cache.getEntries().size(), 3U);
}

TEST(PrefixCache, anOwnerTakesItsOwnAlong) {
  KVPool kv = makePool(kSmall);
  PrefixCache cache;
  cache.add(makeSequence(kv, 1, 100), &kOwner, kv);
  cache.add(makeSequence(kv, 2, 100), &kOther, kv);
  cache.drop(&kOwner, kv);
  EXPECT_EQ(list(cache), (Listed{{2, 100}}));
  EXPECT_EQ(countPages(kv), 2);
}

TEST(PrefixCache, pagesWithoutALimitAreHeldUpToAGibibyte) {
  // Pages of 256 MiB, of which no byte is ever touched.
  KVPool kv = makePool({.parts = 512, .dim = 1024, .elementBytes = 4});
  ASSERT_EQ(kv.getPages(0).getPageBytes(), int64_t(1) << 28);
  PrefixCache cache;
  for (int64_t token : {1, 2, 3, 4})
    cache.add(makeSequence(kv, token, 10), &kOwner, kv);
  EXPECT_EQ(list(cache), (Listed{{1, 10}, {2, 10}, {3, 10}, {4, 10}}));
  cache.add(makeSequence(kv, 5, 10), &kOwner, kv);
  EXPECT_EQ(list(cache), (Listed{{2, 10}, {3, 10}, {4, 10}, {5, 10}}));
  EXPECT_EQ(kv.getBudget().used, int64_t(1) << 30);
}
