// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a tile: from products of queries and keys to weights of values. A segment that a query does not see
// leaves its numbers as they are: the largest score stays, so the factor is exp(0), which is 1, and weights are
// exp(-inf), 0.

#include "AttendTile.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

static constexpr int64_t kVectors = kernel::kPageEntries / kLanes; ///< of the scores of a query

static Value splat(CodeWriter &w, int32_t value) {
  VectorType type = w.vectorOf(w.b.getI32Type());
  return arith::ConstantOp::create(w.b, w.loc, DenseElementsAttr::get(type, value));
}
static Value larger(CodeWriter &w, Value x, Value y) {
  return w.select(arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::OGT, x, y), x, y);
}
static Value add(CodeWriter &w, Value x, Value y) { return arith::AddFOp::create(w.b, w.loc, x, y); }
static Value subtract(CodeWriter &w, Value x, Value y) { return arith::SubFOp::create(w.b, w.loc, x, y); }
static Value multiply(CodeWriter &w, Value x, Value y) { return arith::MulFOp::create(w.b, w.loc, x, y); }
static Value fma(CodeWriter &w, Value x, Value y, Value z) { return math::FmaOp::create(w.b, w.loc, x, y, z); }

/// exp of numbers up to 0, in two thirds of the operations that math.exp takes: 1 for 0, and 0 below -87. NaN stays.
/// The polynomial is Cephes' (expf.c, S. Moshier).
static Value expOfNegative(CodeWriter &w, Value x) {
  auto constantFloat = [&](double value) { return w.constantFloat(value, w.f32x16()); };
  Value isTiny = arith::CmpFOp::create(w.b, w.loc, arith::CmpFPredicate::OLT, x, constantFloat(-87));
  x = w.select(isTiny, constantFloat(-87), x);
  // Adding 1.5 * 2^23 rounds to an integer n; adding 127, too, leaves the exponent of 2^n in the low bits.
  Value shift = constantFloat(12582912 + 127), shifted = fma(w, x, constantFloat(1.44269504088896341), shift);
  Value n = subtract(w, shifted, shift);
  Value r = fma(w, n, constantFloat(2.12194440e-4), fma(w, n, constantFloat(-0.693359375), x));
  Value p = constantFloat(1.9875691500e-4);
  for (double factor : {1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1})
    p = fma(w, p, r, constantFloat(factor));
  p = add(w, fma(w, multiply(w, r, r), p, r), constantFloat(1));
  VectorType words = w.vectorOf(w.b.getI32Type());
  Value exponent =
      arith::ShLIOp::create(w.b, w.loc, arith::BitcastOp::create(w.b, w.loc, words, shifted), splat(w, 23));
  return w.select(isTiny, constantFloat(0), multiply(w, p, arith::BitcastOp::create(w.b, w.loc, w.f32x16(), exponent)));
}

/// One value from sixteen, pairwise.
static Value combine(CodeWriter &w, Value values, Value (*op)(CodeWriter &, Value, Value)) {
  for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
    auto take = [&](int64_t first) -> Value {
      return vector::ExtractStridedSliceOp::create(w.b, w.loc, values, {first}, {half}, {1});
    };
    values = op(w, take(0), take(half));
  }
  return w.extract(values, 0);
}

/// The numbers of the entries in one of the vectors.
static Value entriesOf(CodeWriter &w, int64_t vector) {
  SmallVector<int32_t> entries(kLanes);
  std::iota(entries.begin(), entries.end(), static_cast<int32_t>(vector * kLanes));
  return arith::ConstantOp::create(w.b, w.loc, DenseElementsAttr::get(w.vectorOf(w.b.getI32Type()), ArrayRef(entries)));
}
static Value truncate(CodeWriter &w, Value number) {
  return arith::TruncIOp::create(w.b, w.loc, w.b.getI32Type(), number);
}

//===----------------------------------------------------------------------===//
// Visibility
//===----------------------------------------------------------------------===//

/// Positions of entries; nothing is read beyond the last one.
SmallVector<Value> AttendTile::loadPositions(const Segment &segment) {
  Value end = w.broadcast(truncate(w, segment.numEntries)), zero = splat(w, 0);
  SmallVector<Value> positions;
  for (int64_t vector = 0; vector < kVectors; ++vector) {
    Value isThere = w.compare(arith::CmpIPredicate::slt, entriesOf(w, vector), end);
    positions.push_back(LLVM::MaskedLoadOp::create(w.b, w.loc, zero.getType(),
                                                   w.ptrAdd(segment.positions, vector * kVectorBytes), isThere, zero,
                                                   w.b.getI32IntegerAttr(4)));
  }
  return positions;
}

