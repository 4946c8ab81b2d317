// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights read in windows of any place and size, against the whole of them and against values computed here.

#include "lariat/Compiler/Weights.h"

#include "lariat/Compiler/Dialects.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

#include <numeric>

using namespace lariat;
using namespace mlir;

namespace {

/// A checkpoint with tensors "a", "b" of shape [8, 5] in bf16, whose values are 0, 1, 2, ... and 100, 101, ...
class Weights : public testing::Test {
protected:
  void SetUp() override {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-weights", "safetensors", path));
    SafetensorsWriter writer;
    for (auto [name, first] : {std::pair("a", 0), std::pair("b", 100)})
      writer.add(name, "BF16", {8, 5}, [first = first](llvm::raw_ostream &stream) {
        for (int value = first; value < first + 40; ++value) {
          uint16_t half = toBFloat(static_cast<float>(value));
          stream.write(reinterpret_cast<const char *>(&half), sizeof half);
        }
        return llvm::Error::success();
      });
    ASSERT_FALSE(static_cast<bool>(writer.write(path.str())));
    llvm::Expected<Checkpoint> opened = Checkpoint::open(path);
    ASSERT_TRUE(static_cast<bool>(opened)) << toString(opened.takeError());
    checkpoint.emplace(std::move(*opened));
  }
  void TearDown() override { llvm::sys::fs::remove(path); }

  /// All values of a weight; windows of it are compared with them on the way.
  std::vector<float> read(StringRef declaration) {
    auto module = parseSourceString<ModuleOp>(declaration, ParserConfig(&context));
    EXPECT_TRUE(module);
    WeightOp weight = *module->getOps<WeightOp>().begin();
    llvm::Expected<WeightReader> reader = WeightReader::open(weight, &*checkpoint);
    if (!reader) {
      ADD_FAILURE() << toString(reader.takeError());
      return {};
    }
    std::vector<float> whole(reader->getNumElements());
    reader->read(0, whole);
    for (size_t first = 0; first < whole.size(); ++first)
      for (size_t count = 1; first + count <= whole.size(); count += 3) {
        std::vector<float> window(count);
        reader->read(first, window);
        EXPECT_EQ(ArrayRef(window), ArrayRef(whole).slice(first, count)) << first << " + " << count;
      }
    return whole;
  }

  MLIRContext context;
  llvm::SmallString<128> path;
  std::optional<Checkpoint> checkpoint;
};

} // namespace

TEST_F(Weights, rangeOfRows) {
  std::vector<float> expected(15);
  std::iota(expected.begin(), expected.end(), 10.0f);
  EXPECT_EQ(read(R"(lariat.weight @w : tensor<3x5xf32> from <"a", rows = 2 to 5>)"), expected);
}

TEST_F(Weights, depthsLieOneBehindTheOther) {
  std::vector<float> expected(80);
  std::iota(expected.begin(), expected.begin() + 40, 0.0f);
  std::iota(expected.begin() + 40, expected.end(), 100.0f);
  EXPECT_EQ(read(R"(lariat.weight @w : tensor<8x5xf32> depths(2) from <stack = ["a", "b"]>)"), expected);
}

TEST_F(Weights, rotaryPairsBecomeHalves) {
  std::vector<float> expected;
  for (int row : {0, 2, 1, 3, 4, 6, 5, 7}) // two heads of four rows
    for (int column = 0; column < 5; ++column)
      expected.push_back(static_cast<float>(5 * row + column));
  EXPECT_EQ(read(R"(lariat.weight @w : tensor<8x5xf32> from <"a", halves(2)>)"), expected);
}

TEST_F(Weights, roundsBeforeAndAfterTheScale) {
  std::vector<float> expected;
  for (int value = 0; value < 40; ++value)
    expected.push_back(roundToBFloat(1.01f * static_cast<float>(value)));
  EXPECT_EQ(read(R"(lariat.weight @w : tensor<8x5xf32> stored <bf16> from <"a", scale = 1.01>)"), expected);
  EXPECT_EQ(read(R"(lariat.weight @w : tensor<8x5xf32> from <"a", scale = 1.01>)")[3], 1.01f * 3.0f);
}

TEST_F(Weights, valuesBeyondTheFormatAreRefused) {
  auto load = [&](StringRef declaration) {
    auto module = parseSourceString<ModuleOp>(declaration, ParserConfig(&context));
    return toString(loadWeight(*module->getOps<WeightOp>().begin(), nullptr).takeError());
  };
  EXPECT_EQ(load("lariat.weight @w : tensor<2xf32> stored <f16> value dense<[65519.0, 0xFF800000]> : tensor<2xf32>"),
            "");
  EXPECT_EQ(load("lariat.weight @w : tensor<2xf32> stored <f16> value dense<[1.0, 65520.0]> : tensor<2xf32>"),
            "weight @w holds a value of size 65520, which is beyond the range of f16, expected another format");
}

TEST_F(Weights, inlineValuesOfAnyFloatType) {
  EXPECT_EQ(read("lariat.weight @w : tensor<2x2xf32> value dense<[[1.0, 2.0], [3.0, 4.5]]> : tensor<2x2xf32>"),
            (std::vector<float>{1.0f, 2.0f, 3.0f, 4.5f}));
  EXPECT_EQ(read("lariat.weight @w : tensor<2x2xf32> value dense<0.5> : tensor<2x2xf32>"),
            (std::vector<float>(4, 0.5f)));
}
