// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How far ahead a sequence drafts.

#include "lariat/Runtime/Engine/Speculation.h"

#include <gtest/gtest.h>

using namespace lariat::runtime;

namespace {

/// Costs of `perCall + perRow * rows` for 1 to 64 rows.
StepCosts makeCosts(double perCall, double perRow, double coda = 0) {
  StepCosts costs;
  for (int64_t rows = 1; rows <= 64; ++rows)
    for (int time = 0; time < 100; ++time)
      costs.addCore(rows, perCall + perRow * static_cast<double>(rows));
  costs.addCoda(coda);
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

TEST(Speculation, UnknownCountsAreTriedThenKnown) {
  StepCosts costs;
  EXPECT_EQ(costs.getCore(3), 0);
  costs.addCore(2, 1.0);
  EXPECT_EQ(costs.getCore(1), 0.5);
  EXPECT_EQ(costs.getCore(5), 1.0);
  for (int time = 0; time < 100; ++time)
    costs.addCore(4, 3.0);
  EXPECT_NEAR(costs.getCore(4), 3.0, 1e-9);
  EXPECT_NEAR(costs.getCore(3), 2.0, 1e-9);
}

TEST(Speculation, ACallThatWasInterruptedChangesLittle) {
  StepCosts costs;
  costs.addCore(1, 1.0);
  costs.addCore(1, 100.0);
  EXPECT_LT(costs.getCore(1), 1.1);
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
