// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.gemm. Rows go in blocks: the prologue writes a block's rows of A to scratch, then groups of panels pass over
// it, a tile of rows at a time, and the epilogue finishes each tile while it is in the first cache. Threads share the
// panels; each does the prologue of all rows itself, which costs less than a barrier. Calls of many rows share the
// rows. An out may be the buffer of an extra, never that of an input: other threads may still read it.

#include "KernelCode.h"
#include "RowAccess.h"
#include "Tiles.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Operand segments.
enum { kRows, kTable, kInputs, kExtras, kLowRankInputs, kOuts, kIndices };

namespace {

/// Some rows of a depth span, which are neighbours at one depth, and some panels.
struct Piece {
  Value firstRow, rows;   ///< `firstRow` counts from the call's first
  Value rowInSpan;        ///< the same from the span's first
  Value panel, numPanels; ///< the first, and how many
  Value tile, numTiles;   ///< pieces of a span with these panels are numbered
  Value prefetches;       ///< whether it prefetches the next panels
  Value isMemoryBound;    ///< whether reading streamed weights takes longer than computing
};

class GemmWriter {
public:
  GemmWriter(kernel::GemmOp op, KernelWriter &w)
      : op(op), w(w), target(w.emitter.getTarget()), tuning(target.tuning),
        access(w, op, op.getTable(), op.getTable() ? getField(kTable, 0) : Value()),
        prologue(op.getPrologue().front(), findColumnArguments(op.getInputs(), op.getPrologueVectors().size())),
        epilogue(op.getEpilogue().front(), getEpilogueColumns(op)), numK(op.getDepthK()), numN(op.getWidthN()),
        numPanels((numN + kLanes - 1) / kLanes) {
    SmallVector<Value> lists;
    for (size_t i = 0; i < op.getIndices().size(); ++i)
      lists.push_back(getField(kIndices, i));
    access.setIndices(op.getIndices(), std::move(lists));
    for (auto symbol : op.getWeights().getAsRange<FlatSymbolRefAttr>())
      weights.push_back(lookUp<kernel::PackedOp>(op, symbol));
    for (auto symbol : op.getLowRankWeights().getAsRange<FlatSymbolRefAttr>())
      lowRankWeights.push_back(lookUp<kernel::PackedOp>(op, symbol));
    findGroup();
    findStorage();
  }

  void write();

private:
  Value getField(unsigned segment, size_t i) { return w.field(op.getODSOperandIndexAndLength(segment).first + i); }
  /// Packed data number i, counted over weights and vectors.
  Value getData(size_t i) { return w.field(op->getNumOperands() + i); }

  static SmallVector<bool> getEpilogueColumns(kernel::GemmOp op) {
    SmallVector<bool> isColumn(op.getWeights().size(), true);
    isColumn.append(findColumnArguments(op.getExtras(), op.getEpilogueVectors().size()));
    return isColumn;
  }

  static bool isDepthIndexed(ArrayRef<kernel::PackedOp> weights) {
    return llvm::any_of(weights, [](kernel::PackedOp data) { return data.getDepths().has_value(); });
  }
  /// `body` with the first row and the number of rows of each depth span, which reads one depth of `weights`.
  void forDepthSpans(ArrayRef<kernel::PackedOp> weights, Value first, Value end,
                     llvm::function_ref<void(Value, Value)> body);

  /// Panels, of 16 columns, rounded up to whole panels of the weights.
  int64_t roundUp(int64_t panels) const { return kernel::roundUp(panels, panelsPerLine); }
  void findGroup();
  void findStorage();
  /// Panels that pass over a block of `rows` rows together.
  Value getGroup(Value rows);
  void writeSpan(Value first, Value count);
  void writePrologue(Value first, Value count);
  /// `body` with the pieces of rows from `first` on and of these panels.
  void forPieces(Value spanFirst, Value first, Value count, Value panel, Value numPanels, Value prefetches,
                 llvm::function_ref<void(const Piece &)> body);
  void writePiece(const Piece &piece);
  void writeLowRank(Value first, Value count, Value panel, Value numPanels);
  void writeSums(Product product, int64_t depthK, kernel::PackedOp data, Value address, size_t sum, const Piece &piece);
  void setPrefetch(Product &product, kernel::PackedOp data, const Piece &piece);
  SmallVector<RowSlot> getEpilogueArguments(Value row, Value i);
  void writeEpilogue(Value firstRow, Value rows, Value panel, Value panels);

