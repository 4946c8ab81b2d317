// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: packers of formats of panels, and what they share.

#ifndef LARIAT_LIB_COMPILER_PACKING_PANELS_H
#define LARIAT_LIB_COMPILER_PACKING_PANELS_H

#include "lariat/Compiler/Packing.h"

#include <array>

namespace lariat::packing {

void packF32(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink);
void packBF16(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink);
void packF16(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink);

/// Values of a row that are turned at a time: 16 rows of them stay in a core's own cache.
inline constexpr int64_t kTurnedValues = 1024;
/// Keeps the sixteen rows from lying in the same set of a cache.
inline constexpr int64_t kRowFilling = 16;

/// Writes panels of words: `pack` makes one of `stepsPerWord` values of a row. What is missing in the last panel and
/// line is zero. Holds some 200 KiB for every 16 columns of a panel, whatever the matrix.
template <typename Word, int64_t stepsPerWord, typename Pack>
void packWords(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink, Pack pack) {
  constexpr int64_t kRows = kernel::kLineColumns, kWords = kTurnedValues / stepsPerWord;
  constexpr int64_t kStepsPerLine = kernel::kPanelColumnBytes / sizeof(Word) * stepsPerWord;
  struct Piece {
    std::array<std::array<float, kTurnedValues + kRowFilling>, kRows> rows;
    std::array<std::array<Word, kWords + kRowFilling>, kRows> words;
  };
  auto piece = std::make_unique<Piece>();
  std::vector<Word> turned(kWords * columns);
  // 16 rows from `row` on, values from `first` on, as 16 columns of the panel.
  auto turn = [&](int64_t row, int64_t first, int64_t numValues, Word *to) {
    for (int64_t n = 0; n < kRows; ++n) {
      auto values = llvm::MutableArrayRef(piece->rows[n]).take_front(row + n < reader.numRows ? numValues : 0);
      std::fill(values.end(), piece->rows[n].begin() + numValues + kStepsPerLine, 0.0f);
      if (!values.empty())
        reader.read(row + n, first, values);
    }
    int64_t numWords = kernel::roundUp(numValues, kStepsPerLine) / stepsPerWord;
    for (int64_t n = 0; n < kRows; ++n)
      for (int64_t i = 0; i < numWords; ++i)
        piece->words[n][i] = pack(&piece->rows[n][i * stepsPerWord]);
    for (int64_t i = 0; i < numWords; ++i)
      for (int64_t n = 0; n < kRows; ++n)
        to[i * columns + n] = piece->words[n][i];
    return numWords;
  };
  for (int64_t panel = 0; panel < reader.numRows; panel += columns)
    for (int64_t first = 0; first < reader.width; first += kTurnedValues) {
      int64_t numValues = std::min(kTurnedValues, reader.width - first), numWords = 0;
      for (int64_t n = 0; n < columns; n += kRows)
        numWords = turn(panel + n, first, numValues, &turned[n]);
      sink.write(reinterpret_cast<const char *>(turned.data()), numWords * columns * sizeof(Word));
    }
}

} // namespace lariat::packing

#endif // LARIAT_LIB_COMPILER_PACKING_PANELS_H
