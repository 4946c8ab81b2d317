// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: packers of formats of panels, and what they share.

#ifndef LARIAT_LIB_COMPILER_PACKING_PANELS_H
#define LARIAT_LIB_COMPILER_PACKING_PANELS_H

#include "lariat/Compiler/Packing.h"

#include <array>

namespace lariat::packing {

void packF32(const RowReader &reader, llvm::raw_ostream &sink);
void packBF16(const RowReader &reader, llvm::raw_ostream &sink);

/// Columns of a panel that are turned at a time: 16 rows of them stay in a core's own cache.
inline constexpr int64_t kTurnedColumns = 1024;
/// Keeps the sixteen rows from lying in the same set of a cache.
inline constexpr int64_t kRowFilling = 16;

/// Writes panels of words: `pack` makes one of `stepsPerWord` values of a row. What is missing in the last panel and word is
/// zero. Holds some 200 KiB, whatever the matrix.
template <int64_t stepsPerWord, typename Pack>
void packWords(const RowReader &reader, llvm::raw_ostream &sink, Pack pack) {
  constexpr int64_t kRows = kernel::kPanelColumns, kWords = kTurnedColumns / stepsPerWord;
  struct Piece {
    std::array<std::array<float, kTurnedColumns + kRowFilling>, kRows> rows = {};
    std::array<std::array<uint32_t, kWords + kRowFilling>, kRows> words;
    std::array<uint32_t, kWords * kRows> turned;
  };
  auto piece = std::make_unique<Piece>();
  for (int64_t row = 0; row < reader.numRows; row += kRows) {
    int64_t numRows = std::min(kRows, reader.numRows - row);
    for (int64_t n = numRows; n < kRows; ++n)
      piece->rows[n].fill(0.0f);
    for (int64_t first = 0; first < reader.width; first += kTurnedColumns) {
      int64_t columns = std::min(kTurnedColumns, reader.width - first);
      int64_t numWords = kernel::roundUp(columns, stepsPerWord) / stepsPerWord;
      for (int64_t n = 0; n < numRows; ++n) {
        std::fill_n(piece->rows[n].begin() + columns, stepsPerWord, 0.0f);
        reader.read(row + n, first, llvm::MutableArrayRef(piece->rows[n]).take_front(columns));
      }
      for (int64_t n = 0; n < kRows; ++n)
        for (int64_t i = 0; i < numWords; ++i)
          piece->words[n][i] = pack(&piece->rows[n][i * stepsPerWord]);
      for (int64_t i = 0; i < numWords; ++i)
        for (int64_t n = 0; n < kRows; ++n)
          piece->turned[i * kRows + n] = piece->words[n][i];
      sink.write(reinterpret_cast<const char *>(piece->turned.data()), numWords * kRows * sizeof(uint32_t));
    }
  }
}

} // namespace lariat::packing

#endif // LARIAT_LIB_COMPILER_PACKING_PANELS_H
