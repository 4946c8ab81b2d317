// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How far ahead a sequence drafts.

#include "lariat/Runtime/Engine/Speculation.h"

#include <gtest/gtest.h>

using namespace lariat::runtime;

namespace {

/// For 1 to 64 rows, `perCall + perRow * rows` of @core and `coda + codaRow * rows` of @coda.
StepCosts makeCosts(double perCall, double perRow, double coda = 0, double codaRow = 0) {
  StepCosts costs;
  for (int64_t rows = 1; rows <= 64; ++rows)
    for (int time = 0; time < 100; ++time) {
      costs.core.add(rows, perCall + perRow * static_cast<double>(rows));
      costs.coda.add(rows, coda + codaRow * static_cast<double>(rows));
    }
  return costs;
}

} // namespace

TEST(Speculation, WhereFurtherRowsAreFreeAsManyDraftAsTheLoopHolds) {
  EXPECT_EQ(makeCosts(1, 0).chooseRows(/*acceptance=*/0.9, /*most=*/6, /*others=*/0, {.steps = 2, .loops = 12}), 6);
}

TEST(Speculation, WhereARowCostsWhatItBringsNoneDrafts) {
  EXPECT_EQ(makeCosts(0, 1).chooseRows(/*acceptance=*/1, /*most=*/6, /*others=*/0, {.steps = 2, .loops = 12}), 1);
}

TEST(Speculation, RowsOfOthersThatFillTheCallsTurnItOff) {
  StepCosts costs = makeCosts(8, 1);
  int64_t alone = costs.chooseRows(/*acceptance=*/0.8, /*most=*/6, /*others=*/0, {.steps = 2, .loops = 12});
  EXPECT_GT(alone, 3);
  EXPECT_LT(costs.chooseRows(0.8, 6, /*others=*/8, {2, 12}), alone);
  EXPECT_EQ(costs.chooseRows(0.8, 6, /*others=*/40, {2, 12}), 1);
}

TEST(Speculation, WithoutAcceptanceNoneDrafts) {
  EXPECT_EQ(makeCosts(1, 0).chooseRows(/*acceptance=*/0, /*most=*/6, /*others=*/0, {.steps = 2, .loops = 12}), 1);
  EXPECT_EQ(makeCosts(1, 0.01, /*coda=*/4).chooseRows(0.1, 6, 0, {2, 12}), 1);
}

TEST(Speculation, DraftsThatFallBetweenRowsThatLeavePayForTheirCoda) {
  // After 2 of 3 steps: two rows are in the loop in every other tick, and each draft needs a call of @coda of its own.
  EXPECT_EQ(makeCosts(1, 0, /*coda=*/0.5).chooseRows(/*acceptance=*/1, /*most=*/2, /*others=*/0, {2, 3}), 2);
  EXPECT_EQ(makeCosts(1, 0, /*coda=*/1.5).chooseRows(1, 2, 0, {2, 3}), 1);
  // After 1 of 3 a row leaves whenever one drafts.
  EXPECT_EQ(makeCosts(1, 0, /*coda=*/1.5).chooseRows(1, 3, 0, {1, 3}), 3);
}

TEST(Speculation, DraftsAmongManyRowsPayForTheirRowsOfTheCoda) {
  // Reading the block costs 8, @coda of one row as much as a step of eight rows.
  EXPECT_EQ(makeCosts(8, 0.1).chooseRows(/*acceptance=*/1, /*most=*/3, /*others=*/7, {1, 3}), 3);
  EXPECT_EQ(makeCosts(8, 0.1, /*coda=*/0, /*codaRow=*/8).chooseRows(1, 3, 7, {1, 3}), 1);
}

TEST(Speculation, UnknownCountsAreTriedThenKnown) {
  CallCosts costs;
  EXPECT_EQ(costs.get(3), 0);
  costs.add(2, 1.0);
  EXPECT_EQ(costs.get(1), 0.5);
  EXPECT_EQ(costs.get(5), 1.0);
  for (int time = 0; time < 100; ++time)
    costs.add(4, 3.0);
  EXPECT_NEAR(costs.get(4), 3.0, 1e-9);
  EXPECT_NEAR(costs.get(3), 2.0, 1e-9);
  EXPECT_NEAR(costs.get(2.5), 1.5, 1e-9);
}

TEST(Speculation, ACallThatWasInterruptedChangesLittle) {
  CallCosts costs;
  costs.add(1, 1.0);
  costs.add(1, 100.0);
  EXPECT_LT(costs.get(1), 1.1);
}

TEST(Speculation, AcceptanceFollowsTheLastDrafts) {
  Acceptance acceptance;
  EXPECT_EQ(acceptance.get(), 0.75);
  for (int time = 0; time < 1000; ++time)
    acceptance.add(true);
  EXPECT_GT(acceptance.get(), 0.95);
  for (int time = 0; time < 100; ++time)
    acceptance.add(false);
  EXPECT_LT(acceptance.get(), 0.3);
}