  kernel::GemmOp op;
  KernelWriter &w;
  const CPUTarget &target;
  const CPUTuning &tuning;
  RowAccess access;
  RowRegion prologue, epilogue;
  int64_t numK, numN, numPanels;
  SmallVector<kernel::PackedOp> weights, lowRankWeights;
  Value panelBegin, panelEnd; ///< of this thread
  int64_t panelsPerLine = 1;  ///< of the weight that has most side by side; groups are a multiple of it
  int64_t maxPanels = 0;      ///< of a group
  int64_t blockRows = 0;
  bool isPlain = false;  ///< A is read where it is
  bool isDirect = false; ///< sums go straight to the out
  Value aRowStride, a;   ///< of the span at hand
  Value scratchA, scratchC;
  int64_t cRowBytes = 0, cRows = 0;
};

} // namespace

/// Panels of 16 columns that lie side by side in lines of packed weights.
static int64_t getPanelsPerLine(kernel::PackedOp data) { return data.getPanelColumns() / kLanes; }

/// Where more tiles of rows than one pass over a group, it is as wide as the widest of full-sized tiles.
static int64_t getFullGroup(const CPUTarget &target) {
  int64_t panels = 1;
  for (int64_t rows = (target.getMaxRows() + 1) / 2; rows <= target.getMaxRows(); ++rows)
    panels = std::max(panels, target.getPanels(rows));
  return panels;
}

void GemmWriter::findGroup() {
  for (kernel::PackedOp data : llvm::concat<kernel::PackedOp>(weights, lowRankWeights))
    panelsPerLine = std::max(panelsPerLine, getPanelsPerLine(data));
  maxPanels = roundUp(getFullGroup(target));
  for (int64_t rows = 1; rows <= target.getMaxRows(); ++rows)
    maxPanels = std::max(maxPanels, roundUp(findPanelLoader(weights[0])->getTilePanels(target, rows)));
}

void GemmWriter::findStorage() {
  int64_t lineBytes = kernel::roundUp(4 * numK, 64);
  if (lineBytes % 128 == 0) // lines apart by an odd number of cache lines do not compete for the same sets
    lineBytes += 64;
  int64_t maxRows = target.getMaxRows();
  blockRows = std::clamp(tuning.blockBytes / lineBytes, tuning.minBlockRows, tuning.maxBlockRows) / maxRows * maxRows;
  isPlain = op.hasPlainInput();
  if (!isPlain) {
    aRowStride = w.constantI64(lineBytes);
    scratchA = w.scratch(blockRows * lineBytes);
  }
  auto yielded = op.getEpilogue().front().getTerminator()->getOperands();
  isDirect = weights.size() == 1 && yielded.size() == 1 && yielded[0] == op.getEpilogue().getArgument(0) &&
             op.getScatter()[0] == -1 &&
             access.getResult(op.getOuts()[0], getField(kOuts, 0), w.constantI64(0), Value(), numN).hasPadding;
  if (isDirect)
    return;
  cRowBytes = maxPanels * 64;
  cRows = lowRankWeights.empty() ? maxRows : blockRows;
  scratchC = w.scratch(cRowBytes * cRows * static_cast<int64_t>(weights.size()));
}

Value GemmWriter::getGroup(Value rows) {
  const PanelLoader &loader = *findPanelLoader(weights[0]);
  Value group = w.constantI64(roundUp(getFullGroup(target)));
  for (int64_t tileRows = 1; tileRows <= target.getMaxRows(); ++tileRows) {
    Value isThis = w.equal(rows, w.constantI64(tileRows));
    bool readsOneStream = tuning.prefetchStreams == 1 && weights[0].getDepthBytes() >= tuning.singlePanelBytes &&
                          tileRows < loader.getPrefetchRows(tuning, weights[0].getStreamed());
    group =
        w.select(isThis, w.constantI64(roundUp(readsOneStream ? 1 : loader.getTilePanels(target, tileRows))), group);
  }
  return group;
}

