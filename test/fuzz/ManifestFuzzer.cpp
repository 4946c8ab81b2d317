// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// manifest.json of an artefact.

#include "lariat/Artefact/Manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string problem;
  (void)lariat::manifest::parse({reinterpret_cast<const char *>(data), size}, "manifest.json", problem);
  return 0;
}
