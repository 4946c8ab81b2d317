// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a tile: its queries, then segments of 64 entries one after the other, then results.

#include "AttendTile.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Fields of the record that are always there.
enum { kRows, kTable, kViews, kQuery, kOut, kLayerOffset, kFirstOptional };

// Words of a view.
enum { kPages, kRefs, kPositions, kCount };

static MemRefType getType(Value buffer) { return cast<MemRefType>(buffer.getType()); }

AttendTile::AttendTile(KernelWriter &w, kernel::AttendOp op)
    : w(w), op(op), page{lookUp<kernel::CacheOp>(op, op.getCacheAttr())}, i32(w.b.getI32Type()), f32(w.b.getF32Type()) {
  groups = static_cast<int64_t>(op.getHeads() / page.cache.getHeads());
  dim = page.cache.getDim();
  maxRows = std::max<int64_t>(1, 2 * w.emitter.getTarget().getMaxRows() / groups);
  maxQueries = maxRows * groups;
  lineBytes = kernel::roundUp(dim, kLanes) * 4;
  numVectors = lineBytes / kVectorBytes;
  alwaysCopies = dim < kLanes || !page.hasKeyPanels();
  valueLineBytes = std::max(dim, kLanes) * page.getElementBytes();

  table = w.field(kTable);
  views = w.field(kViews);
  query = w.field(kQuery);
  out = w.field(kOut);
  layerOffset = w.field(kLayerOffset);
  int64_t next = kFirstOptional;
  if (op.getSinks())
    sinks = w.field(next++);
  if (op.getDistanceBias())
    bias = w.field(next++);
  if (op.getRope())
    rope = Rope::get(op, *op.getRope(), w.field(next++));

  queries = w.scratch(maxQueries * lineBytes);
  scores = w.scratch(maxQueries * kScoreLineBytes);
  products = w.scratch(maxQueries * lineBytes);
  sums = w.scratch(maxQueries * lineBytes);
  int64_t perQuery = kernel::roundUp(maxQueries, kLanes) * 4;
  for (Value *array : {&largest, &totals, &segmentLargest, &segmentTotals, &factors})
    *array = w.scratch(perQuery);
  for (Value *array : {&lows, &highs, &counts, &places, &inPrefix})
    *array = w.scratch(maxRows * 4);
  pageWords = w.scratch(2 * 8);
  copiedPage = w.scratch(page.getKeysBytes() + kernel::kPageEntries * valueLineBytes);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value AttendTile::getWord(Value array, Value index) { return w.load(i32, at(array, index, 4)); }
void AttendTile::setWord(Value number, Value array, Value index) {
  w.store(arith::TruncIOp::create(w.b, w.loc, i32, number), at(array, index, 4));
}
Value AttendTile::getFloat(Value array, Value index) { return w.load(f32, at(array, index, 4)); }
void AttendTile::setFloat(Value real, Value array, Value index) { w.store(real, at(array, index, 4)); }

Value AttendTile::getViewLine(Value row) { return w.line(views, getType(op.getViews()), row); }

void AttendTile::forQueries(llvm::function_ref<void(Value)> body) {
  w.forLoop(w.constantI64(0), numQueries, w.constantI64(1), body);
}

Value AttendTile::sharesView(Value row, Value other) {
  Value left = getViewLine(row), right = getViewLine(other), same;
  for (int64_t word : {kPages, kRefs, kPositions}) {
    Value equal = w.compare(arith::CmpIPredicate::eq, w.loadI64(left, word), w.loadI64(right, word));
    same = same ? w.bitAnd(same, equal) : equal;
  }
  return same;
}

//===----------------------------------------------------------------------===//
// Rows and queries
//===----------------------------------------------------------------------===//

/// The lowest and highest position that a row sees, the prefix aside.
std::pair<Value, Value> AttendTile::getPositionBounds(Value position) {
  Value size = w.constantI64(op.getMask().getSize()), zero = w.constantI64(0);
  switch (op.getMask().getKind()) {
  case kernel::MaskKind::Causal:
  case kernel::MaskKind::Prefix:
    return {zero, position};
  case kernel::MaskKind::Full:
    return {zero, w.constantI64(abi::kPrefixBit - 1)};
  case kernel::MaskKind::Window:
    return {w.maximum(w.add(w.subtract(position, size), 1), zero), position};
  case kernel::MaskKind::Chunk:
    return {w.subtract(position, w.remainder(position, size)), position};
  }
  llvm_unreachable("enumeration covered");
}

void AttendTile::writeQuery(Value row, Value group, Value angles) {
  Value number = w.add(w.multiply(w.subtract(row, firstRow), groups), group);
  Value queryHead = w.add(w.multiply(head, groups), group);
  MemRefType type = getType(op.getQuery());
  ColumnRange from = skipColumns(w, {type.getElementType(), w.line(query, type, row)}, w.multiply(queryHead, dim));
  writeHead(w, rope, angles, from, {f32, at(queries, number, lineBytes)}, dim);
  setFloat(sinks ? getFloat(sinks, queryHead) : w.constantFloat(std::numeric_limits<float>::lowest(), f32), largest,
           number);
  setFloat(w.constantFloat(sinks ? 1 : 0, f32), totals, number);

  Value zero = w.constantFloat(0, w.f32x16());
  w.forLoop(w.constantI64(0), w.constantI64(numVectors), w.constantI64(1),
            [&](Value vector) { w.store(zero, at(at(sums, number, lineBytes), vector, kVectorBytes)); });
  if (dim % kLanes) // columns that no product writes
    w.store(zero, w.ptrAdd(at(products, number, lineBytes), lineBytes - kVectorBytes));
}

AttendTile::Bounds AttendTile::writeRow(Value row, const Bounds &before) {
  Value line = w.line(table, getType(op.getTable()), row), position = w.loadI64(line, abi::kPosition);
  auto [low, high] = getPositionBounds(position);
  Value count = w.loadI64(getViewLine(row), kCount), index = w.subtract(row, firstRow);
  setWord(low, lows, index);
  setWord(high, highs, index);
  setWord(count, counts, index);
  setWord(position, places, index);
  Value anyPrefix = before.anyPrefix;
  if (op.getMask().getKind() == kernel::MaskKind::Prefix) {
    Value flag = w.bitAnd(w.loadI64(line, abi::kFlags), w.constantI64(abi::kPrefix));
    setWord(flag, inPrefix, index);
    anyPrefix = w.bitOr(anyPrefix, flag);
  }
  Value angles = rope ? rope.getLine(w, position) : Value();
  w.forLoop(w.constantI64(0), w.constantI64(groups), w.constantI64(1),
            [&](Value group) { writeQuery(row, group, angles); });
  return {w.minimum(before.low, low), w.maximum(before.high, high), w.maximum(before.count, count), anyPrefix};
}

/// Sums over totals; 0 for a row that saw nothing.
void AttendTile::writeResults() {
  MemRefType type = getType(op.getOut());
  w.forLoop(w.constantI64(0), numRows, w.constantI64(1), [&](Value index) {
    ColumnRange line{type.getElementType(), w.line(out, type, w.add(firstRow, index))};
    w.forLoop(w.constantI64(0), w.constantI64(groups), w.constantI64(1), [&](Value group) {
      Value number = w.add(w.multiply(index, groups), group);
      ColumnRange to = skipColumns(w, line, w.multiply(w.add(w.multiply(head, groups), group), dim));
      Value total = w.broadcast(getFloat(totals, number)), zero = w.constantFloat(0, w.f32x16());
      Value sawNothing = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::OEQ, total, zero);
      for (int64_t column = 0; column < dim; column += kLanes) {
        Value sum = w.load(w.f32x16(), w.ptrAdd(at(sums, number, lineBytes), column * 4));
        // Adding 0 makes every zero positive: its sign would tell how many entries the tile took.
        Value mean = arith::AddFOp::create(w.b, w.loc, arith::DivFOp::create(w.b, w.loc, sum, total), zero);
        storeFloats(w, w.select(sawNothing, zero, mean), skipColumns(w, to, column), std::min(kLanes, dim - column));
      }
    });
  });
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// Copies entry `index` of the page at `memory` to place `entry` of the copied page.
void AttendTile::copyEntry(Value memory, Value index, Value entry) {
  Type element = w.b.getIntegerType(8 * page.getElementBytes());
  int64_t bytes = page.getElementBytes();
  Value from = at(memory, index, page.getKeyEntryBytes()), to = at(copiedPage, entry, bytes);
  w.forLoop(w.constantI64(0), w.constantI64(dim), w.constantI64(1), [&](Value j) {
    w.store(w.load(element, at(from, j, page.getKeyColumnBytes())), at(to, j, page.getKeyLineBytes()));
  });
  ColumnRange values{page.getElement(), at(w.ptrAdd(memory, page.getKeysBytes()), index, page.getValueLineBytes())};
  copyColumns(w, values, {page.getElement(), at(w.ptrAdd(copiedPage, page.getKeysBytes()), entry, valueLineBytes)}, 0,
              dim);
}

/// Copies 16 entries from `index` on, which are side by side.
void AttendTile::copyNeighbours(Value memory, Value index, Value entry) {
  int64_t bytes = page.getElementBytes();
  VectorType type = w.vectorOf(w.b.getIntegerType(8 * bytes));
  Value from = at(memory, index, bytes), to = at(copiedPage, entry, bytes);
  w.forLoop(w.constantI64(0), w.constantI64(dim), w.constantI64(1), [&](Value j) {
    w.store(w.load(type, at(from, j, page.getKeyLineBytes())), at(to, j, page.getKeyLineBytes()));
  });
  from = at(w.ptrAdd(memory, page.getKeysBytes()), index, page.getValueLineBytes());
  to = at(w.ptrAdd(copiedPage, page.getKeysBytes()), entry, valueLineBytes);
  w.forLoop(w.constantI64(0), w.constantI64(dim), w.constantI64(1),
            [&](Value j) { w.store(w.load(type, at(from, j, kLanes * bytes)), at(to, j, kLanes * bytes)); });
}

/// Copies the entries that `refs` lists.
void AttendTile::copyEntries(Value refs, Value numEntries) {
  Value offset = w.add(layerOffset, w.multiply(head, page.getHeadBytes()));
  auto getRef = [&](Value entry) { return at(refs, entry, sizeof(abi::EntryRef)); };
  w.forLoop(w.constantI64(0), numEntries, w.constantI64(kLanes), [&](Value first) {
    Value ref = getRef(first), memory = w.ptrAdd(w.loadPointer(ref, 0), offset), index = w.loadI64(ref, 1);
    Value end = w.minimum(w.add(first, kLanes), numEntries), one = w.constantI64(1);
    // Whether they are side by side.
    Value isWhole = w.compare(arith::CmpIPredicate::eq, end, w.add(first, kLanes));
    Value areNeighbours =
        w.forLoop(first, end, one, {isWhole}, [&](Value entry, ValueRange sofar) -> CodeWriter::Values {
          Value other = getRef(entry), place = w.add(index, w.subtract(entry, first));
          Value samePage = w.compare(arith::CmpIPredicate::eq, w.loadI64(other, 0), w.loadI64(ref, 0));
          Value isNext = w.compare(arith::CmpIPredicate::eq, w.loadI64(other, 1), place);
          return {w.bitAnd(sofar[0], w.bitAnd(samePage, isNext))};
        })[0];
    auto copyEach = [&] {
      w.forLoop(first, end, one, [&](Value entry) {
        Value other = getRef(entry);
        copyEntry(w.ptrAdd(w.loadPointer(other, 0), offset), w.loadI64(other, 1), entry);
      });
    };
    if (alwaysCopies)
      return copyEach();
    w.ifThen(areNeighbours, [&] { copyNeighbours(memory, index, first); }, copyEach);
  });
}

/// Finds the segment's keys and values, and leaves their addresses in `pageWords`.
void AttendTile::setPage(Value segment, Value numEntries) {
  Value view = getViewLine(firstRow);
  auto setAddresses = [&](Value keys) {
    w.store(keys, pageWords);
    w.store(w.ptrAdd(keys, page.getKeysBytes()), w.ptrAdd(pageWords, 8));
  };
  auto copyListed = [&] {
    Value bytes = w.multiply(segment, kernel::kPageEntries * static_cast<int64_t>(sizeof(abi::EntryRef)));
    copyEntries(w.ptrAdd(w.loadPointer(view, kRefs), bytes), numEntries);
    setAddresses(copiedPage);
  };
  auto takePage = [&] {
    Value memory = w.loadPointer(at(w.loadPointer(view, kPages), segment, 8), 0);
    memory = w.ptrAdd(memory, w.add(layerOffset, w.multiply(head, page.getHeadBytes())));
    if (!alwaysCopies)
      return setAddresses(memory);
    w.forLoop(w.constantI64(0), numEntries, w.constantI64(1), [&](Value entry) { copyEntry(memory, entry, entry); });
    setAddresses(copiedPage);
  };
  Value isList = w.compare(arith::CmpIPredicate::ne, w.loadI64(view, kRefs), w.constantI64(0));
  w.ifThen(isList, copyListed, takePage);
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

/// c = a b for all queries, as evenly as the microkernels' rows allow.
void AttendTile::multiply(Value a, int64_t aRowStride, Value b, int64_t bStepStride, Value numPanels, Value numK,
                          Value c, int64_t cRowStride) {
  int64_t tileRows = w.emitter.getTarget().getMaxRows();
  Value numTiles = w.divide(w.add(numQueries, tileRows - 1), w.constantI64(tileRows));
  w.forLoop(w.constantI64(0), numTiles, w.constantI64(1), [&](Value tile) {
    auto [first, end] = w.share(numQueries, tile, numTiles);
    Product product;
    product.loader = &getLineLoader(page.getElement());
    product.rows = w.subtract(end, first);
    product.numPanels = numPanels;
    product.numK = numK;
    product.a = at(a, first, aRowStride);
    product.aRowStride = w.constantI64(aRowStride);
    product.b = b;
    product.bStepStride = w.constantI64(bStepStride);
    product.bPanelStride = w.constantI64(kLanes * page.getElementBytes());
    product.c = at(c, first, cRowStride);
    product.cRowStride = w.constantI64(cRowStride);
    writeProduct(w, product);
  });
}

/// The product of a query again, without entries of weight 0.
void AttendTile::writeSeenProduct(Value number, Value values, Value numEntries) {
  Value zero = w.constantFloat(0, w.f32x16());
  w.forLoop(w.constantI64(0), w.constantI64(dim), w.constantI64(kLanes), [&](Value column) {
    Value first = w.minimum(column, w.constantI64(std::max<int64_t>(0, dim - kLanes)));
    auto addEntry = [&](Value entry, ValueRange sum) -> CodeWriter::Values {
      Value weight = w.broadcast(getFloat(at(scores, number, kScoreLineBytes), entry));
      Value address = w.ptrAdd(at(values, entry, valueLineBytes), w.multiply(first, page.getElementBytes()));
      Value value = w.load(w.vectorOf(page.getElement()), address);
      if (!page.getElement().isF32())
        value = w.widen(value);
      Value isSeen = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::UNE, weight, zero);
      return {w.select(isSeen, math::FmaOp::create(w.b, w.loc, weight, value, sum[0]), sum[0])};
    };
    Value sum = w.forLoop(w.constantI64(0), numEntries, w.constantI64(1), {zero}, addEntry)[0];
    w.store(sum, at(at(products, number, lineBytes), first, 4));
  });
}

/// An entry that a row does not see has weight 0 and adds nothing, unless its value is inf or NaN: 0 times that is NaN,
/// and the row's bits would depend on who else is in its tile. So where a row does not see all and has NaN, its
/// products are computed again.
void AttendTile::repairProducts(const Segment &segment, Value values) {
  auto isNaN = [&](Value number) {
    Value any;
    for (int64_t column = 0; column < dim; column += kLanes) {
      Value product = w.load(w.f32x16(), w.ptrAdd(at(products, number, lineBytes), column * 4));
      Value lanes = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::UNO, product, product);
      if (dim - column < kLanes)
        lanes = w.bitAnd(lanes, w.firstLanes(dim - column));
      any = any ? w.bitOr(any, lanes) : lanes;
    }
    Value bits = LLVM::BitcastOp::create(w.b, w.loc, w.b.getI16Type(), any);
    return w.compare(arith::CmpIPredicate::ne, bits, arith::ConstantIntOp::create(w.b, w.loc, 0, 16));
  };
  w.forLoop(w.constantI64(0), numRows, w.constantI64(1), [&](Value row) {
    auto repairQuery = [&](Value group) {
      Value number = w.add(w.multiply(row, groups), group);
      w.ifThen(isNaN(number), [&] { writeSeenProduct(number, values, segment.numEntries); });
    };
    w.ifThen(
        seesAll(segment, row), [] {},
        [&] { w.forLoop(w.constantI64(0), w.constantI64(groups), w.constantI64(1), repairQuery); });
  });
}