void GemmWriter::write() {
  Value rows = w.field(0), threads = w.getNumThreads();
  auto [rowBegin, rowEnd] = w.share(rows);
  auto [panelBegin, panelEnd] = w.share(w.constantI64(roundUp(numPanels) / panelsPerLine));
  if (panelsPerLine > 1) { // shares begin where panels of the weights do
    panelBegin = w.multiply(panelBegin, panelsPerLine);
    panelEnd = w.minimum(w.multiply(panelEnd, panelsPerLine), w.constantI64(numPanels));
  }
  Value isMany = w.compare(arith::CmpIPredicate::sge, rows, w.multiply(threads, tuning.rowsPerThread));
  rowBegin = w.select(isMany, rowBegin, w.constantI64(0));
  rowEnd = w.select(isMany, rowEnd, rows);
  this->panelBegin = w.select(isMany, w.constantI64(0), panelBegin);
  this->panelEnd = w.select(isMany, w.constantI64(numPanels), panelEnd);

  Value count = w.subtract(rowEnd, rowBegin), numBlocks = w.divideUp(count, blockRows);
  w.forLoop(w.constantI64(0), numBlocks, [&](Value block) {
    auto [first, end] = w.share(count, block, numBlocks);
    forDepthSpans(weights, w.add(rowBegin, first), w.add(rowBegin, end),
                  [&](Value first, Value rows) { writeSpan(first, rows); });
  });
}

void GemmWriter::forDepthSpans(ArrayRef<kernel::PackedOp> weights, Value first, Value end,
                               llvm::function_ref<void(Value, Value)> body) {
  if (!isDepthIndexed(weights))
    return body(first, w.subtract(end, first));
  w.whileLoop(
      first, [&](ValueRange begin) { return w.less(begin[0], end); },
      [&](ValueRange begin) {
        Value depth = access.getDepth(begin[0]), last = w.add(end, -1);
        auto spanEnd = w.whileLoop(
            w.add(begin[0], 1),
            [&](ValueRange next) {
              Value isSame = w.equal(access.getDepth(w.minimum(next[0], last)), depth);
              return w.bitAnd(w.less(next[0], end), isSame);
            },
            [&](ValueRange next) { return CodeWriter::Values{w.add(next[0], 1)}; });
        body(begin[0], w.subtract(spanEnd[0], begin[0]));
        return spanEnd;
      });
}

void GemmWriter::writePrologue(Value first, Value count) {
  if (isPlain) {
    auto yield = op.getPrologue().front().getTerminator();
    unsigned number = cast<BlockArgument>(yield->getOperand(0)).getArgNumber();
    auto type = cast<MemRefType>(op.getInputs()[number].getType());
    aRowStride = w.constantI64(kernel::getLineBytes(type));
    a = w.line(getField(kInputs, number), type, first);
    return;
  }
  a = scratchA;
  w.forLoop(w.constantI64(0), count, [&](Value i) {
    Value row = w.add(first, i);
    SmallVector<RowSlot> arguments;
    for (auto [n, input] : llvm::enumerate(op.getInputs()))
      arguments.push_back(
          access.getArgument(input, getField(kInputs, n), access.getLine(row, op.getGather()[n]), Value(), numK));
    for (auto [n, symbol] : llvm::enumerate(op.getPrologueVectors().getAsRange<FlatSymbolRefAttr>()))
      arguments.push_back(access.getVector(symbol, getData(weights.size() + n), row));
    RowSlot result = {w.b.getF32Type(), true, w.ptrAdd(a, w.multiply(i, aRowStride))};
    prologue.writeRow(w, numK, arguments, [&](kernel::FactKind kind) { return access.getFact(kind, row); }, result);
  });
}

void GemmWriter::writeSpan(Value first, Value count) {
  Value hasPanels = w.less(panelBegin, panelEnd);
  w.ifThen(hasPanels, [&] {
    writePrologue(first, count);
    Value group = getGroup(count);
    int64_t aheadRows = findPanelLoader(weights[0])->getPrefetchRows(tuning, weights[0].getStreamed());
    Value prefetches = w.compare(arith::CmpIPredicate::sge, count, w.constantI64(aheadRows));
    w.forLoop(panelBegin, panelEnd, group, [&](Value panel) {
      Value numPanels = w.minimum(group, w.subtract(panelEnd, panel));
      forPieces(first, first, count, panel, numPanels, prefetches, [&](const Piece &piece) {
        writePiece(piece);
        if (lowRankWeights.empty())
          writeEpilogue(piece.firstRow, piece.rows, panel, numPanels);
      });
      if (lowRankWeights.empty())
        return;
      writeLowRank(first, count, panel, numPanels);
      writeEpilogue(first, count, panel, numPanels);
    });
  });
}