/// Which entries a row sees, one i1 per lane.
SmallVector<Value> AttendTile::getVisible(Value row, Value left, ArrayRef<Value> positions) {
  Value low = w.broadcast(getWord(lows, row)), high = w.broadcast(getWord(highs, row)), end = w.broadcast(left);
  bool hasPrefix = op.getMask().getKind() == kernel::MaskKind::Prefix;
  Value bit = splat(w, abi::kPrefixBit), zero = splat(w, 0), flag;
  if (hasPrefix)
    flag = w.compare(arith::CmpIPredicate::ne, w.broadcast(getWord(inPrefix, row)), zero);
  SmallVector<Value> visible;
  for (int64_t vector = 0; vector < kVectors; ++vector) {
    Value position = w.bitAnd(positions[vector], splat(w, abi::kPrefixBit - 1));
    Value seen = w.bitAnd(w.compare(arith::CmpIPredicate::sge, position, low),
                          w.compare(arith::CmpIPredicate::sle, position, high));
    if (hasPrefix) {
      Value both = w.compare(arith::CmpIPredicate::ne, w.bitAnd(positions[vector], bit), zero);
      seen = w.bitOr(seen, w.bitAnd(both, flag));
    }
    visible.push_back(w.bitAnd(seen, w.compare(arith::CmpIPredicate::slt, entriesOf(w, vector), end)));
  }
  return visible;
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Adds what the table has for the distance, where it has something.
Value AttendTile::addBias(Value score, Value line, Value place, Value positions) {
  auto data = lookUp<kernel::PackedOp>(op, op.getDistanceBiasAttr());
  Value position = w.bitAnd(positions, splat(w, abi::kPrefixBit - 1));
  Value distance = arith::SubIOp::create(w.b, w.loc, w.broadcast(place), position), zero = splat(w, 0);
  Value isNear = w.bitAnd(w.compare(arith::CmpIPredicate::sge, distance, zero),
                          w.compare(arith::CmpIPredicate::slt, distance, splat(w, data.getShape()[1])));
  Value index = arith::ExtUIOp::create(w.b, w.loc, w.vectorOf(w.b.getI64Type()), w.select(isNear, distance, zero));
  Value addresses = LLVM::GEPOp::create(w.b, w.loc, VectorType::get({kLanes}, line.getType()), f32, line,
                                        ArrayRef<LLVM::GEPArg>{index});
  Value change = LLVM::masked_gather::create(w.b, w.loc, w.f32x16(), addresses, isNear,
                                             ValueRange{w.constantFloat(0, w.f32x16())}, w.b.getI32IntegerAttr(4));
  return w.select(isNear, add(w, score, change), score);
}

Value AttendTile::getScore(Value product) {
  Value score = ::multiply(w, product, w.constantFloat(op.getScale().convertToDouble(), w.f32x16()));
  if (!op.getSoftcap())
    return score;
  Value cap = w.constantFloat(op.getSoftcap()->convertToDouble(), w.f32x16());
  return ::multiply(w, math::TanhOp::create(w.b, w.loc, arith::DivFOp::create(w.b, w.loc, score, cap)), cap);
}

/// The scores of one query; -inf where `visible` is not set.
void AttendTile::writeScoresOfQuery(Value row, Value group, ArrayRef<Value> visible, ArrayRef<Value> positions) {
  Value number = w.add(w.multiply(row, groups), group), line = at(scores, number, kScoreLineBytes), best;
  Value hidden = w.constantFloat(-std::numeric_limits<double>::infinity(), w.f32x16()), place, biasLine;
  if (bias) {
    auto data = lookUp<kernel::PackedOp>(op, op.getDistanceBiasAttr());
    place = getWord(places, row);
    biasLine = at(bias, w.add(w.multiply(head, groups), group), kernel::roundUp(data.getShape()[1], kLanes) * 4);
  }
  for (int64_t vector = 0; vector < kVectors; ++vector) {
    Value address = w.ptrAdd(line, vector * kVectorBytes);
    Value score = getScore(w.load(w.f32x16(), address));
    if (bias)
      score = addBias(score, biasLine, place, positions[vector]);
    if (!visible.empty())
      score = w.select(visible[vector], score, hidden);
    w.store(score, address);
    best = best ? larger(w, best, score) : score;
  }
  setFloat(combine(w, best, larger), segmentLargest, number);
}

Value AttendTile::seesAll(const Segment &segment, Value row) {
  auto holds = [&](arith::CmpIPredicate predicate, Value x, Value y) { return w.compare(predicate, x, y); };
  Value left = arith::SubIOp::create(w.b, w.loc, getWord(counts, row), truncate(w, segment.before));
  Value isWhole = arith::ConstantIntOp::create(w.b, w.loc, i32, kernel::kPageEntries);
  Value result = holds(arith::CmpIPredicate::sge, left, isWhole);
  result = w.bitAnd(result, holds(arith::CmpIPredicate::sge, truncate(w, segment.first), getWord(lows, row)));
  return w.bitAnd(result, holds(arith::CmpIPredicate::sle, truncate(w, segment.last), getWord(highs, row)));
}

Value AttendTile::writeScores(const Segment &segment) {
  SmallVector<Value> positions = loadPositions(segment);
  Value yes = arith::ConstantIntOp::create(w.b, w.loc, 1, 1);
  return w.forLoop(w.constantI64(0), numRows, w.constantI64(1), {yes},
                   [&](Value row, ValueRange all) -> CodeWriter::Values {
                     auto writeQueries = [&](ArrayRef<Value> visible) {
                       w.forLoop(w.constantI64(0), w.constantI64(groups), w.constantI64(1),
                                 [&](Value group) { writeScoresOfQuery(row, group, visible, positions); });
                     };
                     Value left = arith::SubIOp::create(w.b, w.loc, getWord(counts, row), truncate(w, segment.before));
                     Value sees = seesAll(segment, row);
                     w.ifThen(sees, [&] { writeQueries({}); }, [&] { writeQueries(getVisible(row, left, positions)); });
                     return {w.bitAnd(all[0], sees)};
                   })[0];
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void AttendTile::forVectorsOfQueries(llvm::function_ref<void(Value)> body) {
  w.forLoop(w.constantI64(0), numQueries, w.constantI64(kLanes), [&](Value first) { body(w.multiply(first, 4)); });
}

void AttendTile::writeFactors() {
  forVectorsOfQueries([&](Value offset) {
    auto load = [&](Value array) { return w.load(w.f32x16(), w.ptrAdd(array, offset)); };
    Value before = load(largest), now = larger(w, load(segmentLargest), before);
    w.store(now, w.ptrAdd(largest, offset));
    w.store(expOfNegative(w, subtract(w, before, now)), w.ptrAdd(factors, offset));
  });
}

void AttendTile::writeWeights() {
  forQueries([&](Value number) {
    Value most = w.broadcast(getFloat(largest, number)), sum;
    for (int64_t vector = 0; vector < kVectors; ++vector) {
      Value address = w.ptrAdd(at(scores, number, kScoreLineBytes), vector * kVectorBytes);
      Value weight = expOfNegative(w, subtract(w, w.load(w.f32x16(), address), most));
      w.store(weight, address);
      sum = sum ? add(w, sum, weight) : weight;
    }
    setFloat(combine(w, sum, add), segmentTotals, number);
  });
}

void AttendTile::writeTotals() {
  forVectorsOfQueries([&](Value offset) {
    auto load = [&](Value array) { return w.load(w.f32x16(), w.ptrAdd(array, offset)); };
    Value total = math::FmaOp::create(w.b, w.loc, load(totals), load(factors), load(segmentTotals));
    w.store(total, w.ptrAdd(totals, offset));
  });
}

void AttendTile::addProducts() {
  forQueries([&](Value number) {
    Value factor = w.broadcast(getFloat(factors, number));
    Value sumLine = at(sums, number, lineBytes), productLine = at(products, number, lineBytes);
    auto addVector = [&](Value offset) {
      Value sum = w.load(w.f32x16(), w.ptrAdd(sumLine, offset));
      Value product = w.load(w.f32x16(), w.ptrAdd(productLine, offset));
      w.store(math::FmaOp::create(w.b, w.loc, sum, factor, product), w.ptrAdd(sumLine, offset));
    };
    w.forLoop(w.constantI64(0), w.constantI64(lineBytes), w.constantI64(kVectorBytes), addVector);
  });
}
