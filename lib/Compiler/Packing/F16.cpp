// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of #kernel.f16: a step of all columns after the other. Weights of this format hold f16 values already.

#include "Panels.h"

void lariat::packing::packF16(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink) {
  packWords<uint16_t, /*stepsPerWord=*/1>(reader, columns, sink, [](const float *values) { return toF16(values[0]); });
}