void GemmWriter::forPieces(Value spanFirst, Value first, Value count, Value panel, Value numPanels, Value prefetches,
                           llvm::function_ref<void(const Piece &)> body) {
  Value numTiles = w.divideUp(count, target.getMaxRows()), before = w.subtract(first, spanFirst);
  Value isMemoryBound = w.compare(arith::CmpIPredicate::sle, count, w.constantI64(tuning.streamedRows));
  w.forLoop(w.constantI64(0), numTiles, [&](Value tile) {
    auto [begin, end] = w.share(count, tile, numTiles);
    body({w.add(first, begin), w.subtract(end, begin), w.add(before, begin), panel, numPanels, tile, numTiles,
          prefetches, isMemoryBound});
  });
}

void GemmWriter::setPrefetch(Product &product, kernel::PackedOp data, const Piece &piece) {
  // Every tile of rows prefetches its part of the panels after these.
  int64_t lineBytes = data.getPanelLineBytes(), numLines = data.getPanelBytes() / lineBytes;
  Value step = w.divide(w.add(piece.numTiles, lineBytes - 1), piece.numTiles);
  Value begin = w.multiply(piece.numPanels, data.getPanelBytes() / product.panelsPerLine);
  Value done = w.multiply(w.multiply(piece.tile, numLines / getNumStreams(target, product.isStreamed)), step);
  Value next = w.ptrAdd(product.b, w.add(begin, done));
  product.prefetchFrom = w.select(piece.prefetches, next, product.b);
  product.prefetchStride = w.select(piece.prefetches, step, w.constantI64(0));
}

void GemmWriter::writePiece(const Piece &piece) {
  Product product;
  product.a = w.ptrAdd(a, w.multiply(piece.rowInSpan, aRowStride));
  product.aRowStride = aRowStride;
  for (auto [s, data] : llvm::enumerate(weights))
    writeSums(product, numK, data, getData(s), s, piece);
}

/// What low-rank pairs add to the sums of a span, panel by panel: C stays in the first cache, and memory delivers the
/// next panels while shared weights are multiplied.
void GemmWriter::writeLowRank(Value first, Value count, Value panel, Value numPanels) {
  size_t numOthers = weights.size() + op.getPrologueVectors().size() + op.getEpilogueVectors().size();
  for (auto [n, data] : llvm::enumerate(lowRankWeights)) {
    Value input = op.getLowRankInputs()[n], memory = getField(kLowRankInputs, n);
    auto type = cast<MemRefType>(input.getType());
    Product product;
    product.accumulates = true;
    product.aRowStride = w.constantI64(kernel::getLineBytes(type));
    forDepthSpans(data, first, w.add(first, count), [&](Value spanFirst, Value rows) {
      Value prefetches = arith::ConstantIntOp::create(w.b, w.loc, 1, 1);
      forPieces(first, spanFirst, rows, panel, numPanels, prefetches, [&](const Piece &piece) {
        product.a = w.line(memory, type, piece.firstRow);
        writeSums(product, type.getDimSize(1), data, getData(numOthers + n), static_cast<size_t>(op.getLowRankOf()[n]),
                  piece);
      });
    });
  }
}

/// Sums number `sum` of a piece, with panels of the data at `address`.
void GemmWriter::writeSums(Product product, int64_t depthK, kernel::PackedOp data, Value address, size_t sum,
                           const Piece &piece) {
  // The depth is the same in all rows of a span.
  Value panels = access.getAtDepth(data, address, piece.firstRow);
  product.loader = findPanelLoader(data);
  product.panelsPerLine = getPanelsPerLine(data);
  product.rows = piece.rows;
  product.numPanels = piece.numPanels;
  product.numK = w.constantI64(depthK);
  product.b = w.ptrAdd(panels, w.multiply(piece.panel, data.getPanelBytes() / product.panelsPerLine));
  product.bStepStride = w.constantI64(data.getPanelLineBytes());
  product.bPanelStride = w.constantI64(data.getPanelBytes());
  if (isDirect) {
    auto type = cast<MemRefType>(op.getOuts()[0].getType());
    Value line = w.line(getField(kOuts, 0), type, piece.firstRow);
    product.c = w.ptrAdd(line, w.multiply(piece.panel, 64));
    product.cRowStride = w.constantI64(kernel::getLineBytes(type));
  } else {
    product.c = w.ptrAdd(scratchC, static_cast<int64_t>(sum) * cRowBytes * cRows);
    if (!lowRankWeights.empty())
      product.c = w.ptrAdd(product.c, w.multiply(piece.rowInSpan, cRowBytes));
    product.cRowStride = w.constantI64(cRowBytes);
  }
  auto write = [&](bool isStreamed) {
    product.isStreamed = isStreamed;
    setPrefetch(product, data, piece);
    writeProduct(w, product);
  };
  if (data.getStreamed() && tuning.prefetchStreams > 1)
    w.ifThen(piece.isMemoryBound, [&] { write(true); }, [&] { write(false); });
  else
    write(false);
}

