// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lines of rotary tables against the formula, however far a model's context goes.

#include "lariat/Runtime/Memory/RopeTables.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace lariat::runtime;

static const std::vector<double> kFrequencies{1.0, 0.1, 0.01};

static const float *getLine(const RopeTables &tables, const RopeFacts &facts, int64_t position) {
  return reinterpret_cast<const float *>(tables.data() + facts.offset + position * facts.lineBytes);
}

static void expectLine(const float *line, int64_t position, double magnitude = 1) {
  for (size_t pair = 0; pair < kFrequencies.size(); ++pair) {
    double angle = static_cast<double>(position) * kFrequencies[pair];
    EXPECT_EQ(line[2 * pair], static_cast<float>(std::cos(angle) * magnitude)) << position;
    EXPECT_EQ(line[2 * pair + 1], static_cast<float>(std::sin(angle) * magnitude)) << position;
  }
}

TEST(RopeTables, LinesAreThereAsFarAsTheyAreAskedFor) {
  RopeFacts plain{.offset = 0, .positions = 1'000'000'000, .lineBytes = 64, .frequencies = kFrequencies};
  RopeFacts scaled = plain;
  scaled.offset = plain.positions * plain.lineBytes;
  scaled.positions = 300;
  scaled.magnitude = 1.25;
  RopeTables tables;
  ASSERT_TRUE(tables.reserve(getHostMemory(), {plain, scaled}).ok());
  const std::byte *place = tables.data();
  EXPECT_EQ(tables.getBytes(), 0);
  for (int64_t count : {1, 200, 300}) {
    ASSERT_TRUE(tables.cover(count).ok());
    for (int64_t position : {int64_t(0), count - 1}) {
      expectLine(getLine(tables, plain, position), position);
      expectLine(getLine(tables, scaled, position), position, 1.25);
    }
    EXPECT_EQ(getLine(tables, plain, 0)[6], 0);
    EXPECT_EQ(tables.data(), place);
  }
  EXPECT_EQ(tables.getBytes(), 512 * 64 + 300 * 64);
  EXPECT_EQ(tables.cover(301).text(), "position 300 is beyond the context of the model, 300 positions");
}

TEST(RopeTables, FarPositionsFollowTheSameFormula) {
  RopeFacts facts{.positions = 200'000, .lineBytes = 64, .frequencies = kFrequencies};
  RopeTables tables;
  ASSERT_TRUE(tables.reserve(getHostMemory(), {facts}).ok());
  ASSERT_TRUE(tables.cover(200'000).ok());
  for (int64_t position : {65'535, 131'072, 199'999})
    expectLine(getLine(tables, facts, position), position);
}

TEST(RopeTables, NoTablesNeedNoMemory) {
  RopeTables tables;
  EXPECT_TRUE(tables.reserve(getHostMemory(), {}).ok());
  EXPECT_TRUE(tables.cover(1'000'000).ok());
  EXPECT_EQ(tables.data(), nullptr);
}

TEST(RopeTables, AnglesAreRoundedOnceToTheNearest) {
  AngleType bfloat{8, -126}, half{11, -14};
  EXPECT_EQ(roundAngle(1.00390625, bfloat), 1.0F); // half way between two: the even one
  EXPECT_EQ(roundAngle(1.01171875, bfloat), 1.015625F);
  EXPECT_EQ(roundAngle(1.00390626, bfloat), 1.0078125F);
  EXPECT_EQ(roundAngle(-0.333, half), -0.3330078125F);
  EXPECT_EQ(roundAngle(1e-7, half), 0x1p-23F); // subnormal there: 1.19e-7 is the nearest
  EXPECT_EQ(roundAngle(0.0, half), 0.0F);
  EXPECT_EQ(roundAngle(0.1, AngleType{}), 0.1F);
}
