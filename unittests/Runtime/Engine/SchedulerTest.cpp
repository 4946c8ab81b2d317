// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scheduler against its laws, on random schedules, and on the example of the paper on relaxed recursive
// transformers.

#include "lariat/Runtime/Engine/Scheduler.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>

using namespace lariat::runtime;

namespace {

/// Rows per depth in each step of an example: arrivals[i] single rows come at step i, and `stepsOf` says how many steps
/// the n-th row to arrive runs.
std::vector<std::array<int64_t, 3>> runExample(Order order, std::vector<int64_t> arrivals, int64_t maxRows,
                                               int64_t (*stepsOf)(int64_t row)) {
  Scheduler scheduler(maxRows);
  std::vector<std::array<int64_t, 3>> perStep;
  int64_t numArrived = 0;
  for (size_t step = 0; step < arrivals.size() || scheduler.getNumRows() > 0; ++step) {
    for (int64_t row = 0; step < arrivals.size() && row < arrivals[step]; ++row)
      scheduler.add({.sequence = numArrived++, .count = 1});
    std::array<int64_t, 3> rows{};
    std::vector<int64_t> done;
    for (const ScheduledRow &row : scheduler.choose(getOrdering(order))) {
      ++rows[row.depth];
      bool isLast = row.depth + 1 == stepsOf(row.sequence);
      scheduler.advance(row.sequence, row.position, row.depth + 1, isLast ? RowProgress::Settled : RowProgress::Active);
      if (isLast)
        done.push_back(row.sequence);
    }
    for (int64_t sequence : done)
      scheduler.leave(sequence, 1);
    scheduler.endTick();
    perStep.push_back(rows);
  }
  return perStep;
}

using Rows = std::vector<std::array<int64_t, 3>>;

/// 8 of the first 16 and 8 of the next 16 leave after two steps.
int64_t exitsEarly(int64_t row) { return row % 16 < 8 && row < 32 ? 2 : 3; }

class InEveryOrder : public testing::TestWithParam<Order> {};

} // namespace

TEST(Scheduler, FillsPlacesOfRowsThatLeft) {
  for (Order order : {Order::Oldest, Order::Deepest}) {
    Rows rows = runExample(order, {16, 32, 8}, 32, [](int64_t) -> int64_t { return 3; });
    EXPECT_EQ(rows, (Rows{{16, 0, 0}, {16, 16, 0}, {0, 16, 16}, {16, 0, 16}, {8, 16, 0}, {0, 8, 16}, {0, 0, 8}}));
    rows = runExample(order, {16, 32, 8}, 32, exitsEarly);
    EXPECT_EQ(rows, (Rows{{16, 0, 0}, {16, 16, 0}, {8, 16, 8}, {16, 8, 8}, {0, 16, 8}, {0, 0, 16}}));
  }
}

TEST(Scheduler, BatchesThatRunToCompletionTakeNineSteps) {
  // Each batch is alone, so a step is a step of one batch.
  int64_t steps = 0;
  for (int64_t batch : {16, 32, 8})
    steps += static_cast<int64_t>(runExample(Order::Oldest, {batch}, 32, [](int64_t) -> int64_t { return 3; }).size());
  EXPECT_EQ(steps, 9);
}

TEST(Scheduler, RowsThatAreTakenBackAreNeitherCountedNorChosen) {
  Scheduler scheduler(/*maxRows=*/8);
  scheduler.add({.sequence = 0, .position = 0, .count = 3});
  scheduler.truncate(/*sequence=*/0, /*count=*/1);
  EXPECT_EQ(scheduler.getNumRows(), 1);
  ASSERT_EQ(scheduler.choose(getOrdering(Order::Oldest)).size(), 1U);
  scheduler.truncate(0, 0);
  EXPECT_EQ(scheduler.getNumRows(), 0);
  EXPECT_TRUE(scheduler.choose(getOrdering(Order::Oldest)).empty());
}

TEST(Scheduler, ChoosingChangesNothing) {
  Scheduler scheduler(/*maxRows=*/3);
  scheduler.add({.sequence = 4, .position = 0, .count = 5});
  const std::vector<ScheduledRow> first = scheduler.choose(getOrdering(Order::Fifo));
  EXPECT_EQ(scheduler.choose(getOrdering(Order::Fifo)), first);
  EXPECT_EQ(first.size(), 3U);
}

