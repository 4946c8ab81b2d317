// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How `attend` finds what an earlier row left in a cache.

#ifndef LARIAT_ARTEFACT_LOOKUP_H
#define LARIAT_ARTEFACT_LOOKUP_H

#include <cstdint>

namespace lariat::abi {

/// Which entries of an earlier row u of its sequence a row reads that looks up from slot d.
enum class LookUp : int64_t {
  Exact,        ///< u's entry in slot d, if there is one
  ElseFirst,    ///< u's entry in slot d, else the one in slot 0
  NewestAtMost, ///< u's entry in the deepest slot <= d that has one
  First,        ///< u's entry in slot 0
  AllAtMost,    ///< every entry of u in slots <= d, shallow first
};
inline constexpr int64_t kNumLookUps = 5;

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_LOOKUP_H
