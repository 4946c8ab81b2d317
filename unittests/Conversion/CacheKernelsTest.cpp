// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.embed, kernel.rotate and kernel.append against plain loops, bit by bit.

#include "AttendCases.h"
#include "lariat/Target/CPU/SharedObject.h"
#include "gtest/gtest.h"

#include <cstring>

using namespace lariat;
using namespace lariat::test;

namespace {

class Random {
public:
  explicit Random(unsigned seed) : engine(seed) {}
  float real() { return std::normal_distribution<float>()(engine); }
  int64_t below(int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(engine); }
  std::vector<float> reals(int64_t count) {
    std::vector<float> values(count);
    for (float &value : values)
      value = real();
    return values;
  }

private:
  std::mt19937 engine;
};

/// One head, rotated; every operation rounded.
void rotate(float *columns, const float *line, int64_t dims, bool interleaved) {
  for (int64_t i = 0; i < dims / 2; ++i) {
    float &first = columns[interleaved ? 2 * i : i], &second = columns[interleaved ? 2 * i + 1 : i + dims / 2];
    volatile float uc = first * line[2 * i], vs = second * line[2 * i + 1], vc = second * line[2 * i],
                   us = first * line[2 * i + 1];
    first = uc - vs;
    second = vc + us;
  }
}

struct RopeShape {
  int64_t heads, dim, dims;
  bool interleaved;

