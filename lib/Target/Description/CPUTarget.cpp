// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of CPU targets. `required` is all that `cpu` and `features` let LLVM use beyond x86-64-v2 (or Armv8.0).

#include "lariat/Target/Description/CPUTarget.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cassert>

using namespace lariat;

int64_t CPUTarget::getTileRegisters(int64_t rows, int64_t panels) const {
  int64_t vectors = panels * 16 / getLanes();
  return rows * vectors + std::min(rows, vectors) + 1;
}

llvm::ArrayRef<CPUTarget> lariat::getCPUTargets() {
  static const std::vector<CPUTarget> targets{
      {.name = "avx512",
       .triple = "x86_64-unknown-linux-gnu",
       .cpu = "x86-64-v4",
       .features = "",
       .vectorBits = 512,
       .numRegisters = 32,
       .tilePanels = {4, 4, 6, 4, 4, 4, 2, 2},
       .pairRowPanels = 8,
       .loadsPairsOnce = false,
       .farRuns = 1,
       .required = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "avx512f", "avx512bw", "avx512cd", "avx512dq",
                    "avx512vl"}},
      {.name = "avx2",
       .triple = "x86_64-unknown-linux-gnu",
       .cpu = "x86-64-v3",
       .features = "",
       .vectorBits = 256,
       .numRegisters = 16,
       .tilePanels = {4, 2, 2, 1, 1, 1},
       .pairRowPanels = 4,
       .loadsPairsOnce = true,
       .farRuns = 4,
       .required = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt"}},
      {.name = "neon",
       .triple = "aarch64-unknown-linux-gnu",
       .cpu = "generic",
       .features = "+neon",
       .vectorBits = 128,
       .numRegisters = 32,
       .tilePanels = {4, 2, 1, 1, 1},
       .pairRowPanels = 4,
       .loadsPairsOnce = false,
       .farRuns = 1,
       .required = {"neon"}},
  };
  for ([[maybe_unused]] const CPUTarget &target : targets)
    for ([[maybe_unused]] auto [index, panels] : llvm::enumerate(target.tilePanels))
      assert(target.getTileRegisters(static_cast<int64_t>(index) + 1, panels) <= target.numRegisters &&
             "a tile that does not fit the registers is slow: LLVM keeps sums in memory then");
  return targets;
}

const CPUTarget *lariat::findCPUTarget(llvm::StringRef name) {
  const auto *it = llvm::find_if(getCPUTargets(), [&](const CPUTarget &target) { return target.name == name; });
  return it == getCPUTargets().end() ? nullptr : it;
}
