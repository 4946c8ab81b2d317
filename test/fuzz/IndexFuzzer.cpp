// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// model.safetensors.index.json beside two shards, `a` with the tensor `x` and `b` with `y`.

#include "Scratch.h"
#include "lariat/Support/Safetensors.h"

static lariat::fuzz::Scratch &getCheckpoint() {
  static lariat::fuzz::Scratch scratch;
  static bool isWritten = [] {
    for (auto [file, tensor] : {std::pair("a.safetensors", "x"), std::pair("b.safetensors", "y")}) {
      lariat::SafetensorsWriter writer;
      writer.addFloats(tensor, {2}, {1.0f, 2.0f});
      llvm::cantFail(writer.write(scratch.getPath() + "/" + file));
    }
    return true;
  }();
  (void)isWritten;
  return scratch;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lariat::fuzz::Scratch &scratch = getCheckpoint();
  scratch.write("model.safetensors.index.json", data, size);
  auto checkpoint = lariat::Checkpoint::open(scratch.getPath());
  if (!checkpoint)
    llvm::consumeError(checkpoint.takeError());
  else
    checkpoint->find("x");
  return 0;
}