void AttendTile::writeSegment(Value number, const Segment &segment) {
  setPage(number, segment.numEntries);
  Value keys = w.loadPointer(pageWords, 0), values = w.loadPointer(pageWords, 1);
  Value numPanels = w.divide(w.add(segment.numEntries, kLanes - 1), w.constantI64(kLanes));
  multiply(queries, lineBytes, keys, page.getKeyLineBytes(), numPanels, w.constantI64(dim), scores, kScoreLineBytes);
  Value allSeeAll = writeScores(segment);
  writeFactors();
  writeWeights();
  writeTotals();
  auto addColumns = [&](int64_t first, int64_t panels) {
    multiply(scores, kScoreLineBytes, w.ptrAdd(values, first * page.getElementBytes()), valueLineBytes,
             w.constantI64(panels), segment.numEntries, w.ptrAdd(products, first * 4), lineBytes);
  };
  addColumns(0, std::max<int64_t>(1, dim / kLanes));
  if (dim > kLanes && dim % kLanes) // the last columns again with some before them: a whole panel
    addColumns(dim - kLanes, 1);
  w.ifThen(allSeeAll, [] {}, [&] { repairProducts(segment, values); });
  addProducts();
}

void AttendTile::write(Value first, Value end, Value kvHead) {
  firstRow = first;
  head = kvHead;
  numRows = w.subtract(end, first);
  numQueries = w.multiply(numRows, groups);
  Value zero = w.constantI64(0);
  CodeWriter::Values ends = w.forLoop(first, end, w.constantI64(1), {w.constantI64(abi::kPrefixBit), zero, zero, zero},
                                      [&](Value row, ValueRange at) -> CodeWriter::Values {
                                        Bounds bounds = writeRow(row, {at[0], at[1], at[2], at[3]});
                                        return {bounds.low, bounds.high, bounds.count, bounds.anyPrefix};
                                      });
  Value low = ends[0], high = ends[1], count = ends[2], anyPrefix = ends[3];

  Value numSegments = w.divide(w.add(count, kernel::kPageEntries - 1), w.constantI64(kernel::kPageEntries));
  w.forLoop(zero, numSegments, w.constantI64(1), [&](Value number) {
    Segment segment;
    segment.before = w.multiply(number, kernel::kPageEntries);
    segment.numEntries = w.minimum(w.subtract(count, segment.before), w.constantI64(kernel::kPageEntries));
    segment.positions = at(w.loadPointer(getViewLine(first), kPositions), segment.before, 4);
    auto getPosition = [&](Value entry) -> Value {
      Value word = w.load(i32, at(segment.positions, entry, 4));
      return w.bitAnd(arith::ExtUIOp::create(w.b, w.loc, w.b.getI64Type(), word), w.constantI64(abi::kPrefixBit - 1));
    };
    segment.first = getPosition(zero);
    segment.last = getPosition(w.add(segment.numEntries, -1));
    // Entries are in order of position: is there any between the bounds of the rows?
    Value isSeen = w.bitAnd(w.compare(arith::CmpIPredicate::sge, segment.last, low),
                            w.compare(arith::CmpIPredicate::sle, segment.first, high));
    isSeen = w.bitOr(isSeen, w.compare(arith::CmpIPredicate::ne, anyPrefix, zero));
    w.ifThen(isSeen, [&] { writeSegment(number, segment); });
  });
  writeResults();
}
