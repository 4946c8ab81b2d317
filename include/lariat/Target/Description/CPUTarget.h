// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What code generation knows about a kind of CPU. Data only: a new ISA is a new entry of the table.

#ifndef LARIAT_TARGET_DESCRIPTION_CPUTARGET_H
#define LARIAT_TARGET_DESCRIPTION_CPUTARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace lariat {

struct CPUTarget {
  std::string name; ///< as in manifests and --target
  std::string triple, cpu, features;
  int64_t vectorBits;   ///< of a register
  int64_t numRegisters; ///< vector registers
  /// tilePanels[rows - 1]: panels of 16 columns that a microkernel of so many rows takes at once; the last entry is the
  /// largest number of rows. Measured; no tile needs more registers than there are.
  std::vector<int64_t> tilePanels;
  int64_t pairRowPanels; ///< the same for one row of bf16 in pairs
  bool loadsPairsOnce;   ///< whether such a row keeps a word of two steps in a register rather than load it for each
  int64_t farRuns;       ///< places at which weights that no cache holds are read side by side
  std::vector<std::string> required; ///< features a machine must have, by LLVM's names

  int64_t getLanes() const { return vectorBits / 32; }
  int64_t getMaxRows() const { return static_cast<int64_t>(tilePanels.size()); }
  /// Panels of a tile of so many rows.
  int64_t getPanels(int64_t rows) const { return tilePanels[rows - 1]; }
  /// Registers that a tile needs: the sums, the smaller of its sides, and one to stream the other.
  int64_t getTileRegisters(int64_t rows, int64_t panels) const;
};

/// All targets, best of each kind of machine first.
llvm::ArrayRef<CPUTarget> getCPUTargets();

/// The target of that name, or null.
const CPUTarget *findCPUTarget(llvm::StringRef name);

} // namespace lariat

#endif // LARIAT_TARGET_DESCRIPTION_CPUTARGET_H
