// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Naive lowering of the ops that use weights, and of rotary position.

#include "Helpers.h"

#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// A weight inside a helper: its memory and, where it is depth-indexed, the depth of the row at hand.
struct WeightRef {
  Value memory;
  bool indexed = false;

  Value load(LoopEmitter &e, Value depth, ValueRange indices) const {
    SmallVector<Value> all(indices);
    if (indexed) {
      Value last = e.sub(e.dim(memory, 0), e.idx(1));
      all.insert(all.begin(), e.minimum(depth, last)); // past the end: clamp; an error is noted as a fault
    }
    return e.load(memory, all);
  }
};

/// Collects a helper's operands and remembers where each weight went.
class OperandList {
public:
  OperandList(Helpers &helpers, ConversionPatternRewriter &rewriter, Location loc)
      : helpers(helpers), rewriter(rewriter), loc(loc) {}

  void add(Value value) { values.push_back(value); }
  /// Adds a weight, if there is one; returns its operand number and whether it is depth-indexed.
  std::optional<unsigned> add(FlatSymbolRefAttr name, bool transposed) {
    if (!name)
      return std::nullopt;
    values.push_back(helpers.weight(rewriter, loc, name.getValue(), transposed));
    indexed.resize(values.size());
    indexed.back() = helpers.getWeight(name.getValue()).getDepths().has_value();
    params += indexed.back() ? 'd' : 'w';
    return values.size() - 1;
  }
  /// Adds what tells of depths past the end of the weights so far; called once, after them.
  void addChecks(Operation *op, ArrayRef<FlatSymbolRefAttr> names) {
    for (FlatSymbolRefAttr name : names)
      if (std::optional<int64_t> number = name ? helpers.getCheckedWeightNumber(name.getValue()) : std::nullopt) {
        int64_t end = *helpers.getWeight(name.getValue()).getDepths();
        values.push_back(arith::ConstantIndexOp::create(rewriter, loc, *number));
        values.push_back(arith::ConstantIndexOp::create(rewriter, loc, end));
        ++numChecks;
      }
    if (numChecks)
      values.push_back(helpers.faultMemory(op));
  }
  /// Notes a fault for a row whose depth a weight does not have.
  void check(LoopEmitter &e, ValueRange args, Value depth) const {
    ValueRange checks = args.take_back(2 * numChecks + 1);
    for (unsigned check = 0; check < numChecks; ++check)
      e.checkRange(depth, checks[2 * check + 1], args.back(), abi::kWeightFault, checks[2 * check]);
  }
  WeightRef ref(ValueRange args, unsigned operand) const { return {args[operand], indexed[operand]}; }

  SmallVector<Value> values;
  std::string params; ///< which weights there are, to tell helpers apart

private:
  Helpers &helpers;
  ConversionPatternRewriter &rewriter;
  Location loc;
  SmallVector<bool> indexed;
  unsigned numChecks = 0;
};

struct LowerValueOf : ReferencePattern<ValueOfOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(ValueOfOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    if (op.getBy()) {
      rewriter.replaceOp(op, choose(op, adaptor.getBy(), rewriter));
      return success();
    }
    Value memory = helpers.weight(rewriter, op.getLoc(), op.getWeight(), /*transposed=*/false);
    rewriter.replaceOpWithNewOp<bufferization::ToTensorOp>(op, op.getType(), memory, /*restrict=*/true,
                                                           /*writable=*/false);
    return success();
  }

private:
  /// The weight of each row's depth.
  ValueRange choose(ValueOfOp op, Value by, ConversionPatternRewriter &rewriter) const {
    RankedTensorType type = convert(op.getType());
    OperandList operands(helpers, rewriter, op.getLoc());
    operands.add(by);
    unsigned weight = *operands.add(op.getWeightAttr(), /*transposed=*/false);
    operands.addChecks(op, op.getWeightAttr());
    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value rows = e.read(args[0]), count = e.dim(rows, 0), out = e.alloc(type, count);
      e.loop(count, [&](Value row) {
        Value depth = e.column(rows, row, kDepth);
        operands.check(e, args, depth);
        e.loop(e.idx(type.getDimSize(1)), [&](Value column) {
          e.storeRounded(operands.ref(args, weight).load(e, depth, column), out, {row, column});
        });
      });
      return {e.result(out)};
    };
    return helpers.call(rewriter, op.getLoc(), "value_of", operands.params, operands.values, type, body);
  }
};

