// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of math in row regions against doubles; values per row have the bits of values per column.

#include "lariat/Testing/CompiledKernel.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

#include <cmath>
#include <limits>
#include <random>

using namespace lariat;
using namespace lariat::test;
using llvm::formatv;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Math : public testing::TestWithParam<std::string> {
protected:
  /// `op` of all values, once per column and once per row; the two are the same.
  std::vector<float> apply(const std::string &op, std::vector<float> values) {
    std::string text = formatv(R"(
      func.func @f(%n: index, %x: memref<?x16xf32>, %s: memref<?xf32>, %y: memref<?x16xf32>, %r: memref<?xf32>) {{
        kernel.rowwise rows(%n) width(16) ins(%x, %s : memref<?x16xf32>, memref<?xf32>) vectors []
          outs(%y, %r : memref<?x16xf32>, memref<?xf32>) gather [-1, -1] scatter [-1, -1] {{
        ^bb0(%e: f32, %v: f32):
          %c = {0} %e : f32
          %t = {0} %v : f32
          kernel.yield %c, %t : f32, f32
        }
        return
      })",
                               op);
    CompiledKernel kernel(text, GetParam());
    auto rows = static_cast<int64_t>(values.size());
    Memory<float> x(rows * 16), s(rows), y(rows * 16), r(rows);
    for (int64_t row = 0; row < rows; ++row) {
      s[row] = values[row];
      for (int64_t i = 0; i < 16; ++i)
        x[row * 16 + i] = values[row];
    }
    kernel.run({rows, x, s, y, r});
    std::vector<float> results(rows);
    for (int64_t row = 0; row < rows; ++row) {
      results[row] = y[row * 16];
      bool isSame = std::isnan(r[row]) ? std::isnan(y[row * 16 + 5]) : bitsOf(r[row]) == bitsOf(y[row * 16 + 5]);
      EXPECT_TRUE(isSame) << op << " of " << values[row] << ": " << r[row] << " per row, " << y[row * 16 + 5]
                          << " per column";
    }
    return results;
  }

  std::vector<float> spread(float low, float high, int64_t count = 20000) {
    std::mt19937 random(3);
    std::vector<float> values(count);
    for (float &value : values)
      value = std::uniform_real_distribution<float>(low, high)(random);
    return values;
  }

  /// The largest error, in units in the last place of the exact result.
  double getError(const std::string &op, float low, float high, double (*exact)(double)) {
    std::vector<float> values = spread(low, high), results = apply(op, values);
    double worst = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      double expected = exact(values[i]);
      auto near = static_cast<float>(std::abs(expected));
      double unit = std::nextafter(near, kInfinity) - near;
      worst = std::max(worst, std::abs(results[i] - expected) / unit);
    }
    return worst;
  }
};

} // namespace

TEST_P(Math, Exp) {
  EXPECT_LE(getError("math.exp", -87, 88, std::exp), 1.0);
  EXPECT_LE(getError("math.exp", -1, 1, std::exp), 1.0);
  EXPECT_LE(getError("math.exp", -103, -87, std::exp), 1.5) << "numbers below the smallest normal one";
  std::vector<float> results = apply(
      "math.exp", {0.0f, -0.0f, -kInfinity, kInfinity, NAN, 88.72f, 88.73f, 1e30f, -103.9f, -104.0f, -1e30f, 1e-30f});
  EXPECT_EQ(results[0], 1);
  EXPECT_EQ(results[1], 1);
  EXPECT_EQ(results[2], 0);
  EXPECT_EQ(results[3], kInfinity);
  EXPECT_TRUE(std::isnan(results[4]));
  EXPECT_TRUE(std::isfinite(results[5]));
  EXPECT_EQ(results[6], kInfinity);
  EXPECT_EQ(results[7], kInfinity);
  EXPECT_GT(results[8], 0);
  EXPECT_EQ(results[9], 0);
  EXPECT_EQ(results[10], 0);
  EXPECT_EQ(results[11], 1);
}

TEST_P(Math, Exp2) {
  EXPECT_LE(getError("math.exp2", -125, 127, std::exp2), 1.0);
  std::vector<float> results = apply("math.exp2", {0, 1, -1, 10, 128, -149, -151, kInfinity, -kInfinity});
  std::vector<float> expected = {1, 2, 0.5f, 1024, kInfinity, std::ldexp(1.0f, -149), 0, kInfinity, 0};
  EXPECT_EQ(results, expected);
  EXPECT_TRUE(std::isnan(apply("math.exp2", {NAN})[0]));
}

TEST_P(Math, Polynomials) {
  EXPECT_LE(getError("math.tanh", -9, 9, std::tanh), 4);
  EXPECT_LE(getError("math.log", 1e-3f, 1000, std::log), 4);
  EXPECT_LE(getError("math.log2", 1e-3f, 1000, std::log2), 4);
  EXPECT_LE(getError("math.log1p", -0.5f, 10, std::log1p), 8);
  EXPECT_LE(getError("math.expm1", -5, 10, std::expm1), 8);
  EXPECT_LE(getError("math.erf", -4, 4, std::erf), 8);
  for (const char *op : {"math.tanh", "math.log", "math.log2", "math.log1p", "math.expm1", "math.erf"})
    EXPECT_TRUE(std::isnan(apply(op, {NAN})[0])) << op;
  EXPECT_EQ(apply("math.log", {0.0f, 1.0f, kInfinity}), (std::vector<float>{-kInfinity, 0, kInfinity}));
  EXPECT_EQ(apply("math.tanh", {0.0f, kInfinity, -kInfinity, 50}), (std::vector<float>{0, 1, -1, 1}));
}

TEST_P(Math, LibraryFunctions) {
  EXPECT_LE(getError("math.sin", -100, 100, std::sin), 1);
  EXPECT_LE(getError("math.cos", -100, 100, std::cos), 1);
  EXPECT_LE(getError("math.atan", -10, 10, std::atan), 1);
  EXPECT_LE(getError("math.cbrt", -10, 10, std::cbrt), 1);
}

TEST_P(Math, Exact) {
  EXPECT_LE(getError("math.sqrt", 0, 100, std::sqrt), 0.5);
  EXPECT_LE(getError("math.rsqrt", 1e-3f, 100, [](double x) { return 1 / std::sqrt(x); }), 1.5);
  EXPECT_EQ(getError("math.floor", -100, 100, std::floor), 0);
  EXPECT_EQ(getError("math.ceil", -100, 100, std::ceil), 0);
  EXPECT_EQ(getError("math.round", -100, 100, std::round), 0);
  EXPECT_EQ(getError("math.roundeven", -100, 100, std::nearbyint), 0);
  EXPECT_EQ(getError("math.trunc", -100, 100, std::trunc), 0);
  EXPECT_EQ(getError("math.absf", -100, 100, std::fabs), 0);
}

INSTANTIATE_TEST_SUITE_P(Targets, Math, testing::ValuesIn(listTargets()), [](const auto &info) { return info.param; });