SmallVector<RowSlot> GemmWriter::getEpilogueArguments(Value row, Value i) {
  SmallVector<RowSlot> arguments;
  size_t numInputs = op.getInputs().size(), firstVector = weights.size() + op.getPrologueVectors().size();
  for (size_t s = 0; s < weights.size(); ++s) {
    Value sums = w.ptrAdd(scratchC, static_cast<int64_t>(s) * cRowBytes * cRows);
    arguments.push_back({w.b.getF32Type(), true, w.ptrAdd(sums, w.multiply(i, cRowBytes))});
  }
  for (auto [n, extra] : llvm::enumerate(op.getExtras()))
    arguments.push_back(access.getArgument(extra, getField(kExtras, n),
                                           access.getLine(row, op.getGather()[numInputs + n]), Value(), numN));
  for (auto [n, symbol] : llvm::enumerate(op.getEpilogueVectors().getAsRange<FlatSymbolRefAttr>()))
    arguments.push_back(access.getVector(symbol, getData(firstVector + n), row));
  return arguments;
}

void GemmWriter::writeEpilogue(Value firstRow, Value rows, Value panel, Value panels) {
  if (isDirect)
    return;
  w.forLoop(w.constantI64(0), rows, [&](Value i) {
    Value row = w.add(firstRow, i);
    SmallVector<RowSlot> arguments = getEpilogueArguments(row, i), results;
    for (auto [n, out] : llvm::enumerate(op.getOuts()))
      results.push_back(
          access.getResult(out, getField(kOuts, n), access.getLine(row, op.getScatter()[n]), Value(), numN));
    auto scalars =
        llvm::map_to_vector(arguments, [](const RowSlot &slot) { return slot.isColumn ? Value() : slot.value; });
    RowRegion::Mapping rowValues =
        epilogue.writeRowValues(w, scalars, [&](kernel::FactKind kind) { return access.getFact(kind, row); });

    auto writePanel = [&](Value j, int64_t count) {
      Value column = w.multiply(w.add(panel, j), kLanes);
      SmallVector<Value> columns;
      for (auto [n, slot] : llvm::enumerate(arguments)) {
        if (!slot.isColumn) {
          columns.push_back(Value());
          continue;
        }
        Value place =
            n < weights.size() ? w.multiply(j, 64) : w.multiply(column, kernel::getElementBytes(slot.element));
        columns.push_back(w.loadColumns(slot.element, w.ptrAdd(slot.value, place), slot.hasPadding ? kLanes : count));
      }
      SmallVector<Value> values = epilogue.writeColumns(w, rowValues, columns);
      for (auto [value, slot] : llvm::zip_equal(values, results))
        if (slot.isColumn)
          w.storeColumns(w.broadcast(value),
                         w.ptrAdd(slot.value, w.multiply(column, kernel::getElementBytes(slot.element))),
                         slot.hasPadding ? kLanes : count);
    };
    bool hasTail = llvm::any_of(llvm::concat<RowSlot>(arguments, results),
                                [](const RowSlot &slot) { return slot.isColumn && !slot.hasPadding; });
    w.forLoop(w.constantI64(0), panels, [&](Value j) {
      if (!hasTail)
        return writePanel(j, kLanes);
      Value isLast = w.equal(w.add(panel, j), w.constantI64(numPanels - 1));
      w.ifThen(isLast, [&] { writePanel(j, numN - (numPanels - 1) * kLanes); }, [&] { writePanel(j, kLanes); });
    });
    // Per-row results are computed by every thread; only the owner of panel 0 stores them.
    if (llvm::any_of(results, [](const RowSlot &slot) { return !slot.isColumn; }))
      w.ifThen(w.equal(panel, w.constantI64(0)), [&] {
        for (auto [value, slot] : llvm::zip_equal(op.getEpilogue().front().getTerminator()->getOperands(), results))
          if (!slot.isColumn)
            w.storeElement(rowValues.lookup(value), slot.value);
      });
  });
}

static void writeKernel(kernel::GemmOp op, KernelWriter &w) { GemmWriter(op, w).write(); }

void vectors::populateGemmCode(KernelCodes &codes) { codes.add(writeKernel); }