TEST(Scheduler, RowsOnlyRunTogetherAsLawsAllow) {
  Scheduler scheduler(/*maxRows=*/8);
  scheduler.add({.sequence = 0, .position = 5, .count = 3});
  scheduler.add({.sequence = 1, .position = 0, .count = 2, .isAtomic = true});
  using Asked = std::vector<ScheduledRow>;
  EXPECT_TRUE(scheduler.find(Asked{{0, 5, 0}, {0, 6, 0}}));
  EXPECT_FALSE(scheduler.find(Asked{{0, 6, 0}})); // before an earlier row of its sequence
  EXPECT_FALSE(scheduler.find(Asked{{1, 0, 0}})); // without the rest of its group
  EXPECT_TRUE(scheduler.find(Asked{{1, 0, 0}, {1, 1, 0}}));
  EXPECT_FALSE(scheduler.find(Asked{{0, 5, 1}})); // at another depth
  EXPECT_FALSE(scheduler.find(Asked{{0, 5, 0}, {0, 5, 0}}));
  EXPECT_FALSE(scheduler.find(Asked{{2, 0, 0}}));
  EXPECT_TRUE(scheduler.find(Asked{{2, 0, 0}}, std::vector<RowChunk>{{.sequence = 2, .count = 1}}));
}

/// Random sequences in chunks, random exits with and without owed entries, random cancellation; checks every choice,
/// and that rows which are yet to join are chosen as they are once they have.
TEST_P(InEveryOrder, NoScheduleBreaksALaw) {
  constexpr int64_t kSchedules = 3400; // over three orders more than 10,000
  for (int64_t seed = 0; seed < kSchedules; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 3 + static_cast<int64_t>(GetParam()));
    auto draw = [&](int64_t least, int64_t most) {
      return std::uniform_int_distribution<int64_t>(least, most)(random);
    };
    const int64_t numSequences = draw(1, 9), maxRows = draw(1, 12), loops = draw(1, 5);
    const bool owes = draw(0, 1) == 1;
    Scheduler scheduler(maxRows);
    std::map<int64_t, int64_t> nextPosition;
    std::map<int64_t, bool> atomic;
    // Per sequence and position: the depths below this have entries, or never will.
    std::map<std::pair<int64_t, int64_t>, int64_t> settledTo;
    for (int64_t sequence = 0; sequence < numSequences; ++sequence)
      atomic[sequence] = draw(0, 3) == 0;
    for (int64_t tick = 0; tick < 40; ++tick) {
      std::vector<RowChunk> added;
      for (int64_t sequence = 0; sequence < numSequences; ++sequence)
        if (scheduler.getRows(sequence).empty() && draw(0, 2) == 0) {
          int64_t count = draw(0, 1) ? 1 : draw(1, 6);
          added.push_back({sequence, nextPosition[sequence], count, atomic[sequence] && count > 1});
          for (int64_t row = 0; row < count; ++row)
            settledTo[{sequence, nextPosition[sequence] + row}] = 0;
          nextPosition[sequence] += count;
        } else if (draw(0, 40) == 0) {
          scheduler.drop(sequence);
          for (auto &[place, depth] : settledTo)
            if (place.first == sequence)
              depth = loops;
        }
      std::ranges::shuffle(added, random);
      std::vector<ScheduledRow> chosen = scheduler.choose(getOrdering(GetParam()), added);
      std::optional<std::vector<ScheduledRow>> found = scheduler.find(chosen, added);
      for (const RowChunk &chunk : added)
        scheduler.add(chunk);
      ASSERT_EQ(scheduler.choose(getOrdering(GetParam())), chosen);
      ASSERT_EQ(found, chosen);
      bool anyWaits = false;
      for (int64_t sequence = 0; sequence < numSequences; ++sequence)
        anyWaits |= std::ranges::any_of(scheduler.getRows(sequence),
                                        [](const FlightRow &row) { return row.progress != RowProgress::Settled; });
      ASSERT_EQ(chosen.empty(), !anyWaits);
      std::map<int64_t, std::set<int64_t>> depthsOfAtomic;
      std::set<int64_t> sequences;
      for (const ScheduledRow &row : chosen)
        sequences.insert(row.sequence);
      bool isAtomicAlone = sequences.size() == 1 && atomic[*sequences.begin()];
      ASSERT_TRUE(static_cast<int64_t>(chosen.size()) <= maxRows || isAtomicAlone);
      std::set<std::pair<int64_t, int64_t>> running;
      for (const ScheduledRow &row : chosen)
        running.insert({row.sequence, row.position});
      for (const ScheduledRow &flown : chosen) {
        for (const auto &[place, depth] : settledTo)
          if (place.first == flown.sequence && place.second < flown.position)
            ASSERT_TRUE(depth > flown.depth || (depth == flown.depth && running.contains(place)))
                << "L1: position " << flown.position << " before " << place.second << " at depth " << flown.depth;
      }
      for (int64_t sequence : sequences) {
        if (!atomic[sequence])
          continue;
        // L3: whoever is at the depth of one that runs, runs.
        int64_t depth = -1;
        for (const ScheduledRow &row : chosen)
          if (row.sequence == sequence)
            depth = row.depth;
        for (const FlightRow &row : scheduler.getRows(sequence))
          if (row.progress != RowProgress::Settled && row.depth == depth)
            ASSERT_TRUE(running.contains({sequence, row.position}));
      }
      for (const ScheduledRow &flown : chosen) {
        int64_t next = flown.depth + 1;
        bool leaves = next == loops || draw(0, 2) == 0;
        RowProgress progress = RowProgress::Active;
        if (flown.progress == RowProgress::StoringKV)
          progress = next < loops ? RowProgress::StoringKV : RowProgress::Settled;
        else if (leaves)
          progress = owes && next < loops ? RowProgress::StoringKV : RowProgress::Settled;
        settledTo[{flown.sequence, flown.position}] = progress == RowProgress::Settled ? loops : next;
        scheduler.advance(flown.sequence, flown.position, next, progress);
      }
      for (int64_t sequence = 0; sequence < numSequences; ++sequence) {
        size_t count = 0;
        std::span<const FlightRow> rows = scheduler.getRows(sequence);
        while (count < rows.size() && rows[count].progress == RowProgress::Settled)
          ++count;
        if (count > 0)
          scheduler.leave(sequence, count);
      }
      scheduler.endTick();
    }
  }
}

