// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row tables: selecting, advancing, finding lines.

#include "lariat/Runtime/Rows/RowTable.h"

#include <gtest/gtest.h>
#include <vector>

using namespace lariat::runtime;

using Table = std::vector<int64_t>;

/// Lines of root, sequence 0, position 10 root, depth 2, flags, length.
static Table makeTable(std::initializer_list<int64_t> roots, int64_t wantedFrom = 1000) {
  Table table;
  for (int64_t root : roots)
    table.insert(table.end(), {root, 0, 10 * root, 2, root >= wantedFrom ? int64_t(lariat::abi::kWanted) : 0, 5});
  return table;
}

TEST(Rows, compactKeepsOrderAlsoInPlace) {
  Table table = makeTable({0, 1, 2, 3, 4}), out(table.size());
  const uint8_t bits[] = {0, 1, 0, 1, 1};
  EXPECT_EQ(compactRows(table.data(), 5, bits, out.data()), 3);
  out.resize(18);
  EXPECT_EQ(out, makeTable({1, 3, 4}));
  EXPECT_EQ(compactRows(table.data(), 5, bits, table.data()), 3);
  table.resize(18);
  EXPECT_EQ(table, out);
  EXPECT_EQ(compactRows(table.data(), 0, bits, table.data()), 0);
}

TEST(Rows, lastKeepsWanted) {
  Table table = makeTable({0, 1, 2}, /*wantedFrom=*/1), out(table.size());
  EXPECT_EQ(lastRows(table.data(), 3, out.data()), 2);
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[6], 2);
}

TEST(Rows, advanceGoesToADepthOrOneDeeper) {
  Table table = makeTable({3, 4}), out(table.size());
  EXPECT_EQ(advanceRows(table.data(), 2, 7, /*end=*/10, out.data()), 0);
  EXPECT_EQ(out[lariat::abi::kDepth], 7);
  EXPECT_EQ(out[6 + lariat::abi::kPosition], 40);
  out[lariat::abi::kDepth] = 1;
  EXPECT_EQ(advanceRows(out.data(), 2, std::nullopt, /*end=*/10, out.data()), 0);
  EXPECT_EQ(out[lariat::abi::kDepth], 2);
  EXPECT_EQ(out[6 + lariat::abi::kDepth], 8);
}

TEST(Rows, advanceTellsOfADepthThatThereIsNot) {
  Table table = makeTable({3, 4}), out(table.size());
  EXPECT_EQ(advanceRows(table.data(), 2, 10, /*end=*/10, out.data()), 10);
  EXPECT_EQ(out[lariat::abi::kDepth], 0);
  EXPECT_EQ(advanceRows(table.data(), 2, -1, /*end=*/10, out.data()), -1);
  EXPECT_EQ(out[6 + lariat::abi::kDepth], 0);
}

TEST(Rows, linesAreFoundByRoot) {
  Table from = makeTable({0, 2, 3, 7}), at = makeTable({2, 7});
  std::vector<int64_t> out(2);
  EXPECT_TRUE(findLines(from.data(), 4, at.data(), 2, out.data()));
  EXPECT_EQ(out, (std::vector<int64_t>{1, 3}));
  Table other = makeTable({1, 7});
  EXPECT_FALSE(findLines(from.data(), 4, other.data(), 2, out.data()));
  EXPECT_EQ(out, (std::vector<int64_t>{0, 3}));
}

TEST(Rows, copyTakesAllLines) {
  Table table = makeTable({1, 5}), out(table.size());
  copyRows(table.data(), 2, out.data());
  EXPECT_EQ(out, table);
}

using lariat::abi::SlotRule;

/// Slots of rows at these depths, of which those at odd places are generated.
static std::vector<int64_t> slotsOf(std::vector<int64_t> depths, SlotChoice prompt, SlotChoice generated) {
  Table table;
  for (size_t row = 0; row < depths.size(); ++row)
    table.insert(table.end(), {0, 0, 0, depths[row], row % 2 ? int64_t(lariat::abi::kGenerated) : 0, 0});
  std::vector<int64_t> out(depths.size());
  chooseSlots(table.data(), static_cast<int64_t>(depths.size()), prompt, generated, out.data());
  return out;
}

TEST(Rows, slotsFollowDepths) {
  auto slots = [](SlotRule::Kind kind, int64_t slots) {
    SlotChoice choice{{kind, slots}, 100};
    return slotsOf({0, 1, 2, 3, 4}, choice, choice);
  };
  EXPECT_EQ(slots(SlotRule::Own, 1), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(slots(SlotRule::First, 1), (std::vector<int64_t>{0, 0, 0, 0, 0}));
  EXPECT_EQ(slots(SlotRule::Shared, 3), (std::vector<int64_t>{0, 1, 2, 2, 2}));
  EXPECT_EQ(slots(SlotRule::Ring, 3), (std::vector<int64_t>{0, 1, 2, 0, 1}));
}

TEST(Rows, slotsEndAtADepth) {
  SlotChoice first{{SlotRule::First, 1}, 1}, none{{SlotRule::Own, 1}, 0};
  EXPECT_EQ(slotsOf({0, 0, 1, 1}, first, first), (std::vector<int64_t>{0, 0, -1, -1}));
  EXPECT_EQ(slotsOf({0, 0, 1, 1}, none, none), (std::vector<int64_t>{-1, -1, -1, -1}));
}

TEST(Rows, generatedRowsHaveSlotsOfTheirOwn) {
  SlotChoice prompt{{SlotRule::Own, 1}, 100}, generated{{SlotRule::First, 1}, 2};
  EXPECT_EQ(slotsOf({1, 1, 2, 2}, prompt, generated), (std::vector<int64_t>{1, 0, 2, -1}));
}
