// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Row tables, int64_t[rows][6] in ascending order of root; see abi::RowColumn. The functions
// are those of abi::Services without a call.

#ifndef LARIAT_RUNTIME_ROWS_ROWTABLE_H
#define LARIAT_RUNTIME_ROWS_ROWTABLE_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/SlotRule.h"

#include <optional>

namespace lariat::runtime {

/// Copies the lines whose bit is set, in order; returns how many. `out` may be `table`.
int64_t compactRows(const int64_t *table, int64_t rows, const uint8_t *bits, int64_t *out);
/// Copies the lines with kWanted; returns how many. `out` may be `table`.
int64_t lastRows(const int64_t *table, int64_t rows, int64_t *out);
/// The same lines at `depth`, or each one deeper without it. Returns the first depth that is not in 0 to end - 1, whose
/// row gets depth 0, or 0. `out` may be `table`.
int64_t advanceRows(const int64_t *table, int64_t rows, std::optional<int64_t> depth, int64_t end, int64_t *out);
/// out[i]: the line in `from` with the root of line i of `at`. False if one is not there; its place is 0 then.
bool findLines(const int64_t *from, int64_t fromRows, const int64_t *at, int64_t rows, int64_t *out);
/// Copies all lines. `out` may be `table`.
void copyRows(const int64_t *table, int64_t rows, int64_t *out);

/// Which slot a row has, and below which depth.
struct SlotChoice {
  abi::SlotRule rule;
  int64_t end;
};

/// out[i]: the slot of row i, as rows of the prompt and generated ones choose it, or -1.
void chooseSlots(const int64_t *table, int64_t rows, const SlotChoice &prompt, const SlotChoice &generated,
                 int64_t *out);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ROWS_ROWTABLE_H
