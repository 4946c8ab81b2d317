// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of CPU targets. `required` is all that `cpu` and `features` let LLVM use beyond x86-64-v2 (or Armv8.0).

#include "lariat/Target/Description/CPUTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

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
       .required = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "avx512f", "avx512bw", "avx512cd", "avx512dq",
                    "avx512vl"},
       .tuning =
           {.tilePanels = {4, 4, 6, 4, 4, 4, 2, 2}, .pairRowPanels = 8, .loadsPairsOnce = false, .prefetchStreams = 1}},
      {.name = "avx2",
       .triple = "x86_64-unknown-linux-gnu",
       .cpu = "x86-64-v3",
       .features = "",
       .vectorBits = 256,
       .numRegisters = 16,
       .required = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt"},
       .tuning = {.tilePanels = {4, 2, 2, 1, 1, 1}, .pairRowPanels = 4, .loadsPairsOnce = true, .prefetchStreams = 4}},
      {.name = "neon",
       .triple = "aarch64-unknown-linux-gnu",
       .cpu = "generic",
       .features = "+neon",
       .vectorBits = 128,
       .numRegisters = 32,
       .required = {"neon"},
       .tuning = {.tilePanels = {4, 2, 1, 1, 1}, .pairRowPanels = 4, .loadsPairsOnce = false, .prefetchStreams = 1}},
  };
  for ([[maybe_unused]] const CPUTarget &target : targets)
    for ([[maybe_unused]] auto [index, panels] : llvm::enumerate(target.tuning.tilePanels))
      assert(target.getTileRegisters(static_cast<int64_t>(index) + 1, panels) <= target.numRegisters &&
             "a tile that does not fit the registers is slow: LLVM keeps sums in memory then");
  return targets;
}

const CPUTarget *lariat::findCPUTarget(llvm::StringRef name) {
  const auto *it = llvm::find_if(getCPUTargets(), [&](const CPUTarget &target) { return target.name == name; });
  return it == getCPUTargets().end() ? nullptr : it;
}

void lariat::printCPUTarget(llvm::raw_ostream &os, const CPUTarget &target) {
  const CPUTuning &tuning = target.tuning;
  os << target.name << ":\n";
  auto print = [&](llvm::StringRef name, const auto &value) { os << "  " << name << ": " << value << '\n'; };
  auto list = [](const auto &values) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    llvm::interleaveComma(values, stream);
    return text;
  };
  print("triple", target.triple);
  print("cpu", target.cpu);
  if (!target.features.empty())
    print("features", target.features);
  print("required", list(target.required));
  print("vector_bits", target.vectorBits);
  print("registers", target.numRegisters);
  os << "  layout: " << target.layout.name << '\n';
  print("  panel_columns", target.layout.panelColumns);
  print("  keys", llvm::StringRef(abi::getName(target.layout.keys)));
  os << "  tuning:\n";
  auto printTuning = [&](const std::string &name, const auto &value) { print("  " + name, value); };
  printTuning("tile_panels", list(tuning.tilePanels));
  printTuning("pair_row_panels", tuning.pairRowPanels);
  printTuning("loads_pairs_once", tuning.loadsPairsOnce ? "true" : "false");
  printTuning("unrolled_sums", tuning.unrolledSums);
  printTuning("unrolled_steps", tuning.unrolledSteps);
  printTuning("block_bytes", tuning.blockBytes);
  printTuning("min_block_rows", tuning.minBlockRows);
  printTuning("max_block_rows", tuning.maxBlockRows);
  printTuning("rows_per_thread", tuning.rowsPerThread);
  printTuning("cached_bytes", tuning.cachedBytes);
  printTuning("prefetch_streams", tuning.prefetchStreams);
  printTuning("streamed_rows", tuning.streamedRows);
  printTuning("single_panel_bytes", tuning.singlePanelBytes);
  printTuning("prefetch_rows", tuning.prefetchRows);
  printTuning("streamed_prefetch_rows", tuning.streamedPrefetchRows);
  printTuning("pair_prefetch_rows", tuning.pairPrefetchRows);
  printTuning("tile_prefetch_rows", tuning.tilePrefetchRows);
  printTuning("pair_tile_prefetch_rows", tuning.pairTilePrefetchRows);
}
