// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which slot of a cache rows write, and what their order must be where depths share one. A rule stands in the manifest
// for rows of the prompt and for generated ones.

#ifndef LARIAT_ARTEFACT_SLOTRULE_H
#define LARIAT_ARTEFACT_SLOTRULE_H

#include "lariat/Artefact/Names.h"

#include <algorithm>
#include <cstdint>

namespace lariat::abi {

/// On what, besides rows and depths, results depend; from the least to the most.
enum class RowOrder {
  Free,       ///< nothing
  Atomic,     ///< which rows of a prompt run together
  Sequential, ///< nothing, but a row starts when the one before has finished
};

template <>
inline constexpr std::array<NamedValue<RowOrder>, 3> kNames<RowOrder> = {
    {{RowOrder::Free, "free"}, {RowOrder::Atomic, "atomic"}, {RowOrder::Sequential, "sequential"}}};

struct SlotRule {
  enum Kind {
    Own,    ///< slot d of a row at depth d
    First,  ///< slot 0, and only at depth 0
    Shared, ///< slot min(d, slots - 1)
    Ring,   ///< slot d mod slots
  };
  Kind kind = Own;
  int64_t slots = 0;               ///< of Shared and Ring
  RowOrder order = RowOrder::Free; ///< where depths share a slot

  /// The slot that a row at `depth` looks up from, and writes if it writes.
  constexpr int64_t getSlot(int64_t depth) const {
    switch (kind) {
    case Own:
      return depth;
    case First:
      return 0;
    case Shared:
      return std::min(depth, slots - 1);
    case Ring:
      return depth % slots;
    }
    return 0;
  }

  constexpr bool writesAt(int64_t depth) const { return kind != First || depth == 0; }

  /// Slots that rows below `maxDepth` write.
  constexpr int64_t getNumSlots(int64_t maxDepth) const {
    return kind == Own ? maxDepth : std::min(maxDepth, kind == First ? 1 : slots);
  }

  /// The order of rows below `maxDepth`.
  constexpr RowOrder getOrder(int64_t maxDepth) const {
    return (kind == Shared || kind == Ring) && maxDepth > slots ? order : RowOrder::Free;
  }
};

template <>
inline constexpr std::array<NamedValue<SlotRule::Kind>, 4> kNames<SlotRule::Kind> = {
    {{SlotRule::Own, "own"}, {SlotRule::First, "first"}, {SlotRule::Shared, "shared"}, {SlotRule::Ring, "ring"}}};

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_SLOTRULE_H
