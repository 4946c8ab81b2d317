// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row set at run time: a table int64_t[rows][kNumRowColumns], rows by sequence, then position, roots ascending.

#ifndef LARIAT_ARTEFACT_ROWTABLE_H
#define LARIAT_ARTEFACT_ROWTABLE_H

#include <cstdint>

namespace lariat::abi {

enum RowColumn : int64_t {
  kRoot,     ///< place of the row in the row set of the call
  kSequence, ///< number of its sequence: first index of every cache and state
  kPosition, ///< position in its sequence
  kDepth,    ///< loop step it is in
  kFlags,    ///< RowFlag bits
  kLength,   ///< rows of its sequence in this call
  kNumRowColumns
};

enum RowFlag : int64_t {
  kGenerated = 1, ///< the token was generated, not part of the prompt
  kPrefix = 2,    ///< inside the bidirectional prefix of its sequence
  kWanted = 4,    ///< its logits are wanted
};

/// The deepest depth of a row.
inline constexpr int64_t kMaxDepth = int64_t(1) << 20;

/// In View::positions: the entry is inside its sequence's prefix. Positions are below.
inline constexpr int32_t kPrefixBit = 1 << 30;

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_ROWTABLE_H
