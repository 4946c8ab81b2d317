// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the microkernels, shared by all gemms and by attention.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_TILES_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_TILES_H

#include "PanelLoader.h"

namespace lariat::vectors {

/// A(rows, K) times B(K, 16 numPanels) into C. All strides are in bytes; all values i64 or addresses. Panels are of 16
/// columns here: wider ones of a layout are several, side by side in their lines.
struct Product {
  const PanelLoader *loader = nullptr; ///< of B
  int64_t panelsPerLine = 1;           ///< of B: a power of two
  bool isStreamed = false;             ///< whether computing waits for B, which no cache holds
  bool isAdded = false;                ///< whether chains go on from what C holds, instead of from zero
  Value rows, numPanels, numK;
  Value a, aLine;         ///< f32; entries of a row are side by side, none beyond K is read
  Value b, bLine, bPanel; ///< line to line, panel to panel (of those side by side, all to the next)
  Value c, cLine;         ///< f32; panel p is at column 16 p
  /// Where what B is next starts, and how many bytes of each of its panels to ask for per line of B. What is far is asked
  /// for in runs of equal length side by side. May be left out.
  Value ahead, aheadStep;
};

/// Runs that a panel is asked for in. Not measured on a target: one.
inline int64_t getNumRuns(const CPUTarget &target, bool isStreamed) {
  return isStreamed ? target.tuning.prefetchStreams : 1;
}

/// C becomes the sums: each is one chain of fma with k ascending, so that its bits do not depend on `rows` or
/// `numPanels`. Nothing is done where either is 0. At most CPUTarget::getMaxRows() rows.
void writeProduct(CodeWriter &w, const Product &product);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_TILES_H