  std::string attribute() const {
    return "<@rope, dims = " + std::to_string(dims) + ", interleaved = " + (interleaved ? "true" : "false") + ">";
  }
  std::string table() const {
    std::string text = "kernel.rope_table @rope [1.0";
    for (int64_t i = 1; i < dims / 2; ++i)
      text += ", 1.0";
    return text + "] positions(" + std::to_string(kPositions) + ") angles(f32) offset(0)\n";
  }
};

void checkRotate(const RopeShape &shape, int64_t numRows) {
  std::string type = getBufferText(shape.heads * shape.dim);
  std::string source = shape.table() + "func.func @f(%n: index, %t: memref<?x6xindex>, %x: " + type + ", %y: " + type +
                       ") {\n kernel.rotate rows(%n) at %t " + shape.attribute() + " heads(" +
                       std::to_string(shape.heads) + ") %x to %y : memref<?x6xindex>, " + type + ", " + type +
                       "\n return\n}\n";
  SCOPED_TRACE(source);
  Random random(1);
  int64_t width = shape.heads * shape.dim, line = lineOf(width), angles = lineOf(shape.dims);
  std::vector<float> weights = random.reals(kPositions * angles), input = random.reals(numRows * line);
  std::vector<int64_t> table(numRows * 6);
  std::vector<float> expected = input;
  for (int64_t row = 0; row < numRows; ++row) {
    table[row * 6 + lariat::abi::kPosition] = random.below(kPositions);
    for (int64_t head = 0; head < shape.heads; ++head)
      rotate(&expected[row * line + head * shape.dim], &weights[table[row * 6 + lariat::abi::kPosition] * angles],
             shape.dims, shape.interleaved);
  }
  for (const std::string &target : listTargets()) {
    CompiledKernel code(source, target);
    for (int64_t threads : {1, 2, 5}) {
      std::vector<float> out(numRows * line, -77), inPlace = input;
      code.run({numRows, table.data(), input.data(), out.data()}, weights.data(), threads);
      code.run({numRows, table.data(), inPlace.data(), inPlace.data()}, weights.data(), threads);
      for (int64_t row = 0; row < numRows; ++row) {
        EXPECT_EQ(std::memcmp(&out[row * line], &expected[row * line], width * 4), 0) << target << " row " << row;
        EXPECT_EQ(std::memcmp(&inPlace[row * line], &expected[row * line], width * 4), 0) << target << " row " << row;
      }
    }
  }
}

void checkEmbed(int64_t numTokens, int64_t width, const std::string &format, const std::string &idType, int64_t numRows,
                int64_t panelColumns = kernel::kPanelColumns) {
  std::string type = getBufferText(width), ids = "memref<?x" + idType + ">";
  std::string source = "kernel.packed @w panels [\"w\"] shape [" + std::to_string(numTokens) + ", " +
                       std::to_string(width) + "] panel_columns(" + std::to_string(panelColumns) +
                       ") offset(0) : " + format + "\nfunc.func @f(%n: index, %i: " + ids + ", %y: " + type +
                       ") {\n kernel.embed rows(%n) ids(%i : " + ids + ") @w out(%y : " + type + ")\n return\n}\n";
  SCOPED_TRACE(source);
  Random random(2);
  std::vector<float> data = random.reals(numTokens * width);
  std::vector<char> weights(kernel::roundUp(numTokens, panelColumns) * (width + 1) * 4);
  packPanels(weights.data(), data, numTokens, width, format, panelColumns);
  std::vector<int32_t> narrow(numRows);
  std::vector<int64_t> wide(numRows);
  for (int64_t row = 0; row < numRows; ++row)
    wide[row] = narrow[row] = static_cast<int32_t>(row ? random.below(numTokens) : numTokens - 1);
  int64_t line = lineOf(width);
  for (const std::string &target : listTargets()) {
    CompiledKernel code(source, target);
    for (int64_t threads : {1, 2, 5}) {
      std::vector<float> out(numRows * line, -77);
      void *tokens = idType == "i32" ? static_cast<void *>(narrow.data()) : wide.data();
      code.run({numRows, tokens, out.data()}, weights.data(), threads);
      for (int64_t row = 0; row < numRows; ++row)
        for (int64_t column = 0; column < width; ++column) {
          float value = data[wide[row] * width + column];
          EXPECT_EQ(out[row * line + column], roundTo(format, value)) << target << " row " << row;
        }
    }
  }
}

void checkAppend(const RopeShape &shape, bool isBF16, int64_t numRows,
                 kernel::KeyOrder order = kernel::KeyOrder::Columns) {
  int64_t width = shape.heads * shape.dim, line = lineOf(width), angles = lineOf(shape.dims);
  std::string type = getBufferText(width);
  constexpr int64_t kLayers = 3, kLayer = 1;
  std::string source = shape.table() + "kernel.cache @kv number(0) layers(3) heads(" + std::to_string(shape.heads) +
                       ") dim(" + std::to_string(shape.dim) + ") keys_by " + kernel::stringifyKeyOrder(order).str() +
                       " : " + (isBF16 ? "bf16" : "f32") +
                       "\nfunc.func @f(%n: index, %t: memref<?x6xindex>, %e: memref<?x2xindex>, %k: " + type +
                       ", %v: " + type + ") {\n kernel.append rows(%n) at %t entries %e %k, %v into @kv[1]" +
                       (shape.dims ? " rope " + shape.attribute() : "") + " : memref<?x6xindex>, memref<?x2xindex>, " +
                       type + ", " + type + "\n return\n}\n";
  SCOPED_TRACE(source);
  Random random(3);
  std::vector<float> weights = random.reals(kPositions * angles);
  std::vector<float> keys = random.reals(numRows * line), values = random.reals(numRows * line);
  int64_t bytes = isBF16 ? 2 : 4, headElements = 2 * shape.dim * 64;
  using Page = std::vector<std::byte>;
  std::vector<Page> empty(2, Page(kLayers * shape.heads * headElements * bytes, std::byte{0x5a})), expected = empty;
  std::vector<int64_t> table(numRows * 6);
  std::vector<std::pair<int64_t, int64_t>> places;
  for (int64_t row = 0; row < numRows; ++row) {
    table[row * 6 + lariat::abi::kPosition] = random.below(kPositions);
    places.push_back({random.below(3) - 1, (row * 37 + 5) % 64}); // page -1: none
    auto [page, index] = places.back();
    if (page < 0)
      continue;
    std::vector<float> key(&keys[row * line], &keys[row * line] + width);
    for (int64_t head = 0; head < shape.heads; ++head) {
      rotate(&key[head * shape.dim], weights.data() + table[row * 6 + lariat::abi::kPosition] * angles, shape.dims,
             shape.interleaved);
      for (int64_t j = 0; j < shape.dim; ++j) {
        auto store = [&, page = page](int64_t place, float value) {
          place += (kLayer * shape.heads + head) * headElements;
          uint16_t half = toBF16(value);
          std::memcpy(&expected[page][place * bytes], isBF16 ? static_cast<void *>(&half) : &value, bytes);
        };
        int64_t inEntry = index * shape.dim + j;
        store(order == kernel::KeyOrder::Columns ? j * 64 + index : inEntry, key[head * shape.dim + j]);
        store(shape.dim * 64 + inEntry, values[row * line + head * shape.dim + j]);
      }
    }
  }
  for (const std::string &target : listTargets()) {
    CompiledKernel code(source, target);
    for (int64_t threads : {1, 2, 5}) {
      std::vector<Page> pages = empty;
      std::vector<lariat::abi::EntryRef> entries;
      for (auto [page, index] : places)
        entries.push_back({page < 0 ? nullptr : pages[page].data(), index});
      code.run({numRows, table.data(), entries.data(), keys.data(), values.data()}, weights.data(), threads);
      for (size_t page = 0; page < 2; ++page)
        EXPECT_TRUE(pages[page] == expected[page]) << target << " page " << page;
    }
  }
}

} // namespace

