// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IR as bytecode. Inputs are without its first four bytes, which every file has.

#include "ReadIR.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lariat::fuzz::readIR("ML\xefR" + std::string(reinterpret_cast<const char *>(data), size));
  return 0;
}
