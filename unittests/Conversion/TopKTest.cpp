// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.top_k against a sort of each sequence.

#include "lariat/Testing/CompiledKernel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <limits>
#include <map>
#include <random>

using namespace lariat;
using namespace lariat::test;

namespace {

class TopK : public testing::TestWithParam<std::string> {
protected:
  std::mt19937 random{5};
  int64_t drawBelow(int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random); }
};

struct Row {
  int64_t sequence, depth, length;
  float score;
};

/// k of a row for capacity [5, 2, 1] over 6.
int64_t getNumKept(const Row &row) {
  int64_t numerators[] = {5, 2, 1};
  return std::max<int64_t>(1, row.length * numerators[std::min<int64_t>(row.depth, 2)] / 6);
}

/// Whether each row is among the first of its sequence by its score, largest first; ties stay in order. Scores are
/// numbers.
std::vector<bool> sortAndKeep(const std::vector<Row> &rows, llvm::function_ref<int64_t(size_t)> numKept) {
  std::map<int64_t, std::vector<size_t>> sequences;
  for (size_t i = 0; i < rows.size(); ++i)
    sequences[rows[i].sequence].push_back(i);
  std::vector<bool> kept(rows.size());
  for (auto &[number, order] : sequences) {
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return rows[a].score != rows[b].score ? rows[a].score > rows[b].score : a < b;
    });
    for (size_t place = 0; place < order.size(); ++place)
      kept[order[place]] = static_cast<int64_t>(place) < numKept(order[place]);
  }
  return kept;
}

Memory<int64_t> makeTable(const std::vector<Row> &rows) {
  Memory<int64_t> table(rows.size() * 6 + 1);
  for (size_t i = 0; i < rows.size(); ++i) {
    table[i * 6 + lariat::abi::kSequence] = rows[i].sequence;
    table[i * 6 + lariat::abi::kDepth] = rows[i].depth;
    table[i * 6 + lariat::abi::kLength] = rows[i].length;
  }
  return table;
}

/// Runs the kernel; `counts` may be null.
std::vector<bool> keep(const std::vector<Row> &rows, llvm::StringRef target, int64_t numThreads,
                       Memory<int32_t> *counts = nullptr) {
  CompiledKernel kernel(llvm::formatv(R"(
    func.func @f(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>,
                 %c: memref<?x3xi32, strided<[16, 1]>>) {{
      kernel.top_k rows(%n) at %t scores %s capacity [5, 2, 1] over 6 {0} to %b
          : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
      return
    })",
                                      counts ? "counts(%c : memref<?x3xi32, strided<[16, 1]>>)" : "")
                            .str(),
                        target);
  Memory<int64_t> table = makeTable(rows);
  Memory<float> scores(rows.size() + 1);
  Memory<uint8_t> bits(rows.size() + 1);
  for (size_t i = 0; i < rows.size(); ++i)
    scores[i] = rows[i].score;
  std::vector<CompiledKernel::Operand> operands{static_cast<int64_t>(rows.size()), table, scores, bits};
  if (counts)
    operands.push_back(*counts);
  kernel.run(operands, nullptr, numThreads);
  EXPECT_EQ(bits[rows.size()], 0xff) << "wrote beyond the last bit";
  std::vector<bool> kept(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    kept[i] = bits[i] == 1;
  return kept;
}

} // namespace

// Few scores, so that there are ties, in sequences whose rows are of one depth or of several.
TEST_P(TopK, KeepsTheLargestAndTheEarliestOfEqualOnes) {
  for (int64_t count : {0, 1, 2, 7, 40, 130}) {
    std::vector<Row> rows;
    for (int64_t i = 0; i < count; ++i) {
      int64_t sequence = drawBelow(3);
      rows.push_back({sequence, sequence == 2 ? drawBelow(5) : sequence, 20 + 7 * sequence,
                      static_cast<float>(drawBelow(8)) - 3.5f});
    }
    std::vector<bool> expected = sortAndKeep(rows, [&](size_t i) { return getNumKept(rows[i]); });
    for (int64_t numThreads : {1, 3})
      EXPECT_EQ(keep(rows, GetParam(), numThreads), expected) << count << " rows";
  }
}

TEST_P(TopK, KeepsOneRowAtLeast) {
  std::vector<Row> rows{{0, 2, 3, 1.0f}, {0, 2, 3, 2.0f}, {0, 2, 3, 0.0f}};
  EXPECT_EQ(keep(rows, GetParam(), 1), (std::vector<bool>{false, true, false}));
}

TEST_P(TopK, TakesGivenCountsAbove0) {
  std::vector<Row> rows;
  Memory<int32_t> counts(40 * 16);
  int32_t given[] = {3, 0, 11};
  for (int64_t i = 0; i < 40; ++i) {
    int64_t sequence = i % 4;
    rows.push_back({sequence, sequence, 10, static_cast<float>(drawBelow(1000))});
    std::copy_n(given, 3, &counts[i * 16]);
  }
  std::vector<bool> expected = sortAndKeep(rows, [&](size_t i) {
    int32_t number = given[std::min<int64_t>(rows[i].depth, 2)];
    return number > 0 ? number : getNumKept(rows[i]);
  });
  EXPECT_EQ(keep(rows, GetParam(), 2, &counts), expected);
}

// A score that is not a number comes before none and none before it, so its row stays and takes no other row's place.
TEST_P(TopK, KeepsRowsWithoutANumber) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Row> rows{{0, 2, 6, 1.0f}, {0, 2, 6, nan}, {0, 2, 6, 3.0f}, {0, 2, 6, -0.0f}, {0, 2, 6, nan}};
  EXPECT_EQ(keep(rows, GetParam(), 1), (std::vector<bool>{false, true, true, false, true}));
}

INSTANTIATE_TEST_SUITE_P(Targets, TopK, testing::ValuesIn(listTargets()), [](const auto &info) { return info.param; });
