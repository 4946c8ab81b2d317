// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.gemm against plain loops, bit by bit where the sums are all there is, and against doubles elsewhere.

#include "lariat/Testing/CompiledKernel.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace lariat;
using namespace lariat::test;
using llvm::formatv;

namespace {

/// Formats of panels, and whether caches do not hold them.
constexpr std::pair<const char *, bool> kFormats[] = {{"f32", false}, {"f32", true},  {"bf16", false},
                                                      {"bf16", true}, {"f16", false}, {"f16", true}};

class Gemm : public testing::TestWithParam<std::string> {
protected:
  std::mt19937 random{7};
  float draw() { return std::normal_distribution<float>()(random); }
  std::vector<float> drawMany(int64_t count) {
    std::vector<float> values(count);
    for (float &value : values)
      value = draw();
    return values;
  }
};

Memory<float> makeRows(const std::vector<float> &values, int64_t rows, int64_t width) {
  Memory<float> memory(rows * lineOf(width) + 1);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(values.begin() + row * width, width, memory.get() + row * lineOf(width));
  return memory;
}

/// Panels of each depth, one after the other.
void packDepths(char *to, const std::vector<float> &weights, int64_t depths, int64_t n, int64_t k) {
  for (int64_t depth = 0; depth < depths; ++depth) {
    std::vector<float> part(weights.begin() + depth * n * k, weights.begin() + (depth + 1) * n * k);
    packPanels(to + depth * lineOf(n) * k * 4, part, n, k);
  }
}

/// A row table: a stretch of one depth, then mixed ones.
Memory<int64_t> makeDepths(int64_t rows) {
  Memory<int64_t> table(rows * 6);
  for (int64_t row = 0; row < rows; ++row)
    table[row * 6 + lariat::abi::kDepth] = row < 30 ? 1 : row * row % 4;
  return table;
}

} // namespace

// Every sum is one chain of fma with k ascending, so plain loops give the same bits.
TEST_P(Gemm, SumsAreOneChain) {
  struct Shape {
    int64_t n, k;
  };
  for (Shape shape : {Shape{1, 1}, Shape{16, 3}, Shape{33, 17}, Shape{100, 65}, Shape{144, 35}, Shape{192, 64}})
    for (auto [format, isStreamed] : kFormats) {
      auto [n, k] = shape;
      CompiledKernel kernel(getPlainGemm(n, k, format, {}, isStreamed), GetParam());
      std::vector<float> weights = drawMany(n * k);
      Memory<char> packed(lineOf(n) * (k + 1) * 4);
      packPanels(packed.get(), weights, n, k, format);
      std::vector<int64_t> counts = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 31, 64, 65, 70, 131};
      for (int64_t m : counts)
        for (int64_t numThreads : {1, 2, 5}) {
          std::vector<float> x = drawMany(m * k);
          Memory<float> in = makeRows(x, m, k), out(m * lineOf(n) + 1);
          kernel.run({m, in, out}, packed.get(), numThreads);
          for (int64_t row = 0; row < m; ++row)
            for (int64_t column = 0; column < n; ++column) {
              float sum = 0;
              for (int64_t i = 0; i < k; ++i)
                sum = std::fma(x[row * k + i], roundTo(format, weights[column * k + i]), sum);
              ASSERT_EQ(bitsOf(out[row * lineOf(n) + column]), bitsOf(sum))
                  << "m " << m << " n " << n << " k " << k << " row " << row << " column " << column << " threads "
                  << numThreads << ' ' << format << " streamed " << isStreamed;
            }
          ASSERT_TRUE(std::isnan(out[m * lineOf(n)])) << "wrote beyond the last line";
        }
    }
}

// A tile of any rows takes some of the columns of a wide panel, or several panels, and threads have whole ones.
TEST_P(Gemm, WidthOfPanelsChangesNoBit) {
  int64_t n = 200, k = 19;
  for (auto [format, isStreamed] : kFormats) {
    std::vector<float> weights = drawMany(n * k);
    Memory<char> narrow(lineOf(n) * (k + 1) * 4), wide((lineOf(n) + 128) * (k + 1) * 4);
    packPanels(narrow.get(), weights, n, k, format);
    CompiledKernel expected(getPlainGemm(n, k, format, {}, isStreamed), GetParam());
    for (int64_t columns : {32, 64, 128}) {
      packPanels(wide.get(), weights, n, k, format, columns);
      CompiledKernel kernel(getPlainGemm(n, k, format, {}, isStreamed, columns), GetParam());
      for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 13, 70})
        for (int64_t numThreads : {1, 3}) {
          std::vector<float> x = drawMany(m * k);
          Memory<float> in = makeRows(x, m, k), first(m * lineOf(n)), second(m * lineOf(n));
          expected.run({m, in, first}, narrow.get(), numThreads);
          kernel.run({m, in, second}, wide.get(), numThreads);
          for (int64_t row = 0; row < m; ++row)
            ASSERT_EQ(memcmp(&first[row * lineOf(n)], &second[row * lineOf(n)], n * 4), 0)
                << format << " of " << columns << " columns, far " << isStreamed << ", m " << m << " row " << row
                << " threads " << numThreads;
        }
    }
  }
}

