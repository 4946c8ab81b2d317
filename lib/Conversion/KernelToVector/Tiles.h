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
  bool isStreamed = false;             ///< whether B comes from memory at each use
  bool accumulates = false;            ///< whether chains continue from what C holds, instead of from zero
  Value rows, numPanels, numK;
  Value a, aRowStride;                ///< f32; entries of a row are side by side, none beyond K is read
  Value b, bStepStride, bPanelStride; ///< line to line, panel to panel (of those side by side, all to the next)
  Value c, cRowStride;                ///< f32; panel p is at column 16 p
  /// Start of the panels that come next, and how many bytes of each of them to prefetch per step of B. Of streamed
  /// weights, streams of equal length are prefetched side by side. May be left out.
  Value prefetchFrom, prefetchStride;
};

/// Streams in which a panel is prefetched. One where a target does not say.
inline int64_t getNumStreams(const CPUTarget &target, bool isStreamed) {
  return isStreamed ? target.tuning.prefetchStreams : 1;
}

/// C becomes the sums: each is one chain of fma with k ascending, so that its bits do not depend on `rows` or
/// `numPanels`. Nothing is done where either is 0. At most CPUTarget::getMaxRows() rows.
void writeProduct(CodeWriter &w, const Product &product);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_TILES_H
