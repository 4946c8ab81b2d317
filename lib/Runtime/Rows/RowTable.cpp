// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One pass each: tables are in ascending order of root.

#include "lariat/Runtime/Rows/RowTable.h"

#include <algorithm>
#include <cstring>

using namespace lariat;
using namespace lariat::runtime;

static constexpr int64_t kColumns = abi::kNumRowColumns;

/// Copies the lines for which `keep(line index)` holds.
template <typename Keep>
static int64_t copyIf(const int64_t *table, int64_t rows, int64_t *out, Keep keep) {
  int64_t count = 0;
  for (int64_t row = 0; row < rows; ++row)
    if (keep(row))
      std::memmove(out + count++ * kColumns, table + row * kColumns, kColumns * sizeof(int64_t));
  return count;
}

int64_t runtime::compactRows(const int64_t *table, int64_t rows, const uint8_t *bits, int64_t *out) {
  return copyIf(table, rows, out, [&](int64_t row) { return bits[row] != 0; });
}

int64_t runtime::lastRows(const int64_t *table, int64_t rows, int64_t *out) {
  return copyIf(table, rows, out,
                [&](int64_t row) { return (table[row * kColumns + abi::kFlags] & abi::kWanted) != 0; });
}

int64_t runtime::advanceRows(const int64_t *table, int64_t rows, std::optional<int64_t> depth, int64_t end,
                             int64_t *out) {
  if (out != table)
    std::memmove(out, table, rows * kColumns * sizeof(int64_t));
  int64_t outside = 0;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t &place = out[row * kColumns + abi::kDepth];
    place = depth.value_or(place + 1);
    if (place >= 0 && place < end)
      continue;
    if (outside == 0)
      outside = place;
    place = 0;
  }
  return outside;
}

bool runtime::findLines(const int64_t *from, int64_t fromRows, const int64_t *at, int64_t rows, int64_t *out) {
  bool all = true;
  int64_t line = 0;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t root = at[row * kColumns + abi::kRoot];
    while (line < fromRows && from[line * kColumns + abi::kRoot] < root)
      ++line;
    bool found = line < fromRows && from[line * kColumns + abi::kRoot] == root;
    all &= found;
    out[row] = found ? line : 0;
  }
  return all;
}

void runtime::copyRows(const int64_t *table, int64_t rows, int64_t *out) {
  std::memmove(out, table, rows * kColumns * sizeof(int64_t));
}

void runtime::chooseSlots(const int64_t *table, int64_t rows, const SlotChoice &prompt, const SlotChoice &generated,
                          int64_t *out) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t *line = table + row * kColumns;
    const SlotChoice &choice = (line[abi::kFlags] & abi::kGenerated) ? generated : prompt;
    out[row] = line[abi::kDepth] < choice.end ? choice.rule.getSlot(line[abi::kDepth]) : -1;
  }
}