/// N sequences that each always have a row that can run: none waits longer than R * ceil(N / M) ticks for its next
/// step.
TEST_P(InEveryOrder, NoRowWaitsLongerThanTheBound) {
  for (int64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto draw = [&](int64_t least, int64_t most) {
      return std::uniform_int_distribution<int64_t>(least, most)(random);
    };
    const int64_t numSequences = draw(1, 40), maxRows = draw(1, 16), loops = draw(1, 6);
    const int64_t bound = loops * ((numSequences + maxRows - 1) / maxRows);
    Scheduler scheduler(maxRows);
    std::vector<int64_t> position(numSequences), lastRun(numSequences);
    for (int64_t sequence = 0; sequence < numSequences; ++sequence)
      scheduler.add({.sequence = sequence, .count = 1});
    for (int64_t tick = 0; tick < 300; ++tick) {
      std::vector<int64_t> done;
      for (const ScheduledRow &row : scheduler.choose(getOrdering(GetParam()))) {
        int64_t depth = row.depth + 1;
        bool isLast = depth == loops || draw(0, 3) == 0;
        scheduler.advance(row.sequence, row.position, depth, isLast ? RowProgress::Settled : RowProgress::Active);
        if (isLast)
          done.push_back(row.sequence);
        lastRun[row.sequence] = tick;
      }
      for (int64_t sequence : done)
        scheduler.leave(sequence, 1);
      scheduler.endTick();
      for (int64_t sequence : done)
        scheduler.add({.sequence = sequence, .position = ++position[sequence], .count = 1});
      for (int64_t sequence = 0; sequence < numSequences; ++sequence)
        ASSERT_LE(tick - lastRun[sequence], bound) << "sequence " << sequence;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Orders, InEveryOrder, testing::Values(Order::Oldest, Order::Fifo, Order::Deepest),
                         [](const testing::TestParamInfo<Order> &info) {
                           return info.param == Order::Oldest ? "oldest"
                                  : info.param == Order::Fifo ? "fifo"
                                                              : "deepest";
                         });
