// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of #kernel.bf16: pairs of steps, the earlier one in the low half. Weights of this format hold bf16 values
// already.

#include "Panels.h"

void lariat::packing::packBF16(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink) {
  packWords<uint32_t, /*stepsPerWord=*/2>(reader, columns, sink, [](const float *values) {
    return toBFloat(values[0]) | uint32_t(toBFloat(values[1])) << 16;
  });
}