TEST(RotateTest, Styles) {
  checkRotate({3, 64, 64, false}, 7);
  checkRotate({3, 64, 64, true}, 7);
  checkRotate({2, 80, 20, false}, 1);
  checkRotate({2, 80, 54, true}, 5);
  checkRotate({3, 20, 10, true}, 4);
  checkRotate({3, 6, 2, false}, 4);
}

TEST(EmbedTest, Types) {
  checkEmbed(100, 64, "f32", "i32", 9);
  checkEmbed(37, 64, "bf16", "i64", 9);
  checkEmbed(50, 45, "f32", "i64", 1);
  checkEmbed(50, 45, "bf16", "i32", 1);
  checkEmbed(50, 7, "bf16", "index", 3);
  checkEmbed(37, 64, "f16", "i32", 9);
  checkEmbed(50, 45, "f16", "i64", 1);
}

TEST(EmbedTest, WidePanels) {
  for (int64_t columns : {32, 128}) {
    checkEmbed(100, 45, "f32", "i32", 9, columns);
    checkEmbed(37, 45, "bf16", "i64", 9, columns);
    checkEmbed(37, 45, "f16", "i32", 9, columns);
  }
}

TEST(AppendTest, Caches) {
  checkAppend({3, 64, 64, false}, false, 40);
  checkAppend({3, 64, 64, true}, true, 40);
  checkAppend({2, 20, 0, false}, false, 33);
  checkAppend({2, 80, 54, true}, true, 1);
  checkAppend({1, 5, 0, false}, true, 10);
}

TEST(AppendTest, KeysByEntries) {
  checkAppend({3, 64, 64, false}, false, 40, kernel::KeyOrder::Entries);
  checkAppend({3, 64, 64, true}, true, 40, kernel::KeyOrder::Entries);
  checkAppend({2, 20, 0, false}, true, 33, kernel::KeyOrder::Entries);
}

//===----------------------------------------------------------------------===//
// What the sanitizer sees
//===----------------------------------------------------------------------===//

TEST(Sanitizer, CodeThatWritesBeyondItsMemoryIsReported) {
  if (!kSanitizesAddresses)
    GTEST_SKIP() << "not built with the address sanitizer";
  std::string type = getBufferText(16);
  CompiledKernel code(
      "kernel.packed @w panels [\"w\"] shape [16, 16] offset(0) : f32\nfunc.func @f(%n: index, %i: memref<?xi32>, "
      "%y: " +
          type + ") {\n kernel.embed rows(%n) ids(%i : memref<?xi32>) @w out(%y : " + type + ")\n return\n}\n",
      listTargets().front());
  std::vector<float> weights(16 * 16), out(16); // a line for two rows
  std::vector<int32_t> tokens{0, 1};
  EXPECT_DEATH(code.run({int64_t(2), tokens.data(), out.data()}, weights.data()), "heap-buffer-overflow");
}
