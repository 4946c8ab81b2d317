// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A safetensors file: its header, and every tensor as floats.

#include "Scratch.h"
#include "lariat/Support/Safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const lariat::fuzz::Scratch scratch;
  auto file = lariat::SafetensorsFile::open(scratch.write("model.safetensors", data, size));
  if (!file) {
    llvm::consumeError(file.takeError());
    return 0;
  }
  for (const lariat::StoredTensor &tensor : (*file)->getTensors())
    if (auto values = lariat::readFloats(tensor); !values)
      llvm::consumeError(values.takeError());
  return 0;
}
