// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Layouts of weights.bin against loops that say for each value where it has to be.

#include "lariat/Compiler/Packing.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/Modules.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <malloc.h>

using namespace lariat;
using namespace mlir;

namespace {

/// Values that differ, most of which bf16 cannot hold.
std::vector<float> makeValues(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = 1.0f + static_cast<float>(i) / 509.0f;
  return values;
}

/// The shape of a weight, and the columns of its panels.
struct Matrix {
  int64_t rows, width, columns = 16;
};

/// The panels of a matrix.
template <typename Format>
std::string packPanels(const std::vector<float> &values, int64_t width, int64_t columns) {
  MLIRContext context;
  context.loadDialect<kernel::KernelDialect>();
  auto read = [&](int64_t row, int64_t first, MutableArrayRef<float> part) {
    llvm::copy(ArrayRef(values).slice(row * width + first, part.size()), part.begin());
  };
  std::string bytes;
  llvm::raw_string_ostream sink(bytes);
  auto numRows = static_cast<int64_t>(values.size()) / width;
  auto format = Format::get(&context);
  EXPECT_TRUE(writePanels(sink, {numRows, width, read}, format, columns));
  EXPECT_EQ(static_cast<int64_t>(bytes.size()),
            (numRows + columns - 1) / columns * format.getPanelBytes(width, columns));
  return bytes;
}

size_t getHeapBytes() {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Most bytes of heap that packing a matrix has taken when it asks for rows.
template <typename Format>
size_t measurePacking(int64_t numRows, int64_t width) {
  MLIRContext context;
  context.loadDialect<kernel::KernelDialect>();
  auto format = Format::get(&context);
  size_t before = getHeapBytes(), most = before;
  auto read = [&](int64_t, int64_t, MutableArrayRef<float> part) {
    std::fill(part.begin(), part.end(), 1.0f);
    most = std::max(most, getHeapBytes());
  };
  llvm::raw_null_ostream sink;
  EXPECT_TRUE(writePanels(sink, {numRows, width, read}, format));
  return most - before;
}

template <typename T>
std::vector<T> readAs(const std::string &bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

float widen(uint16_t half) { return std::bit_cast<float>(uint32_t(half) << 16); }

/// A file with packed data, from a module with lariat.weight and planned kernel ops.
class PackedFile : public testing::Test {
protected:
  PackedFile() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-packing", "bin", path));
  }
  ~PackedFile() override { llvm::sys::fs::remove(path); }

  /// The bytes written, or the error.
  std::string write(StringRef text) {
    auto module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(module);
    Progress progress;
    llvm::Expected<FileSum> sum = writePackedWeights(*module, {*module, nullptr}, path, progress);
    if (!sum)
      return toString(sum.takeError());
    auto buffer = llvm::MemoryBuffer::getFile(path, false, false);
    return std::string((*buffer)->getBuffer());
  }

  MLIRContext context;
  llvm::SmallString<128> path;
};

} // namespace

TEST(Panels, FloatsByPanelThenK) {
  for (auto [rows, width, columns] :
       {Matrix{32, 5}, {17, 3}, {1, 1}, {16, 8}, {19, 2500}, {65, 3, 32}, {40, 1100, 64}, {1, 1, 128}}) {
    std::vector<float> values = makeValues(rows * width);
    std::vector<float> packed = readAs<float>(packPanels<kernel::F32PanelsAttr>(values, width, columns));
    int64_t padded = kernel::roundUp(rows, columns);
    ASSERT_EQ(packed.size(), static_cast<size_t>(padded * width));
    for (int64_t n = 0; n < padded; ++n)
      for (int64_t k = 0; k < width; ++k)
        EXPECT_EQ(packed[(n / columns * width + k) * columns + n % columns], n < rows ? values[n * width + k] : 0.0f);
  }
}

TEST(Panels, HalvesByPairsOfK) {
  for (auto [rows, width, columns] : {Matrix{32, 6}, {18, 5}, {1, 1}, {17, 2047}, {65, 5, 32}, {40, 1025, 64}}) {
    std::vector<float> values = makeValues(rows * width);
    std::vector<uint16_t> packed = readAs<uint16_t>(packPanels<kernel::BF16PanelsAttr>(values, width, columns));
    int64_t padded = kernel::roundUp(rows, columns), pairs = (width + 1) / 2;
    ASSERT_EQ(packed.size(), static_cast<size_t>(padded * pairs * 2));
    for (int64_t n = 0; n < padded; ++n)
      for (int64_t k = 0; k < 2 * pairs; ++k) {
        float expected = n < rows && k < width ? roundToBFloat(values[n * width + k]) : 0.0f;
        EXPECT_EQ(widen(packed[((n / columns * pairs + k / 2) * columns + n % columns) * 2 + k % 2]), expected);
      }
  }
}

TEST(Panels, StepsOfF16OneAfterTheOther) {
  for (auto [rows, width, columns] : {Matrix{32, 6}, {18, 5}, {1, 1}, {17, 2047}, {65, 5, 32}, {40, 1025, 64}}) {
    std::vector<float> values = makeValues(rows * width);
    std::vector<uint16_t> packed = readAs<uint16_t>(packPanels<kernel::F16PanelsAttr>(values, width, columns));
    int64_t padded = kernel::roundUp(rows, columns), steps = kernel::roundUp(width, 2);
    ASSERT_EQ(packed.size(), static_cast<size_t>(padded * steps));
    for (int64_t n = 0; n < padded; ++n)
      for (int64_t k = 0; k < steps; ++k)
        EXPECT_EQ(packed[(n / columns * steps + k) * columns + n % columns],
                  n < rows && k < width ? toF16(values[n * width + k]) : 0);
  }
}

TEST(Panels, MemoryDoesNotGrowWithTheMatrix) {
  size_t f32 = measurePacking<kernel::F32PanelsAttr>(32, 1024), bf16 = measurePacking<kernel::BF16PanelsAttr>(32, 1024);
  if (f32 == 0)
    GTEST_SKIP() << "this build counts no memory";
  EXPECT_LT(f32, size_t(1) << 18);
  EXPECT_EQ(measurePacking<kernel::F32PanelsAttr>(1024, 8192), f32);
  EXPECT_EQ(measurePacking<kernel::BF16PanelsAttr>(1024, 8192), bf16);
}

TEST(Vectors, AreFilledUp) {
  std::vector<float> values = makeValues(17);
  auto read = [&](int64_t, int64_t first, MutableArrayRef<float> part) {
    llvm::copy(ArrayRef(values).slice(first, part.size()), part.begin());
  };
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  writeVectors(stream, {/*numRows=*/1, /*width=*/17, read});
  std::vector<float> packed = readAs<float>(bytes);
  ASSERT_EQ(packed.size(), 32u);
  for (size_t i = 0; i < 32; ++i)
    EXPECT_EQ(packed[i], i < 17 ? values[i] : 0.0f);
}

TEST_F(PackedFile, FrequenciesOfRotaryTables) {
  std::string bytes = write(R"(module attributes {kernel.weight_bytes = 128 : i64} {
    lariat.weight @w : tensor<2xf32> value dense<[0.5, 1.0000001]> : tensor<2xf32>
    kernel.rope_table @r [1.0, 0.1] positions(40) angles(f32) offset(0) stored(0)
    kernel.rope_table @s [] source("w") pairs(2) positions(40) angles(f32) offset(4096) stored(64)
  })");
  std::vector<double> stored = readAs<double>(bytes);
  ASSERT_EQ(stored.size(), 16u);
  EXPECT_EQ(stored[0], 1.0);
  EXPECT_EQ(stored[1], 0.1);
  EXPECT_EQ(stored[8], 0.5);
  EXPECT_EQ(stored[9], 1.0000001F);
}

