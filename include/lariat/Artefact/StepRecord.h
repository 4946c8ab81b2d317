// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The seat record: what a row keeps between the step functions of a model. It is the results of @prelude, in this
// order:
//   entered, carried values, invariants, max, values that only @coda reads
// `lariat-derive-steps` writes the parts as `lariat.record` on @prelude, and a manifest says them with that function.

#ifndef LARIAT_ARTEFACT_STEPRECORD_H
#define LARIAT_ARTEFACT_STEPRECORD_H

#include "lariat/Artefact/Names.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace lariat::abi {

/// A part of the record, one row tensor.
enum class RecordPart {
  Entered,   ///< i1: whether the row enters the loop
  Carried,   ///< what a loop step hands to the next
  Invariant, ///< what every loop step reads
  Max,       ///< index: the most loop steps
  Coda,      ///< what @coda needs from before the loop
};

template <>
inline constexpr std::array<NamedValue<RecordPart>, 5> kNames<RecordPart> = {{{RecordPart::Entered, "entered"},
                                                                              {RecordPart::Carried, "carried"},
                                                                              {RecordPart::Invariant, "invariant"},
                                                                              {RecordPart::Max, "max"},
                                                                              {RecordPart::Coda, "coda"}}};

inline size_t countParts(std::span<const RecordPart> record, RecordPart part) {
  return static_cast<size_t>(std::ranges::count(record, part));
}

/// Whether parts stand in their order, with `entered` and `max` once each.
inline bool isRecord(std::span<const RecordPart> record) {
  return std::ranges::is_sorted(record) && countParts(record, RecordPart::Entered) == 1 &&
         countParts(record, RecordPart::Max) == 1;
}

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_STEPRECORD_H
