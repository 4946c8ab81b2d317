// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// manifest.json of an artefact.

#include "lariat/Runtime/Load/Manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)lariat::runtime::parseManifest({reinterpret_cast<const char *>(data), size}, "manifest.json");
  return 0;
}
