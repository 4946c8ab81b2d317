// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rotary position on the columns of one head: 16 pairs at a time, then what is left, with the same operations.

#include "RotateHead.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

Value vectors::loadFloats(CodeWriter &w, ColumnRange from, int64_t count) {
  Value columns = w.loadColumns(from.element, from.address, count);
  return from.element.isF32() ? columns : w.widen(columns);
}

void vectors::storeFloats(CodeWriter &w, Value reals, ColumnRange to, int64_t count) {
  w.storeColumns(to.element.isF32() ? reals : w.narrow(reals, to.element), to.address, count);
}

ColumnRange vectors::skipColumns(CodeWriter &w, ColumnRange range, Value column) {
  return {range.element, w.ptrAdd(range.address, w.multiply(column, kernel::getElementBytes(range.element)))};
}

ColumnRange vectors::skipColumns(CodeWriter &w, ColumnRange range, int64_t column) {
  return {range.element, w.ptrAdd(range.address, column * kernel::getElementBytes(range.element))};
}

/// `body` at every 16th of `count` columns, with the number of them there are.
static void forColumns(CodeWriter &w, int64_t count, llvm::function_ref<void(Value, int64_t)> body) {
  int64_t rest = count % kLanes, whole = count - rest;
  if (whole == kLanes)
    body(w.constantI64(0), kLanes);
  else if (whole)
    w.forLoop(w.constantI64(0), w.constantI64(whole), w.constantI64(kLanes),
              [&](Value column) { body(column, kLanes); });
  if (rest)
    body(w.constantI64(whole), rest);
}

void vectors::copyColumns(CodeWriter &w, ColumnRange from, ColumnRange to, int64_t first, int64_t end) {
  from = skipColumns(w, from, first);
  to = skipColumns(w, to, first);
  forColumns(w, end - first, [&](Value column, int64_t count) {
    storeFloats(w, loadFloats(w, skipColumns(w, from, column), count), skipColumns(w, to, column), count);
  });
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

static Value shuffle(CodeWriter &w, Value left, Value right, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(w.b, w.loc, left, right, lanes);
}

/// Every second column of 32, from `first` on.
static Value takeSecond(CodeWriter &w, Value left, Value right, int64_t first) {
  SmallVector<int64_t> lanes;
  for (int64_t lane = 0; lane < kLanes; ++lane)
    lanes.push_back(2 * lane + first);
  return shuffle(w, left, right, lanes);
}

/// 16 of the 32 columns that pairs side by side make.
static Value putSideBySide(CodeWriter &w, Value first, Value second, int64_t firstPair) {
  SmallVector<int64_t> lanes;
  for (int64_t pair = firstPair; pair < firstPair + kLanes / 2; ++pair)
    lanes.append({pair, pair + kLanes});
  return shuffle(w, first, second, lanes);
}

/// First and second values of `count` pairs that lie side by side.
static std::pair<Value, Value> loadPairs(CodeWriter &w, ColumnRange from, int64_t count) {
  Value low = loadFloats(w, from, std::min(2 * count, kLanes)), high = low;
  if (2 * count > kLanes)
    high = loadFloats(w, skipColumns(w, from, kLanes), 2 * count - kLanes);
  return {takeSecond(w, low, high, 0), takeSecond(w, low, high, 1)};
}

static void storePairs(CodeWriter &w, Value first, Value second, ColumnRange to, int64_t count) {
  storeFloats(w, putSideBySide(w, first, second, 0), to, std::min(2 * count, kLanes));
  if (2 * count > kLanes)
    storeFloats(w, putSideBySide(w, first, second, kLanes / 2), skipColumns(w, to, kLanes), 2 * count - kLanes);
}

//===----------------------------------------------------------------------===//
// Ropes
//===----------------------------------------------------------------------===//

Rope Rope::get(Operation *op, kernel::RopeAttr attr, Value table) {
  return {attr, table, lookUp<kernel::RopeTableOp>(op, attr.getTable()).getLineBytes()};
}

Value Rope::getLine(CodeWriter &w, Value position) const { return w.ptrAdd(table, w.multiply(position, lineBytes)); }

void vectors::writeHead(CodeWriter &w, const Rope &rope, Value line, ColumnRange from, ColumnRange to, int64_t width) {
  int64_t dims = rope ? rope.attr.getDims() : 0, half = dims / 2;
  bool interleaved = rope && rope.attr.getInterleaved();
  forColumns(w, half, [&](Value pair, int64_t count) {
    auto [cosine, sine] = loadPairs(w, skipColumns(w, {w.b.getF32Type(), line}, w.multiply(pair, 2)), count);
    ColumnRange in = skipColumns(w, from, interleaved ? w.multiply(pair, 2) : pair),
                out = skipColumns(w, to, interleaved ? w.multiply(pair, 2) : pair);
    auto rotate = [&](Value u, Value v) -> std::pair<Value, Value> {
      auto mul = [&](Value x, Value y) -> Value { return arith::MulFOp::create(w.b, w.loc, x, y); };
      return {arith::SubFOp::create(w.b, w.loc, mul(u, cosine), mul(v, sine)),
              arith::AddFOp::create(w.b, w.loc, mul(v, cosine), mul(u, sine))};
    };
    if (interleaved) {
      auto [u, v] = loadPairs(w, in, count);
      auto [first, second] = rotate(u, v);
      return storePairs(w, first, second, out, count);
    }
    Value u = loadFloats(w, in, count), v = loadFloats(w, skipColumns(w, in, half), count);
    auto [first, second] = rotate(u, v);
    storeFloats(w, first, out, count);
    storeFloats(w, second, skipColumns(w, out, half), count);
  });
  copyColumns(w, from, to, 2 * half, width);
}