struct LowerEmbed : ReferencePattern<EmbedOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(EmbedOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    Value weight = helpers.weight(rewriter, op.getLoc(), op.getWeight(), /*transposed=*/false);
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "embed", "", {adaptor.getIds(), weight}, type,
                                        [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          Value ids = e.read(args[0]), count = e.dim(ids, 0),
                                                out = e.alloc(type, count);
                                          e.loop(count, [&](Value row) {
                                            Value id = e.cast(e.load(ids, row), e.builder().getIndexType());
                                            Value end = e.dim(args[1], 0), last = e.sub(end, e.idx(1));
                                            Value isThere = e.compare(arith::CmpIPredicate::ult, id, end);
                                            Value there = e.minimum(id, last);
                                            e.loop(e.idx(type.getDimSize(1)), [&](Value column) {
                                              Value entry = e.load(args[1], {there, column});
                                              e.storeRounded(e.pick(isThere, entry, e.f32(0)), out, {row, column});
                                            });
                                          });
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

struct LowerLinear : ReferencePattern<LinearOp> {
  using ReferencePattern::ReferencePattern;

  /// out[n] = sum over k of in(k) * W^T[k, n], k ascending, one accumulator each.
  static void multiply(LoopEmitter &e, const WeightRef &weight, Value depth, Value numInputs, Value numOutputs,
                       llvm::function_ref<Value(Value)> in, llvm::function_ref<SmallVector<Value>(Value)> at,
                       Value out) {
    e.loop(numOutputs, [&](Value n) { e.store(e.f32(0), out, at(n)); });
    e.loop(numInputs, [&](Value k) {
      Value x = in(k);
      e.loop(numOutputs,
             [&](Value n) { e.store(e.fma(x, weight.load(e, depth, {k, n}), e.load(out, at(n))), out, at(n)); });
    });
  }

  LogicalResult matchAndRewrite(LinearOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    bool perRow = type.getRank() == 1;
    if (!type.getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "gives another type than f32");
    if (op.getLowRankA() && perRow)
      return rewriter.notifyMatchFailure(op, "a low-rank pair beside a weight of one output");
    OperandList operands(helpers, rewriter, op.getLoc());
    operands.add(adaptor.getInput());
    if (adaptor.getBy())
      operands.add(adaptor.getBy());
    unsigned weight = *operands.add(op.getWeightAttr(), /*transposed=*/!perRow);
    std::optional<unsigned> bias = operands.add(op.getBiasAttr(), /*transposed=*/false);
    std::optional<unsigned> a = operands.add(op.getLowRankAAttr(), /*transposed=*/true);
    std::optional<unsigned> b = operands.add(op.getLowRankBAttr(), /*transposed=*/true);
    operands.addChecks(op, {op.getWeightAttr(), op.getBiasAttr(), op.getLowRankAAttr(), op.getLowRankBAttr()});
    double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0;
    std::string params = operands.params + (bias ? "b" : "");
    if (a)
      llvm::raw_string_ostream(params) << " scale " << llvm::format("%.17g", scale);
    int64_t rank = a ? helpers.getWeight(*op.getLowRankA()).getTensorType().getDimSize(0) : 0;

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value x = e.read(args[0]), count = e.dim(x, 0), numInputs = e.dim(x, 1);
      Value rows = adaptor.getBy() ? e.read(args[1]) : Value();
      RankedTensorType sums = RankedTensorType::get(type.getShape(), e.builder().getF32Type());
      Value out = e.alloc(sums, count);
      Value numOutputs = e.idx(perRow ? 1 : type.getDimSize(1));
      Value inner = a ? e.scratch(e.builder().getF32Type(), e.idx(rank)) : Value();
      Value change = a ? e.scratch(e.builder().getF32Type(), numOutputs) : Value();
      e.loop(count, [&](Value row) {
        Value depth = rows ? e.column(rows, row, kDepth) : Value();
        operands.check(e, args, depth);
        auto entry = [&](Value k) { return e.loadF32(x, {row, k}); };
        auto at = [&](Value n) { return perRow ? SmallVector<Value>{row} : SmallVector<Value>{row, n}; };
        WeightRef w = operands.ref(args, weight);
        if (perRow) {
          Value sum = e.reduce(numInputs, e.f32(0),
                               [&](Value k, Value acc) { return e.fma(entry(k), w.load(e, depth, {k}), acc); });
          e.store(sum, out, row);
        } else {
          multiply(e, w, depth, numInputs, numOutputs, entry, at, out);
        }
        if (a) {
          auto flat = [&](Value n) { return SmallVector<Value>{n}; };
          multiply(e, operands.ref(args, *a), depth, numInputs, e.idx(rank), entry, flat, inner);
          multiply(
              e, operands.ref(args, *b), depth, e.idx(rank), numOutputs, [&](Value r) { return e.load(inner, r); },
              flat, change);
          e.loop(numOutputs,
                 [&](Value n) { e.store(e.fma(e.f32(scale), e.load(change, n), e.load(out, at(n))), out, at(n)); });
        }
        if (bias)
          e.loop(numOutputs, [&](Value n) {
            Value added = operands.ref(args, *bias).load(e, depth, n);
            e.store(e.addF(e.load(out, at(n)), added), out, at(n));
          });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "linear", params, operands.values, type, body));
    return success();
  }
};

struct LowerNorm : ReferencePattern<NormOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(NormOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    OperandList operands(helpers, rewriter, op.getLoc());
    operands.add(adaptor.getInput());
    if (adaptor.getBy())
      operands.add(adaptor.getBy());
    std::optional<unsigned> weight = operands.add(op.getWeightAttr(), /*transposed=*/false);
    std::optional<unsigned> bias = operands.add(op.getBiasAttr(), /*transposed=*/false);
    operands.addChecks(op, {op.getWeightAttr(), op.getBiasAttr()});
    NormKind kind = op.getKind();
    double eps = op.getEps().convertToDouble();
    int64_t groups = op.getGroups(), width = type.getDimSize(1) / groups;
    bool beforeCast = op.getWeightOrder() == WeightOrder::BeforeCast;
    std::string params;
    llvm::raw_string_ostream(params) << stringifyNormKind(kind) << ' ' << llvm::format("%.17g", eps) << ' ' << groups
                                     << ' ' << beforeCast << operands.params << (bias ? "b" : "");

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value x = e.read(args[0]), count = e.dim(x, 0), out = e.alloc(type, count);
      Value rows = adaptor.getBy() ? e.read(args[1]) : Value();
      Value n = e.idx(width), size = e.f32(width);
      e.loop(count, [&](Value row) {
        Value depth = rows ? e.column(rows, row, kDepth) : Value();
        operands.check(e, args, depth);
        e.loop(e.idx(groups), [&](Value group) {
          Value first = e.mul(group, n);
          auto entry = [&](Value j) { return e.loadF32(x, {row, e.add(first, j)}); };
          Value mean = e.f32(0);
          if (kind == NormKind::Layer)
            mean = e.divF(e.reduce(n, e.f32(0), [&](Value j, Value sum) { return e.addF(sum, entry(j)); }), size);
          Value squares = e.reduce(n, e.f32(0), [&](Value j, Value sum) {
            Value centred = e.subF(entry(j), mean);
            return e.fma(centred, centred, sum);
          });
          Value below = e.addF(kind == NormKind::L2 ? squares : e.divF(squares, size), e.f32(eps));
          Value scale = e.divF(e.f32(1), math::SqrtOp::create(e.builder(), op.getLoc(), below));
          e.loop(n, [&](Value j) {
            Value y = e.mulF(e.subF(entry(j), mean), scale);
            if (!beforeCast)
              y = e.toF32(e.roundTo(y, type.getElementType()));
            if (weight)
              y = e.mulF(y, operands.ref(args, *weight).load(e, depth, j));
            if (bias)
              y = e.addF(y, operands.ref(args, *bias).load(e, depth, j));
            e.storeRounded(y, out, {row, e.add(first, j)});
          });
        });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "norm", params, operands.values, type, body));
    return success();
  }
};

struct LowerRope : ReferencePattern<RopeOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(RopeOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    int64_t heads = op.getHeads(), width = type.getDimSize(1) / heads;
    int64_t dims = getRotatedColumns(op);
    bool interleaved = op.getStyle() == RopeStyle::Interleaved;
    Type angles = getAngleType(op);
    double magnitude = getMagnitude(op);
    SmallVector<Value> operands{adaptor.getInput(), adaptor.getAt()};
    SmallVector<double> frequencies;
    std::string params;
    llvm::raw_string_ostream os(params);
    os << heads << ' ' << dims << ' ' << interleaved << ' ' << angles << ' ' << llvm::format("%.17g", magnitude);
    if (FlatSymbolRefAttr weight = getFrequencyWeight(op)) {
      operands.push_back(helpers.weight(rewriter, op.getLoc(), weight.getValue(), /*transposed=*/false));
    } else {
      frequencies = getRopeFrequencies(op);
      for (double frequency : frequencies)
        os << ' ' << llvm::format("%.17g", frequency);
    }

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      OpBuilder &b = e.builder();
      Location loc = op.getLoc();
      Type f64 = b.getF64Type();
      auto tableType = RankedTensorType::get({dims / 2}, f64);
      Value table =
          args.size() > 2
              ? args[2]
              : e.read(arith::ConstantOp::create(b, loc, DenseElementsAttr::get(tableType, ArrayRef(frequencies))));
      Value x = e.read(args[0]), rows = e.read(args[1]), count = e.dim(x, 0), out = e.alloc(type, count);
      e.loop(count, [&](Value row) {
        e.loop(e.idx(type.getDimSize(1)), [&](Value j) { e.store(e.load(x, {row, j}), out, {row, j}); });
        Value whole = e.cast(e.column(rows, row, kPosition), b.getI64Type());
        Value position = arith::SIToFPOp::create(b, loc, f64, whole);
        e.loop(e.idx(dims / 2), [&](Value i) {
          Value frequency = e.load(table, i);
          if (!frequency.getType().isF64())
            frequency = arith::ExtFOp::create(b, loc, f64, frequency);
          Value angle = e.mulF(position, frequency);
          auto rounded = [&](Value value) {
            if (magnitude != 1)
              value = e.mulF(value, arith::ConstantOp::create(b, loc, b.getF64FloatAttr(magnitude)));
            return e.toF32(e.roundTo(value, angles));
          };
          Value cosine = rounded(math::CosOp::create(b, loc, angle)),
                sine = rounded(math::SinOp::create(b, loc, angle));
          e.loop(e.idx(heads), [&](Value head) {
            Value start = e.mul(head, e.idx(width));
            Value first = e.add(start, interleaved ? e.mul(i, e.idx(2)) : i);
            Value second = e.add(first, e.idx(interleaved ? 1 : dims / 2));
            Value u = e.loadF32(x, {row, first}), v = e.loadF32(x, {row, second});
            e.storeRounded(e.subF(e.mulF(u, cosine), e.mulF(v, sine)), out, {row, first});
            e.storeRounded(e.addF(e.mulF(v, cosine), e.mulF(u, sine)), out, {row, second});
          });
        });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "rope", params, operands, type, body));
    return success();
  }
};

} // namespace

void lariat::reference::populateWeightPatterns(RewritePatternSet &patterns, const TypeConverter &converter,
                                               Helpers &helpers) {
  patterns.add<LowerEmbed, LowerLinear, LowerNorm, LowerRope, LowerValueOf>(converter, patterns.getContext(), helpers);
}
