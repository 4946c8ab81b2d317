// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.attend against plain loops, and a row's bits in all kinds of company.

#include "AttendCases.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

using namespace lariat;
using namespace lariat::test;

/// The worst difference of results and expectation.
static double getError(const AttendCase &example, llvm::ArrayRef<float> results) {
  double worst = 0;
  int64_t width = example.shape.heads * example.shape.dim;
  for (size_t row = 0; row < example.rows.size(); ++row) {
    std::vector<double> expected = example.expect(static_cast<int64_t>(row));
    for (int64_t j = 0; j < width; ++j) {
      double error = std::abs(expected[j] - results[row * width + j]);
      worst = std::max(worst, std::isnan(error) ? 1e30 : error);
    }
  }
  return worst;
}

static bool sameBits(const float *x, const float *y, int64_t count) { return std::memcmp(x, y, count * 4) == 0; }

static void checkCase(const AttendShape &shape, CompiledKernel &code, unsigned seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto below = [&](int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random); };
  AttendCase example(shape, seed, /*numSequences=*/4, /*maxEntries=*/200);
  for (int64_t sequence = 0; sequence < 4; ++sequence)
    example.addRows(sequence, std::array<int64_t, 4>{1, 2, 21, 90}[below(4)]);
  int64_t width = shape.heads * shape.dim, count = static_cast<int64_t>(example.rows.size());
  std::vector<int64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> whole = example.run(code, all, 1);
  EXPECT_LT(getError(example, whole), shape.softcap ? 4e-5 : 1e-5);
  for (int64_t threads : {2, 3, 16})
    EXPECT_TRUE(sameBits(example.run(code, all, threads).data(), whole.data(), count * width)) << threads << " threads";
  for (int64_t row : all)
    EXPECT_TRUE(sameBits(example.run(code, {row}, 1).data(), &whole[row * width], width)) << "row " << row << " alone";
  for (int round = 0; round < 6; ++round) {
    std::vector<int64_t> some;
    for (int64_t row : all)
      if (below(round + 2) == 0)
        some.push_back(row);
    std::vector<float> results = example.run(code, some, 1 + below(2));
    for (auto [i, row] : llvm::enumerate(some))
      EXPECT_TRUE(sameBits(&results[i * width], &whole[row * width], width)) << "row " << row << " with others";
  }
}