TEST_F(PackedFile, InlineValuesByType) {
  std::string bytes = write(R"(module attributes {kernel.weight_bytes = 256 : i64} {
    kernel.packed @a vector [] shape [3] value(dense<[1, -2, 3]> : tensor<3xi32>) offset(0) : i32
    kernel.packed @b vector [] shape [2] value(dense<[true, false]> : tensor<2xi1>) offset(64) : i1
    kernel.packed @c vector [] shape [2] value(dense<[7, -8]> : tensor<2xindex>) offset(128) : index
  })");
  ASSERT_EQ(bytes.size(), 256u);
  EXPECT_EQ(readAs<int32_t>(bytes.substr(0, 16)), (std::vector<int32_t>{1, -2, 3, 0}));
  EXPECT_EQ(bytes.substr(64, 3), std::string("\1\0\0", 3));
  EXPECT_EQ(readAs<int64_t>(bytes.substr(128, 24)), (std::vector<int64_t>{7, -8, 0}));
}

TEST_F(PackedFile, SourcesLieSideBySide) {
  std::string bytes = write(R"(module attributes {kernel.weight_bytes = 512 : i64} {
    lariat.weight @q : tensor<2x3xf32> value dense<[[1., 2., 3.], [4., 5., 6.]]> : tensor<2x3xf32>
    lariat.weight @k : tensor<1x3xf32> value dense<[[7., 8., 9.]]> : tensor<1x3xf32>
    lariat.weight @g : tensor<2xf32> depths(2) value dense<[[1., 2.], [3., 4.]]> : tensor<2x2xf32>
    kernel.packed @qk panels ["q", "k"] shape [3, 3] offset(0) : f32
    kernel.packed @gg vector ["g", "g"] shape [4] depths(2) offset(192) : f32
    kernel.packed @rows vectors ["q"] shape [2, 3] offset(320) : f32
  })");
  std::vector<float> values = readAs<float>(bytes);
  ASSERT_EQ(values.size(), 128u) << bytes;
  for (int k = 0; k < 3; ++k)
    for (int n = 0; n < 3; ++n)
      EXPECT_EQ(values[16 * k + n], 3.0f * n + k + 1);
  for (int depth = 0; depth < 2; ++depth)
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(values[48 + 16 * depth + i], i < 4 ? 2.0f * depth + i % 2 + 1 : 0.0f);
  for (int row = 0; row < 2; ++row)
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(values[80 + 16 * row + i], i < 3 ? 3.0f * row + i + 1 : 0.0f);
}

