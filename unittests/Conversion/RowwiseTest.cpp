// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.rowwise against plain loops.

#include "lariat/Testing/CompiledKernel.h"
#include "llvm/ADT/STLExtras.h"
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

class Rowwise : public testing::TestWithParam<std::string> {
protected:
  std::mt19937 random{11};
  float draw() { return std::normal_distribution<float>()(random); }
};

/// Sixteen partial results, then halves; as kernel.reduce says.
template <typename Combine>
float reduce(const float *row, int64_t width, float start, Combine combine) {
  float partials[16];
  std::fill_n(partials, 16, start);
  for (int64_t i = 0; i < width; ++i)
    partials[i % 16] = combine(partials[i % 16], row[i]);
  for (int64_t half = 8; half >= 1; half /= 2)
    for (int64_t i = 0; i < half; ++i)
      partials[i] = combine(partials[i], partials[i + half]);
  return partials[0];
}

} // namespace

TEST_P(Rowwise, ReducesInDocumentedOrder) {
  for (int64_t width : {1, 5, 15, 16, 17, 40, 576}) {
    CompiledKernel kernel(formatv(R"(
      func.func @f(%n: index, %x: {0}, %s: memref<?xf32>, %a: memref<?xf32>, %i: memref<?xf32>, %y: {0}) {{
        kernel.rowwise rows(%n) width({1}) ins(%x : {0}) vectors [] outs(%s, %a, %i, %y : memref<?xf32>, memref<?xf32>,
          memref<?xf32>, {0}) gather [-1] scatter [-1, -1, -1, -1] {{
        ^bb0(%in_e: f32):
          %in_s = kernel.reduce sum %in_e : f32
          %in_a = kernel.reduce max %in_e : f32
          %in_i = kernel.reduce min %in_e : f32
          %in_d = arith.subf %in_e, %in_s : f32
          kernel.yield %in_s, %in_a, %in_i, %in_d : f32, f32, f32, f32
        }
        return
      })",
                                  bufferType(width), width)
                              .str(),
                          GetParam());
    int64_t rows = 5, line = lineOf(width);
    Memory<float> x(rows * line), sums(rows), most(rows), least(rows), y(rows * line);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < width; ++i)
        x[row * line + i] = draw();
    kernel.run({rows, x, sums, most, least, y}, nullptr, 2);
    for (int64_t row = 0; row < rows; ++row) {
      const float *values = &x[row * line];
      float sum = reduce(values, width, 0.0f, [](float a, float b) { return a + b; });
      EXPECT_EQ(bitsOf(sums[row]), bitsOf(sum)) << width;
      EXPECT_EQ(most[row], *std::max_element(values, values + width));
      EXPECT_EQ(least[row], *std::min_element(values, values + width));
      for (int64_t i = 0; i < width; ++i)
        ASSERT_EQ(y[row * line + i], values[i] - sum);
    }
  }
}

// Three reductions one after the other, each with what the one before gave; in place.
TEST_P(Rowwise, SoftmaxInPlace) {
  int64_t width = 100, rows = 7, line = lineOf(width);
  CompiledKernel kernel(formatv(R"(
    func.func @f(%n: index, %x: {0}, %y: {0}) {{
      kernel.rowwise rows(%n) width({1}) ins(%x : {0}) vectors [] outs(%y : {0}) gather [-1] scatter [-1] {{
      ^bb0(%in_e: f32):
        %in_most = kernel.reduce max %in_e : f32
        %in_d = arith.subf %in_e, %in_most : f32
        %in_p = math.exp %in_d : f32
        %in_sum = kernel.reduce sum %in_p : f32
        %in_r = arith.divf %in_p, %in_sum : f32
        kernel.yield %in_r : f32
      }
      return
    })",
                                bufferType(width), width)
                            .str(),
                        GetParam());
  Memory<float> x(rows * line), y(rows * line);
  for (int64_t i = 0; i < rows * line; ++i)
    x[i] = i % line < width ? 5 * draw() : NAN;
  kernel.run({rows, x, y});
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = &x[row * line];
    double most = *std::max_element(values, values + width), sum = 0;
    for (int64_t i = 0; i < width; ++i)
      sum += std::exp(values[i] - most);
    for (int64_t i = 0; i < width; ++i)
      ASSERT_NEAR(y[row * line + i], std::exp(values[i] - most) / sum, 1e-6);
  }
  kernel.run({rows, x, x}, nullptr, 3);
  for (int64_t row = 0; row < rows; ++row)
    ASSERT_EQ(memcmp(&x[row * line], &y[row * line], width * 4), 0);
}

