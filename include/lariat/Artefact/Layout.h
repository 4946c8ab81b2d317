// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How artefacts lay data out: weights in panels, lines of buffers, pages of caches, addresses of rows.

#ifndef LARIAT_ARTEFACT_LAYOUT_H
#define LARIAT_ARTEFACT_LAYOUT_H

#include <cstdint>

namespace lariat::abi {

inline constexpr int64_t kPanelColumns = 16; ///< columns of a panel; lines of buffers are filled up to this
inline constexpr int64_t kPageEntries = 64;  ///< entries of a page of a cache
inline constexpr int64_t kRowPadding = 16;   ///< the rows of a call are rounded up to this for addresses

/// Bytes of which addresses of memory and of packed data, and lines of rotary tables, are multiples.
inline constexpr int64_t kAlignment = 64;

/// `value` rounded up to a multiple of `unit`.
constexpr int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_LAYOUT_H
