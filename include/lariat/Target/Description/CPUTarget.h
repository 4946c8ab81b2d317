// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What code generation knows about a kind of CPU. Data only: a new ISA is a new entry of the table.

#ifndef LARIAT_TARGET_DESCRIPTION_CPUTARGET_H
#define LARIAT_TARGET_DESCRIPTION_CPUTARGET_H

#include "lariat/Artefact/Layout.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace lariat {

/// How products are cut and what they prefetch. Speed depends on it, results never do. Where a target gives no number
/// of its own, that of Zen 3 serves.
struct CPUTuning {
  /// tilePanels[rows - 1]: panels of 16 columns that a microkernel of so many rows takes at once; the last entry is the
  /// largest number of rows. No tile needs more registers than there are.
  std::vector<int64_t> tilePanels;
  int64_t pairRowPanels;    ///< the same for one row of bf16 in pairs
  bool loadsPairsOnce;      ///< whether such a row keeps a word of two steps in a register rather than load it for each
  int64_t unrolledSums = 8; ///< tiles of at most so many vectors of sums go over `unrolledSteps` steps of k at once
  int64_t unrolledSteps = 4;    ///< more, and counting takes no time worth saving
  int64_t blockBytes = 1 << 18; ///< of the second cache, for the rows of A that panels pass over together
  int64_t minBlockRows = 24, maxBlockRows = 64; ///< bounds of their number
  int64_t rowsPerThread = 32; ///< from so many rows per thread on, threads share rows rather than panels

  /// Bytes of weights that the caches hold from one step to the next. The last cache has 32 MiB and more, but other
  /// processors use it too, and what is read in turn is gone before its turn comes where a little is lacking: 13 MB are
  /// read at 38 to 65 GB/s, 23 MB at 20 to 25, as any amount from memory. Weights beyond are `streamed`.
  int64_t cachedBytes = 16 << 20;
  int64_t prefetchStreams;  ///< addresses at which streamed weights are read at once
  int64_t streamedRows = 8; ///< up to so many rows, streamed weights take longer to read than to compute with
  /// With one stream, few rows read a matrix of so many bytes panel after panel.
  int64_t singlePanelBytes = 32 << 20;
  /// From so many rows on, computing takes long enough to prefetch the next panels meanwhile; with fewer, or for the
  /// last of several tiles only, memory is busy anyway. Of f32, of streamed f32 (with several streams), of bf16.
  int64_t prefetchRows = 5, streamedPrefetchRows = 3, pairPrefetchRows = 2;
  /// The same of a tile of rows: of f32, and of bf16 or of sums that are added to.
  int64_t tilePrefetchRows = 3, pairTilePrefetchRows = 2;
};

struct CPUTarget {
  std::string name; ///< as in manifests and --target
  std::string triple, cpu, features;
  int64_t vectorBits;                ///< of a register
  int64_t numRegisters;              ///< vector registers
  std::vector<std::string> required; ///< features a machine must have, by LLVM's names
  CPUTuning tuning;
  abi::Layout layout = {}; ///< of weights and pages

  int64_t getLanes() const { return vectorBits / 32; }
  int64_t getMaxRows() const { return static_cast<int64_t>(tuning.tilePanels.size()); }
  /// Panels of a tile of so many rows.
  int64_t getPanels(int64_t rows) const { return tuning.tilePanels[rows - 1]; }
  /// Registers that a tile needs: the sums, the smaller of its sides, and one to stream the other.
  int64_t getTileRegisters(int64_t rows, int64_t panels) const;
};

/// All targets, best of each kind of machine first.
llvm::ArrayRef<CPUTarget> getCPUTargets();

/// The target of that name, or null.
const CPUTarget *findCPUTarget(llvm::StringRef name);

/// Writes what is known of a target, a line per fact.
void printCPUTarget(llvm::raw_ostream &os, const CPUTarget &target);

} // namespace lariat

#endif // LARIAT_TARGET_DESCRIPTION_CPUTARGET_H