TEST_P(Rowwise, ArgmaxTakesTheFirst) {
  for (int64_t width : {3, 16, 50}) {
    CompiledKernel kernel(formatv(R"(
      func.func @f(%n: index, %x: {0}, %y: memref<?xi32>) {{
        kernel.rowwise rows(%n) width({1}) ins(%x : {0}) vectors [] outs(%y : memref<?xi32>) gather [-1] scatter [-1] {{
        ^bb0(%in_e: f32):
          %in_a = kernel.argmax %in_e
          kernel.yield %in_a : i32
        }
        return
      })",
                                  bufferType(width), width)
                              .str(),
                          GetParam());
    int64_t rows = 300, line = lineOf(width);
    Memory<float> x(rows * line);
    Memory<int32_t> y(rows);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < line; ++i) {
        int64_t kind = random() % (row % 3 ? 8 : 40);
        x[row * line + i] = i >= width || kind == 0 ? NAN : kind == 1 ? -kInfinity : static_cast<float>(random() % 4);
      }
    for (int64_t i = 0; i < width; ++i) { // nothing larger than minus infinity
      x[i] = -kInfinity;
      x[line + i] = i ? NAN : -kInfinity;
    }
    kernel.run({rows, x, y});
    for (int64_t row = 0; row < rows; ++row) {
      int64_t best = 0; // the model level's rule, see LariatToReference
      for (int64_t i = 1; i < width; ++i)
        if (x[row * line + i] > x[row * line + best])
          best = i;
      ASSERT_EQ(y[row], best) << "row " << row << " width " << width;
    }
  }
}

