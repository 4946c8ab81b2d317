// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of #kernel.f32: values as they are.

#include "Panels.h"

void lariat::packing::packF32(const RowReader &reader, int64_t columns, llvm::raw_ostream &sink) {
  packWords<uint32_t, /*stepsPerWord=*/1>(reader, columns, sink,
                                          [](const float *values) { return llvm::bit_cast<uint32_t>(values[0]); });
}
