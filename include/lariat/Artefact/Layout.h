// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How artefacts lay data out. What every target agrees on are constants: lines of buffers, entries of a page, addresses
// of rows. What is a target's own choice is its Layout: panels of weights, and keys in a page. No bit of a result
// depends on it.

#ifndef LARIAT_ARTEFACT_LAYOUT_H
#define LARIAT_ARTEFACT_LAYOUT_H

#include "lariat/Artefact/Names.h"

#include <cstdint>
#include <string>

namespace lariat::abi {

inline constexpr int64_t kLineColumns = 16; ///< lines of buffers are filled up to this, and columns of them begin at it
inline constexpr int64_t kPanelColumns = 16; ///< columns of a panel, where a layout does not say otherwise
inline constexpr int64_t kPageEntries = 64;  ///< entries of a page of a cache
inline constexpr int64_t kRowPadding = 16;   ///< the rows of a call are rounded up to this for addresses

/// Bytes of which addresses of memory and of packed data, and lines of rotary tables, are multiples.
inline constexpr int64_t kAlignment = 64;

/// `value` rounded up to a multiple of `unit`.
constexpr int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// How the keys of a head lie in a page. Its values are a line per entry, always.
enum class KeyOrder {
  Columns, ///< a line of 64 per column, with one of every entry
  Entries, ///< a line per entry, with all of its columns
};

template <>
inline constexpr std::array<NamedValue<KeyOrder>, 2> kNames<KeyOrder> = {
    {{KeyOrder::Columns, "columns"}, {KeyOrder::Entries, "entries"}}};

/// What a target chooses of how its code finds weights and cache entries. Targets of one layout read the same weights.
struct Layout {
  std::string name = "cpu";             ///< in manifests
  int64_t panelColumns = kPanelColumns; ///< of a panel: kLineColumns times a power of two
  KeyOrder keys = KeyOrder::Columns;

  bool operator==(const Layout &) const = default;
};

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_LAYOUT_H