// A norm before, two products side by side, and what a gated feed-forward does after, with lines chosen both ways.
TEST_P(Gemm, PrologueAndEpilogue) {
  int64_t n = 40, k = 37, m = 70, lines = 90;
  std::string text = formatv(R"(
    kernel.packed @gate panels ["g"] shape [{0}, {1}] offset(0) : f32
    kernel.packed @up panels ["u"] shape [{0}, {1}] offset(8192) : bf16
    kernel.packed @norm vector ["n"] shape [{1}] offset(16384) : f32
    kernel.packed @bias vector ["b"] shape [{0}] offset(20480) : f32
    func.func @f(%n: index, %x: {2}, %r: {3}, %factor: memref<?xf32>, %two: f32, %y: {3}, %to: memref<?xindex>,
                 %from: memref<?xindex>) {{
      kernel.gemm rows(%n) k({1}) n({0}) ins(%x : {2}) vectors [@norm] weights [@gate, @up]
        extras(%r, %factor, %two : {3}, memref<?xf32>, f32) epilogue_vectors [@bias] outs(%y : {3})
        indices(%to, %from : memref<?xindex>, memref<?xindex>) gather [1, 1, -1, -1] scatter [0] prologue {{
      ^bb0(%e: f32, %g: f32):
        %width = arith.constant {1}.0 : f32
        %one = arith.constant 1.0 : f32
        %eps = arith.constant 0.01 : f32
        %square = arith.mulf %e, %e : f32
        %sum = kernel.reduce sum %square : f32
        %mean = arith.divf %sum, %width : f32
        %above = arith.addf %mean, %eps : f32
        %root = math.sqrt %above : f32
        %scale = arith.divf %one, %root : f32
        %scaled = arith.mulf %e, %scale : f32
        %weighted = arith.mulf %scaled, %g : f32
        kernel.yield %weighted : f32
      } epilogue {{
      ^bb0(%g: f32, %u: f32, %res: f32, %f: f32, %t: f32, %b: f32):
        %one = arith.constant 1.0 : f32
        %minus = arith.negf %g : f32
        %exp = math.exp %minus : f32
        %below = arith.addf %one, %exp : f32
        %silu = arith.divf %g, %below : f32
        %product = arith.mulf %silu, %u : f32
        %biased = arith.addf %product, %b : f32
        %ft = arith.mulf %f, %t : f32
        %scaled = arith.mulf %biased, %ft : f32
        %out = arith.addf %scaled, %res : f32
        kernel.yield %out : f32
      }
      return
    })",
                             n, k, bufferType(k), bufferType(n));
  CompiledKernel kernel(text, GetParam());
  std::vector<float> gate = drawMany(n * k), up = drawMany(n * k), norm = drawMany(k), bias = drawMany(n);
  Memory<char> packed(32768);
  packPanels(packed.get(), gate, n, k);
  packPanels(packed.get() + 8192, up, n, k, "bf16");
  std::copy_n(norm.begin(), k, reinterpret_cast<float *>(packed.get() + 16384));
  std::copy_n(bias.begin(), n, reinterpret_cast<float *>(packed.get() + 20480));
  std::vector<float> x = drawMany(lines * k), residual = drawMany(lines * n);
  Memory<float> in = makeRows(x, lines, k), extra = makeRows(residual, lines, n), factor(m);
  Memory<int64_t> to(m), from(m);
  for (int64_t i = 0; i < m; ++i) {
    factor[i] = draw();
    to[i] = (i * 7 + 3) % lines;
    from[i] = (i * 11 + 1) % lines;
  }
  auto runWith = [&](int64_t first, int64_t count, int64_t numThreads) {
    Memory<float> out(lines * lineOf(n));
    kernel.run({count, in, extra, static_cast<void *>(factor.get() + first), bitsOf(2.0f), out,
                static_cast<void *>(to.get() + first), static_cast<void *>(from.get() + first)},
               packed.get(), numThreads);
    return out;
  };
  Memory<float> out = runWith(0, m, 1);
  for (int64_t i = 0; i < m; ++i) {
    const float *row = &x[from[i] * k];
    double squares = 0;
    for (int64_t j = 0; j < k; ++j)
      squares += double(row[j]) * row[j];
    double scale = 1 / std::sqrt(squares / k + 0.01);
    for (int64_t column = 0; column < n; ++column) {
      double g = 0, u = 0;
      for (int64_t j = 0; j < k; ++j) {
        double a = row[j] * scale * norm[j];
        g += a * gate[column * k + j];
        u += a * roundTo("bf16", up[column * k + j]);
      }
      double expected = (g / (1 + std::exp(-g)) * u + bias[column]) * factor[i] * 2 + residual[from[i] * n + column];
      ASSERT_NEAR(out[to[i] * lineOf(n) + column], expected, 1e-4 * (1 + std::abs(expected)));
    }
  }
  for (int64_t numThreads : {2, 3, 7}) {
    Memory<float> other = runWith(0, m, numThreads);
    for (int64_t i = 0; i < m; ++i)
      ASSERT_EQ(memcmp(&out[to[i] * lineOf(n)], &other[to[i] * lineOf(n)], n * 4), 0) << numThreads << " threads";
  }
  for (int64_t i = 0; i < m; ++i) {
    Memory<float> alone = runWith(i, 1, 1);
    ASSERT_EQ(memcmp(&out[to[i] * lineOf(n)], &alone[to[i] * lineOf(n)], n * 4), 0) << "row " << i << " alone";
  }
}

// Rows of several depths read their own weights and vectors; a depth beyond the last reads the last.
TEST_P(Gemm, DepthIndexed) {
  int64_t n = 20, k = 10, m = 77, depths = 3;
  std::string text = formatv(R"(
    kernel.packed @w panels ["w"] shape [{0}, {1}] depths(3) offset(0) : f32
    kernel.packed @b vector ["b"] shape [{0}] depths(3) offset(8192) : f32
    func.func @f(%n: index, %t: memref<?x6xindex>, %x: {2}, %y: {3}) {{
      kernel.gemm rows(%n) k({1}) n({0}) at %t : memref<?x6xindex> ins(%x : {2}) vectors [] weights [@w]
        epilogue_vectors [@b] outs(%y : {3}) gather [-1] scatter [-1] prologue {{
      ^bb0(%e: f32):
        %two = arith.constant 2.0 : f32
        %d = arith.mulf %e, %two : f32
        kernel.yield %d : f32
      } epilogue {{
      ^bb0(%s: f32, %b: f32):
        %r = arith.addf %s, %b : f32
        kernel.yield %r : f32
      }
      return
    })",
                             n, k, bufferType(k), bufferType(n));
  CompiledKernel kernel(text, GetParam());
  std::vector<float> weights = drawMany(depths * n * k), bias = drawMany(depths * n), x = drawMany(m * k);
  Memory<char> packed(16384);
  packDepths(packed.get(), weights, depths, n, k);
  for (int64_t depth = 0; depth < depths; ++depth)
    std::copy_n(bias.begin() + depth * n, n, reinterpret_cast<float *>(packed.get() + 8192) + depth * lineOf(n));
  Memory<int64_t> table = makeDepths(m);
  Memory<float> in = makeRows(x, m, k);
  for (int64_t numThreads : {1, 2}) {
    Memory<float> out(m * lineOf(n));
    kernel.run({m, table, in, out}, packed.get(), numThreads);
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < n; ++column) {
        int64_t depth = std::min<int64_t>(table[row * 6 + lariat::abi::kDepth], depths - 1);
        float sum = 0;
        for (int64_t i = 0; i < k; ++i)
          sum = std::fma(x[row * k + i] * 2, weights[(depth * n + column) * k + i], sum);
        ASSERT_EQ(out[row * lineOf(n) + column], sum + bias[depth * n + column]) << row << ' ' << column;
      }
  }
}

// Sums go on with the pair of the row's depth: one chain over k, then over the rank, whoever shares the call. They are
// written where they belong at once, or kept for an epilogue.
TEST_P(Gemm, LowRankGoesOnByDepth) {
  int64_t n = 40, k = 21, rank = 7, m = 77, depths = 3;
  auto makeText = [&](std::string weights, std::string arguments, std::string epilogue) -> std::string {
    return formatv(R"(
    kernel.packed @gate panels ["g"] shape [{0}, {1}] offset(0) : f32
    kernel.packed @up panels ["u"] shape [{0}, {1}] offset(8192) : f32
    kernel.packed @b panels ["b"] shape [{0}, {2}] depths(3) offset(16384) : f32
    func.func @f(%n: index, %t: memref<?x6xindex>, %x: {3}, %h: {4}, %y: {5}) {{
      kernel.gemm rows(%n) k({1}) n({0}) at %t : memref<?x6xindex> ins(%x : {3}) vectors [] weights {6}
        low_rank(%h : {4}) weights [@b] of [0] epilogue_vectors [] outs(%y : {5}) gather [-1] scatter [-1] prologue {{
      ^bb0(%e: f32):
        kernel.yield %e : f32
      } epilogue {{
      ^bb0({7}):
        {8}
      }
      return
    })",
                   n, k, rank, bufferType(k), bufferType(rank), bufferType(n), weights, arguments, epilogue);
  };
  CompiledKernel direct(makeText("[@up]", "%u: f32", "kernel.yield %u : f32"), GetParam());
  CompiledKernel kept(
      makeText("[@up, @gate]", "%u: f32, %g: f32", "%r = arith.addf %g, %u : f32\n kernel.yield %r : f32"), GetParam());
  std::vector<float> gate = drawMany(n * k), up = drawMany(n * k), second = drawMany(depths * n * rank);
  std::vector<float> x = drawMany(m * k), h = drawMany(m * rank);
  Memory<char> packed(24576);
  packPanels(packed.get(), gate, n, k);
  packPanels(packed.get() + 8192, up, n, k);
  packDepths(packed.get() + 16384, second, depths, n, rank);
  Memory<int64_t> table = makeDepths(m);
  for (int64_t count : {1, 2, 5, 8, 20, 77})
    for (int64_t numThreads : {1, 2}) {
      Memory<float> in = makeRows(x, count, k), inner = makeRows(h, count, rank);
      Memory<float> sums(count * lineOf(n)), both(count * lineOf(n));
      direct.run({count, table, in, inner, sums}, packed.get(), numThreads);
      kept.run({count, table, in, inner, both}, packed.get(), numThreads);
      for (int64_t row = 0; row < count; ++row)
        for (int64_t column = 0; column < n; ++column) {
          int64_t depth = std::min<int64_t>(table[row * 6 + lariat::abi::kDepth], depths - 1);
          float g = 0, u = 0;
          for (int64_t i = 0; i < k; ++i) {
            g = std::fma(x[row * k + i], gate[column * k + i], g);
            u = std::fma(x[row * k + i], up[column * k + i], u);
          }
          for (int64_t i = 0; i < rank; ++i)
            u = std::fma(h[row * rank + i], second[(depth * n + column) * rank + i], u);
          ASSERT_EQ(bitsOf(sums[row * lineOf(n) + column]), bitsOf(u)) << count << " rows, " << row << ' ' << column;
          ASSERT_EQ(bitsOf(both[row * lineOf(n) + column]), bitsOf(g + u))
              << count << " rows, " << row << ' ' << column;
        }
    }
}

// An out that is some columns of a wider buffer leaves the columns after it alone.
TEST_P(Gemm, KeepsNeighbouringColumns) {
  int64_t n = 20, k = 8, m = 9;
  std::string out = "memref<?x20xf32, strided<[48, 1]>>";
  std::string text = getPlainGemm(n, k, "f32", out);
  CompiledKernel kernel(text, GetParam());
  std::vector<float> weights = drawMany(n * k), x = drawMany(m * k);
  Memory<char> packed(4096);
  packPanels(packed.get(), weights, n, k);
  Memory<float> in = makeRows(x, m, k), wide(m * 48);
  for (size_t i = 0; i < wide.size(); ++i)
    wide[i] = 5;
  kernel.run({m, in, wide}, packed.get());
  for (int64_t row = 0; row < m; ++row)
    for (int64_t column = 20; column < 48; ++column)
      ASSERT_EQ(wide[row * 48 + column], 5) << row << ' ' << column;
}

// There is no machine to run it on here, but it is compiled.
TEST(GemmCode, ForEveryTarget) {
  for (const CPUTarget &target : getCPUTargets())
    for (const char *format : {"f32", "bf16", "f16"})
      EXPECT_FALSE(compileObject(getPlainGemm(33, 17, format), target).bytes.empty()) << target.name;
}

INSTANTIATE_TEST_SUITE_P(Targets, Gemm, testing::ValuesIn(listTargets()), [](const auto &info) { return info.param; });