TEST_F(PackedFile, RoundsToTheFormatsOfWeights) {
  std::vector<float> values = readAs<float>(write(R"(module attributes {kernel.weight_bytes = 192 : i64} {
    lariat.weight @f : tensor<1xf32> value dense<1.00390625> : tensor<1xf32>
    lariat.weight @b : tensor<1xf32> stored <bf16> value dense<1.00390625> : tensor<1xf32>
    lariat.weight @h : tensor<1xf32> stored <f16> value dense<1.00048828125> : tensor<1xf32>
    kernel.packed @v vector ["f"] shape [1] offset(0) : f32
    kernel.packed @w vector ["b"] shape [1] offset(64) : f32
    kernel.packed @x vector ["h"] shape [1] offset(128) : f32
  })"));
  EXPECT_EQ(values[0], 1.00390625f);
  EXPECT_EQ(values[16], 1.0f);
  EXPECT_EQ(values[32], 1.0f);
}

TEST_F(PackedFile, NamesWhatIsWrong) {
  EXPECT_EQ(write(R"(module attributes {kernel.weight_bytes = 64 : i64} {
    kernel.packed @v vector ["g"] shape [1] offset(0) : f32
  })"),
            "packed data @v comes from the weight @g, which the module does not declare");
  EXPECT_EQ(write(R"(module attributes {kernel.weight_bytes = 64 : i64} {
    lariat.weight @g : tensor<2xf32> stored <bf16> value dense<[1.0, -3.4e38]> : tensor<2xf32>
    kernel.packed @v vector ["g"] shape [2] offset(0) : f32
  })"),
            "weight @g holds a value of size 3.4e+38, which is beyond the range of bf16, expected another format");
  EXPECT_EQ(write(R"(module attributes {kernel.weight_bytes = 64 : i64} {
    lariat.weight @g : tensor<2xf32> stored <f16> value dense<[1.0, -65520.0]> : tensor<2xf32>
    kernel.packed @v vector ["g"] shape [2] offset(0) : f32
  })"),
            "weight @g holds a value of size 65520, which is beyond the range of f16, expected another format");
  EXPECT_EQ(write(R"(module attributes {kernel.weight_bytes = 64 : i64} {
    lariat.weight @g : tensor<2xf32> value dense<1.0> : tensor<2xf32>
    kernel.packed @v vector ["g"] shape [3] offset(0) : f32
  })"),
            "packed data @v has 3 values, but its weights have 2");
  EXPECT_EQ(write(R"(module attributes {kernel.weight_bytes = 64 : i64} {
    lariat.weight @g : tensor<2xf32> value dense<1.0> : tensor<2xf32>
    kernel.packed @v vector ["g"] shape [2] offset(0) : f32
    kernel.packed @w vector ["g"] shape [2] offset(32) : f32
  })"),
            "packed data at 32 overlaps with what ends at 64");
}
