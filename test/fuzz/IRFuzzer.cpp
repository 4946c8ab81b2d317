// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IR as text.

#include "ReadIR.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  if (text.compare(0, 4, "ML\xefR") != 0) // else it is bytecode
    lariat::fuzz::readIR(text);
  return 0;
}
