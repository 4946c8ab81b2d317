// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: attention of a tile: the query heads that share one kv head, of some rows that share a view. A *query* is
// one head of one row. Whatever is done for a tile, a query's numbers come from operations on it alone, in an order
// that does not depend on the tile.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ATTENDTILE_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ATTENDTILE_H

#include "CachePage.h"
#include "RotateHead.h"
#include "Tiles.h"

namespace lariat::vectors {

class AttendTile {
public:
  AttendTile(KernelWriter &w, kernel::AttendOp op);

  /// Most rows of a tile: as many as give the microkernels two full tiles of queries.
  int64_t getMaxRows() const { return maxRows; }
  /// Whether rows share a view: the same entries, though maybe not as many.
  Value sharesView(Value row, Value other);
  /// Attends rows `first` to `end`, at most `getMaxRows()`, with the query heads of one kv head.
  void write(Value first, Value end, Value kvHead);

private:
  static constexpr int64_t kVectorBytes = 4 * kLanes;
  static constexpr int64_t kScoreLineBytes = 4 * kernel::kPageEntries;

  // Rows and queries.
  struct Bounds {
    Value low, high, count, anyPrefix; ///< over the rows so far
  };
  std::pair<Value, Value> getPositionBounds(Value position);
  void writeQuery(Value row, Value group, Value angles);
  Bounds writeRow(Value row, const Bounds &before);
  void writeResults();

  // Segments.
  struct Segment {
    Value before, numEntries; ///< entries of the view before it, and in it
    Value positions;          ///< of its entries
    Value first, last;        ///< positions of the first and the last entry
  };
  void copyEntry(Value memory, Value index, Value entry);
  void copyNeighbours(Value memory, Value index, Value entry);
  void copyEntries(Value refs, Value numEntries);
  void setPage(Value segment, Value numEntries);
  void multiply(Value a, int64_t aRowStride, Value b, int64_t bStepStride, Value numPanels, Value numK, Value c,
                int64_t cRowStride);
  void writeSeenProduct(Value number, Value values, Value numEntries);
  void repairProducts(const Segment &segment, Value values);
  void writeSegment(Value number, const Segment &segment);

  // Scores (AttendScores.cpp).
  llvm::SmallVector<Value> loadPositions(const Segment &segment);
  llvm::SmallVector<Value> getVisible(Value row, Value left, llvm::ArrayRef<Value> positions);
  Value addBias(Value score, Value line, Value place, Value positions);
  Value getScore(Value product);
  void writeScoresOfQuery(Value row, Value group, llvm::ArrayRef<Value> visible, llvm::ArrayRef<Value> positions);
  /// Whether a row sees 64 entries of a segment, whatever its tile sees.
  Value seesAll(const Segment &segment, Value row);
  /// Scores from products, and the largest of each query; the result is whether all rows see all entries.
  Value writeScores(const Segment &segment);
  /// The largest so far, and the factor that this makes for what was summed before.
  void writeFactors();
  /// Weights from scores, and their sum for each query.
  void writeWeights();
  void writeTotals();
  /// Adds products of weights and values.
  void addProducts();

  Value at(Value memory, Value line, int64_t bytes) { return w.ptrAdd(memory, w.multiply(line, bytes)); }
  Value getWord(Value array, Value index);
  void setWord(Value number, Value array, Value index);
  Value getFloat(Value array, Value index);
  void setFloat(Value real, Value array, Value index);
  Value getViewLine(Value row);
  void forQueries(llvm::function_ref<void(Value)> body);
  /// `body` with the offset of each vector in an array with an element per query.
  void forVectorsOfQueries(llvm::function_ref<void(Value)> body);

  KernelWriter &w;
  kernel::AttendOp op;
  CachePage page;
  int64_t groups, dim, maxRows, maxQueries, numVectors, lineBytes, valueLineBytes;
  bool alwaysCopies; ///< lines of values are shorter than a panel, or keys are no panels
  Value table, views, query, out, layerOffset, sinks, bias;
  Rope rope;
  // Scratch: a line per query,
  Value queries, scores, products, sums;
  // an f32 per query,
  Value largest, totals, segmentLargest, segmentTotals, factors;
  // an i32 per row,
  Value lows, highs, counts, places, inPrefix;
  // and for the segment: addresses of keys and values, and a copy of them, keys in panels, where they are not so.
  Value pageWords, copiedPage;
  // Of the tile at hand.
  Value firstRow, numRows, numQueries, head;
  mlir::Type i32, f32;
};

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_ATTENDTILE_H
