// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random caches, rows and views, and attention over them in plain loops in f64.

#ifndef LARIAT_UNITTESTS_CONVERSION_ATTENDCASES_H
#define LARIAT_UNITTESTS_CONVERSION_ATTENDCASES_H

#include "lariat/Testing/CompiledKernel.h"

#include <optional>
#include <random>

namespace lariat::test {

/// What an attend kernel looks like.
struct AttendShape {
  int64_t heads = 4, kvHeads = 2, dim = 64;
  bool isBF16 = false; ///< bf16 cache
  kernel::KeyOrder keys = kernel::KeyOrder::Columns;
  kernel::MaskKind mask = kernel::MaskKind::Causal;
  int64_t size = 0;
  std::optional<double> softcap = std::nullopt;
  bool hasSinks = false;
  int64_t biasWidth = 0; ///< 0: none
  int64_t ropeDims = 0;  ///< 0: none
  bool interleaved = false;
  int64_t layers = 2, layer = 1;

  int64_t groups() const { return heads / kvHeads; }
  // Floats in weights.bin.
  int64_t biasLine() const { return kernel::roundUp(biasWidth, 16); }
  int64_t ropeLine() const { return kernel::roundUp(ropeDims, 16); }
  int64_t biasPlace() const { return kernel::roundUp(heads, 16); }
  int64_t ropePlace() const { return biasPlace() + heads * biasLine(); }
  double scale() const;
  std::string source() const;
};

inline constexpr int64_t kPositions = 512; ///< of rope tables

/// The type of a buffer of f32.
std::string getBufferText(int64_t width);

/// One sequence in one slot: entries in pages, whose other memory is NaN.
struct TestSequence {
  std::vector<std::vector<std::byte>> pages;
  std::vector<std::byte *> pagePointers;
  std::vector<abi::EntryRef> refs; ///< used if `isList`
  std::vector<int32_t> positions;
  bool isList = false;
};

struct TestRow {
  int64_t sequence, position, flags, count;
};

/// Memory of a run.
class AttendCase {
public:
  AttendCase(const AttendShape &shape, unsigned seed, int64_t numSequences, int64_t maxEntries);
  /// Rows of one sequence, at consecutive positions, the last `numRows` entries' if the sequence has so many.
  void addRows(int64_t sequence, int64_t numRows);

  /// Results of some rows in one call.
  std::vector<float> run(CompiledKernel &code, llvm::ArrayRef<int64_t> which, int64_t numThreads);
  std::vector<double> expect(int64_t row) const;
  /// Whether the mask lets a row see an entry of its sequence.
  bool sees(const TestRow &row, int64_t entry) const;
  /// Keys and values of an entry become `number`, in all layers and heads.
  void setEntry(int64_t sequence, int64_t entry, float number);

  AttendShape shape;
  std::vector<TestRow> rows;
  std::vector<std::vector<float>> queries;
  std::vector<TestSequence> sequences;

private:
  /// One number of an entry; `block` is layer * kvHeads + head.
  std::byte *getPlace(const TestSequence &sequence, int64_t entry, int64_t block, int64_t column, bool isValue) const;
  void setNumber(const TestSequence &sequence, int64_t entry, int64_t block, int64_t column, bool isValue,
                 float number);
  float getKey(const TestSequence &sequence, int64_t entry, int64_t head, int64_t column, bool isValue) const;
  std::vector<double> getQuery(int64_t row, int64_t head) const;

  std::mt19937 random;
  std::vector<float> weights;
};

} // namespace lariat::test

#endif // LARIAT_UNITTESTS_CONVERSION_ATTENDCASES_H