// Heads of 20 columns: their ends are in the middle of vectors, and belong to the next head.
TEST_P(Rowwise, GroupsDoNotTouchTheirNeighbours) {
  int64_t width = 20, groups = 3, rows = 4, line = lineOf(width * groups);
  CompiledKernel kernel(formatv(R"(
    kernel.packed @w vector ["w"] shape [20] offset(0) : f32
    func.func @f(%n: index, %x: {0}, %y: {0}) {{
      kernel.rowwise rows(%n) width({1}) ins(%x : {0}) vectors [@w] outs(%y : {0}) gather [-1] scatter [-1]
        attributes {{groups = 3 : i64} {{
      ^bb0(%in_e: f32, %in_w: f32):
        %in_sum = kernel.reduce sum %in_e : f32
        %in_d = arith.divf %in_e, %in_sum : f32
        %in_r = arith.mulf %in_d, %in_w : f32
        kernel.yield %in_r : f32
      }
      return
    })",
                                bufferType(width * groups), width)
                            .str(),
                        GetParam());
  Memory<float> x(rows * line), y(rows * line + 1), w(lineOf(width));
  for (int64_t i = 0; i < rows * line; ++i)
    x[i] = draw();
  for (int64_t i = 0; i < width; ++i)
    w[i] = draw();
  kernel.run({rows, x, y}, w.get());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      const float *values = &x[row * line + group * width];
      float sum = reduce(values, width, 0.0f, [](float a, float b) { return a + b; });
      for (int64_t i = 0; i < width; ++i)
        ASSERT_EQ(y[row * line + group * width + i], values[i] / sum * w[i]);
    }
  EXPECT_TRUE(std::isnan(y[line - 1])) << "wrote beyond the last group";
  kernel.run({rows, x, x}, w.get());
  for (int64_t row = 0; row < rows; ++row)
    ASSERT_EQ(memcmp(&x[row * line], &y[row * line], width * groups * 4), 0) << "in place";
}

// Bits, integers, indices, halves, scalars, facts; lines chosen on both sides.
TEST_P(Rowwise, AllTypes) {
  int64_t width = 21, rows = 9, lines = 12, line = lineOf(width);
  CompiledKernel kernel(formatv(R"(
    kernel.packed @c vector [] shape [21] value(dense<3> : tensor<21xi32>) offset(0) : i32
    func.func @f(%n: index, %t: memref<?x6xindex>, %b: {1}, %i: {2}, %h: {3}, %on: memref<?xi1>, %f: f32, %go: i1,
                 %k: index, %oh: {3}, %oi: {2}, %ob: {1}, %op: memref<?xindex>, %from: memref<?xindex>,
                 %to: memref<?xindex>) {{
      kernel.rowwise rows(%n) width({0}) at %t : memref<?x6xindex>
        ins(%b, %i, %h, %on, %f, %go, %k : {1}, {2}, {3}, memref<?xi1>, f32, i1, index) vectors [@c]
        outs(%oh, %oi, %ob, %op : {3}, {2}, {1}, memref<?xindex>)
        indices(%from, %to : memref<?xindex>, memref<?xindex>)
        gather [0, 0, -1, -1, -1, -1, -1] scatter [-1, 1, -1, -1] {{
      ^bb0(%in_b: i1, %in_i: i32, %in_h: bf16, %in_on: i1, %in_f: f32, %in_go: i1, %in_k: index, %in_c: i32):
        %in_position = kernel.fact position
        %in_p = arith.addi %in_position, %in_k : index
        %in_p32 = arith.index_cast %in_p : index to i32
        %in_both = arith.andi %in_b, %in_on : i1
        %in_all = arith.andi %in_both, %in_go : i1
        %in_wide = arith.extf %in_h : bf16 to f32
        %in_scaled = arith.mulf %in_wide, %in_f : f32
        %in_narrow = arith.truncf %in_scaled : f32 to bf16
        %in_sum = arith.addf %in_narrow, %in_h : bf16
        %in_half = arith.select %in_all, %in_sum, %in_h : bf16
        %in_q = arith.divsi %in_i, %in_c : i32
        %in_r = arith.addi %in_q, %in_p32 : i32
        %in_less = arith.cmpi slt, %in_r, %in_i : i32
        kernel.yield %in_half, %in_r, %in_less, %in_p : bf16, i32, i1, index
      }
      return
    })",
                                width, bufferType(width, "i1"), bufferType(width, "i32"), bufferType(width, "bf16"))
                            .str(),
                        GetParam());
  Memory<int64_t> table(rows * 6), from(rows), to(rows), outIndex(rows);
  Memory<uint8_t> bits(lines * line), on(rows), outBits(rows * line);
  Memory<int32_t> integers(lines * line), outIntegers(lines * line), constants(line);
  Memory<uint16_t> halves(rows * line), outHalves(rows * line);
  for (int64_t i = 0; i < lines * line; ++i) {
    bits[i] = random() & 1;
    integers[i] = static_cast<int32_t>(random() % 100) - 50;
  }
  for (int64_t i = 0; i < rows * line; ++i)
    halves[i] = toBF16(draw());
  for (int64_t i = 0; i < line; ++i)
    constants[i] = i < width ? 3 : 0;
  for (int64_t row = 0; row < rows; ++row) {
    table[row * 6 + 2] = row * 5;
    on[row] = row % 2;
    from[row] = lines - 1 - row;
    to[row] = row + 3;
  }
  kernel.run({rows, table, bits, integers, halves, on, bitsOf(1.25f), int64_t(1), int64_t(7), outHalves, outIntegers,
              outBits, outIndex, from, to},
             constants.get(), 2);
  for (int64_t row = 0; row < rows; ++row) {
    EXPECT_EQ(outIndex[row], row * 5 + 7);
    for (int64_t i = 0; i < width; ++i) {
      int32_t integer = integers[from[row] * line + i], result = integer / 3 + static_cast<int32_t>(row) * 5 + 7;
      float half = fromBF16(halves[row * line + i]), scaled = fromBF16(toBF16(half * 1.25f));
      bool all = bits[from[row] * line + i] && on[row];
      ASSERT_EQ(outHalves[row * line + i], toBF16(all ? scaled + half : half));
      ASSERT_EQ(outIntegers[to[row] * line + i], result);
      ASSERT_EQ(outBits[row * line + i], result < integer);
    }
  }
}

// What is in the padding of a line may not stop the program.
TEST_P(Rowwise, DivisionByPadding) {
  CompiledKernel kernel(R"(
    func.func @f(%n: index, %x: memref<?x3xi32, strided<[16, 1]>>, %y: memref<?x3xi32, strided<[16, 1]>>,
                 %q: memref<?x3xi32, strided<[16, 1]>>) {
      kernel.rowwise rows(%n) width(3) ins(%x, %y : memref<?x3xi32, strided<[16, 1]>>,
        memref<?x3xi32, strided<[16, 1]>>) vectors [] outs(%q : memref<?x3xi32, strided<[16, 1]>>) gather [-1, -1]
        scatter [-1] {
      ^bb0(%in_a: i32, %in_b: i32):
        %in_d = arith.divsi %in_a, %in_b : i32
        %in_f = arith.floordivsi %in_a, %in_b : i32
        %in_r = arith.remsi %in_a, %in_b : i32
        %in_s = arith.addi %in_d, %in_f : i32
        %in_t = arith.addi %in_s, %in_r : i32
        kernel.yield %in_t : i32
      }
      return
    })",
                        GetParam());
  Memory<int32_t> x(16), y(16), q(16);
  int32_t as[] = {-7, 9, 5}, bs[] = {2, -1, -3};
  for (int64_t i = 0; i < 16; ++i) {
    x[i] = i < 3 ? as[i] : std::numeric_limits<int32_t>::min();
    y[i] = i < 3 ? bs[i] : i % 2 ? 0 : -1;
  }
  kernel.run({int64_t(1), x, y, q});
  for (int64_t i = 0; i < 3; ++i) {
    int32_t floor = static_cast<int32_t>(std::floor(static_cast<double>(as[i]) / bs[i]));
    EXPECT_EQ(q[i], as[i] / bs[i] + floor + as[i] % bs[i]);
  }
}

TEST_P(Rowwise, VectorsOfTheRowsDepth) {
  CompiledKernel kernel(R"(
    kernel.packed @w vector ["w"] shape [16] depths(2) offset(64) : f32
    func.func @f(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors [@w]
        outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] {
      ^bb0(%in_e: f32, %in_w: f32):
        %in_r = arith.mulf %in_e, %in_w : f32
        kernel.yield %in_r : f32
      }
      return
    })",
                        GetParam());
  Memory<float> w(48), x(32);
  Memory<int64_t> table(12);
  for (int64_t i = 0; i < 48; ++i)
    w[i] = static_cast<float>(i);
  for (int64_t i = 0; i < 32; ++i)
    x[i] = 2;
  table[3] = 1;
  table[9] = 0;
  kernel.run({int64_t(2), table, x, x}, w.get());
  for (int64_t i = 0; i < 16; ++i) {
    EXPECT_EQ(x[i], 2 * static_cast<float>(32 + i));
    EXPECT_EQ(x[16 + i], 2 * static_cast<float>(16 + i));
  }
}

// An out that is some columns of a wider buffer leaves the columns after it alone.
TEST_P(Rowwise, KeepsNeighbouringColumns) {
  CompiledKernel kernel(R"(
    func.func @f(%n: index, %s: f32, %y: memref<?x20xf32, strided<[48, 1]>>) {
      kernel.rowwise rows(%n) width(20) ins(%s : f32) vectors [] outs(%y : memref<?x20xf32, strided<[48, 1]>>)
        gather [-1] scatter [-1] {
      ^bb0(%in_s: f32):
        kernel.yield %in_s : f32
      }
      return
    })",
                        GetParam());
  Memory<float> wide(2 * 48);
  for (int64_t i = 0; i < 96; ++i)
    wide[i] = 5;
  kernel.run({int64_t(2), bitsOf(7.0f), wide});
  for (int64_t i = 0; i < 96; ++i)
    EXPECT_EQ(wide[i], i % 48 < 20 ? 7 : 5);
}

INSTANTIATE_TEST_SUITE_P(Targets, Rowwise, testing::ValuesIn(listTargets()),
                         [](const auto &info) { return info.param; });