/// Infinite and NaN entries must not reach rows that do not see them.
static void checkStrangeEntries(const AttendShape &shape, unsigned seed) {
  SCOPED_TRACE(shape.source());
  std::mt19937 random(seed);
  for (const std::string &target : listTargets()) {
    SCOPED_TRACE(target);
    CompiledKernel code(shape.source(), target);
    AttendCase example(shape, seed, /*numSequences=*/3, /*maxEntries=*/200);
    for (int64_t sequence = 0; sequence < 3; ++sequence)
      example.addRows(sequence, 90);
    int64_t width = shape.heads * shape.dim;
    std::vector<int64_t> all(example.rows.size());
    std::iota(all.begin(), all.end(), 0);
    std::vector<float> before = example.run(code, all, 1);
    std::vector<std::pair<int64_t, int64_t>> strange;
    for (int64_t sequence = 0; sequence < 3; ++sequence)
      for (float number : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
        if (auto count = static_cast<int64_t>(example.sequences[sequence].positions.size())) {
          // Among the last entries, where rows see some and not others.
          strange.push_back({sequence, count - 1 - static_cast<int64_t>(random() % std::min<int64_t>(count, 80))});
          example.setEntry(sequence, strange.back().second, number);
        }
    std::vector<float> after = example.run(code, all, 1);
    int64_t numSpared = 0;
    for (int64_t row : all) {
      const TestRow &fact = example.rows[row];
      bool isHit = llvm::any_of(
          strange, [&](const auto &one) { return one.first == fact.sequence && example.sees(fact, one.second); });
      const float *result = &after[row * width];
      if (isHit) {
        EXPECT_TRUE(std::all_of(result, result + width, [](float x) { return !std::isfinite(x); })) << "row " << row;
        continue;
      }
      ++numSpared;
      EXPECT_TRUE(sameBits(result, &before[row * width], width)) << "row " << row;
    }
    EXPECT_GT(numSpared, 20);
  }
}

static void check(const AttendShape &shape, unsigned seed, unsigned numSeeds = 1) {
  SCOPED_TRACE(shape.source());
  EXPECT_FALSE(listTargets().empty());
  for (const std::string &target : listTargets()) {
    SCOPED_TRACE(target);
    CompiledKernel code(shape.source(), target);
    for (unsigned i = 0; i < numSeeds; ++i)
      checkCase(shape, code, seed + i);
  }
}

TEST(AttendTest, HeadsAndDims) {
  check({.heads = 4, .kvHeads = 2, .dim = 64}, 1);
  check({.heads = 9, .kvHeads = 3, .dim = 64}, 2);
  check({.heads = 3, .kvHeads = 3, .dim = 32}, 3);
  check({.heads = 8, .kvHeads = 1, .dim = 48}, 4);
  check({.heads = 2, .kvHeads = 2, .dim = 80}, 5);
  check({.heads = 20, .kvHeads = 1, .dim = 16}, 6);
  check({.heads = 2, .kvHeads = 1, .dim = 128}, 7);
}

TEST(AttendTest, DimsThatAreNoMultipleOf16) {
  check({.heads = 4, .kvHeads = 2, .dim = 40}, 11);
  check({.heads = 2, .kvHeads = 2, .dim = 20}, 12);
  check({.heads = 4, .kvHeads = 1, .dim = 8}, 13);
  check({.heads = 3, .kvHeads = 3, .dim = 5}, 14);
  check({.heads = 4, .kvHeads = 2, .dim = 8, .isBF16 = true}, 15);
  check({.heads = 4, .kvHeads = 2, .dim = 72, .isBF16 = true, .ropeDims = 72}, 16);
}

TEST(AttendTest, Masks) {
  check({.mask = kernel::MaskKind::Full}, 20, 3);
  check({.mask = kernel::MaskKind::Prefix}, 20, 3);
  check({.heads = 3, .kvHeads = 3, .dim = 32, .mask = kernel::MaskKind::Window, .size = 7}, 20, 3);
  check({.mask = kernel::MaskKind::Window, .size = 100}, 20, 3);
  check({.mask = kernel::MaskKind::Chunk, .size = 48}, 20, 3);
}

TEST(AttendTest, Scores) {
  check({.softcap = 3.0}, 30);
  check({.hasSinks = true}, 31);
  check({.heads = 6, .kvHeads = 2, .biasWidth = 20}, 32);
  check({.mask = kernel::MaskKind::Full, .softcap = 20.0, .hasSinks = true, .biasWidth = 70}, 33);
  check({.heads = 2, .kvHeads = 2, .mask = kernel::MaskKind::Window, .size = 5, .hasSinks = true}, 34);
}

TEST(AttendTest, Ropes) {
  check({.ropeDims = 64}, 40);
  check({.ropeDims = 64, .interleaved = true}, 41);
  check({.dim = 80, .ropeDims = 20}, 42);
  check({.dim = 80, .ropeDims = 54, .interleaved = true}, 43);
  check({.dim = 48, .ropeDims = 10, .interleaved = true}, 44);
}

TEST(AttendTest, BF16Caches) {
  check({.isBF16 = true}, 50);
  check({.heads = 9, .kvHeads = 3, .dim = 48, .isBF16 = true, .hasSinks = true, .ropeDims = 48}, 51);
  check({.isBF16 = true, .mask = kernel::MaskKind::Prefix}, 52);
}

/// How keys lie changes no bit.
TEST(AttendTest, KeysByEntries) {
  const AttendShape shapes[] = {{.heads = 4, .kvHeads = 2, .dim = 64},
                                {.heads = 4, .kvHeads = 2, .dim = 72, .isBF16 = true, .ropeDims = 72},
                                {.heads = 3, .kvHeads = 3, .dim = 5}};
  for (AttendShape shape : shapes) {
    shape.keys = kernel::KeyOrder::Entries;
    check(shape, 80);
    for (const std::string &target : listTargets()) {
      std::vector<std::vector<float>> results;
      for (kernel::KeyOrder order : {kernel::KeyOrder::Columns, kernel::KeyOrder::Entries}) {
        shape.keys = order;
        CompiledKernel code(shape.source(), target);
        AttendCase example(shape, /*seed=*/81, /*numSequences=*/3, /*maxEntries=*/200);
        for (int64_t sequence = 0; sequence < 3; ++sequence)
          example.addRows(sequence, 30);
        std::vector<int64_t> all(example.rows.size());
        std::iota(all.begin(), all.end(), 0);
        results.push_back(example.run(code, all, 2));
      }
      ASSERT_EQ(results[0].size(), results[1].size());
      EXPECT_TRUE(sameBits(results[0].data(), results[1].data(), static_cast<int64_t>(results[0].size()))) << target;
    }
  }
}

TEST(AttendTest, EntriesThatAreNoNumbersReachOnlyRowsThatSeeThem) {
  checkStrangeEntries({}, 60);
  checkStrangeEntries({.heads = 9, .kvHeads = 3, .dim = 40, .isBF16 = true}, 61);
  checkStrangeEntries({.heads = 3, .kvHeads = 3, .dim = 8, .hasSinks = true}, 62);
  checkStrangeEntries({.mask = kernel::MaskKind::Window, .size = 30}, 63);
  checkStrangeEntries({.mask = kernel::MaskKind::Chunk, .size = 25}, 64);
  checkStrangeEntries({.mask = kernel::MaskKind::Prefix, .softcap = 3.0}, 65);
}

TEST(AttendTest, RandomShapes) {
  std::mt19937 random(7);
  auto below = [&](int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random); };
  for (unsigned seed = 100; seed < 106; ++seed) {
    AttendShape shape;
    shape.kvHeads = 1 + below(3);
    shape.heads = shape.kvHeads * (1 + below(5));
    shape.dim = std::array<int64_t, 4>{32, 64, 48, 80}[below(4)];
    shape.isBF16 = below(2);
    shape.mask = static_cast<kernel::MaskKind>(below(5));
    if (shape.mask == kernel::MaskKind::Window || shape.mask == kernel::MaskKind::Chunk)
      shape.size = 1 + below(150);
    if (below(3) == 0)
      shape.softcap = 1.0 + static_cast<double>(below(30));
    shape.hasSinks = below(2);
    shape.biasWidth = below(2) ? 1 + below(90) : 0;
    shape.ropeDims = below(2) ? shape.dim / (1 + below(2)) : 0;
    shape.interleaved = below(2);
    check(shape, seed);
  }
}
