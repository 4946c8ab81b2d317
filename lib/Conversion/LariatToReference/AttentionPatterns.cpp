// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Naive lowering of attention, caches and state: one row, one head, one key at a time, in position order.

#include "Helpers.h"

#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// What attention does to a score, the same for `attention` and `attend`.
struct ScoreRule {
  double scale;
  std::optional<double> softcap;
  Value sinks;        ///< memref<Hxf32> inside the helper, or null
  Value distanceBias; ///< memref<HxExf32>, or null

  template <typename OpT>
  static ScoreRule of(OpT op, int64_t headWidth) {
    double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0 / std::sqrt(double(headWidth));
    std::optional<double> softcap;
    if (op.getSoftcap())
      softcap = op.getSoftcap()->convertToDouble();
    return {scale, softcap, {}, {}};
  }

  std::string params() const {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << llvm::format("%.17g", scale) << " cap ";
    if (softcap)
      os << llvm::format("%.17g", *softcap);
    return text;
  }

  /// cap(scale * dot) + bias(distance).
  Value apply(LoopEmitter &e, Value dot, Value head, Value distance) const {
    Value score = e.mulF(dot, e.f32(scale));
    if (softcap) {
      Value bent = math::TanhOp::create(e.builder(), dot.getLoc(), e.divF(score, e.f32(*softcap)));
      score = e.mulF(bent, e.f32(*softcap));
    }
    if (!distanceBias)
      return score;
    Value near = e.bitAnd(e.atMost(e.idx(0), distance), e.below(distance, e.dim(distanceBias, 1)));
    return e.choose(near, score, [&] { return e.addF(score, e.load(distanceBias, {head, distance})); });
  }
};

/// Adds the weights of a rule to a helper's operands; inside the helper `bind` finds them again.
template <typename OpT>
void addScoreWeights(OpT op, Helpers &helpers, ConversionPatternRewriter &rewriter, SmallVector<Value> &operands,
                     std::string &params) {
  for (std::optional<StringRef> name : {op.getSinks(), op.getDistanceBias()}) {
    params += name ? " +" : " -";
    if (name)
      operands.push_back(helpers.weight(rewriter, op.getLoc(), *name, /*transposed=*/false));
  }
}

template <typename OpT>
void bindScoreWeights(OpT op, ScoreRule &rule, ValueRange args) {
  if (op.getDistanceBias()) {
    rule.distanceBias = args.back();
    args = args.drop_back();
  }
  if (op.getSinks())
    rule.sinks = args.back();
}

/// Whether the row at position p may see the entry at position u.
Value isVisible(LoopEmitter &e, MaskAttr mask, Value p, Value u, llvm::function_ref<Value()> bothInPrefix) {
  Value past = e.atMost(u, p);
  switch (mask.getKind()) {
  case MaskKind::Causal:
    return past;
  case MaskKind::Full:
    return e.bit(true);
  case MaskKind::Prefix:
    return e.bitOr(past, bothInPrefix());
  case MaskKind::Window:
    return e.bitAnd(past, e.below(p, e.add(u, e.idx(mask.getSize()))));
  case MaskKind::Chunk:
    return e.bitAnd(past, e.equal(e.divide(p, e.idx(mask.getSize())), e.divide(u, e.idx(mask.getSize()))));
  }
  llvm_unreachable("enumeration covered");
}

/// The entries one row sees, collected with their scores, then mixed.
class Mixer {
public:
  Mixer(LoopEmitter &e, Value capacity, int64_t numPlaces) : e(e) {
    scores = e.scratch(e.builder().getF32Type(), capacity);
    for (int64_t i = 0; i < numPlaces; ++i)
      places.push_back(e.scratch(e.builder().getIndexType(), capacity));
  }

  /// Records an entry; returns the new count.
  Value push(Value count, Value score, ValueRange place) {
    e.store(score, scores, count);
    for (auto [memory, index] : llvm::zip(places, place))
      e.store(index, memory, count);
    return e.add(count, e.idx(1));
  }

  /// out(j) = sum of softmax(scores) * value(place, j), 0 where there is no entry.
  void mix(Value count, Value sink, Value width, llvm::function_ref<Value(ValueRange, Value)> value,
           llvm::function_ref<void(Value, Value)> store) {
    Value lowest = sink ? sink : e.f32(-std::numeric_limits<double>::infinity());
    Value largest = e.reduce(count, lowest, [&](Value n, Value best) {
      return arith::MaximumFOp::create(e.builder(), scores.getLoc(), best, e.load(scores, n));
    });
    Value start = sink ? e.exp(e.subF(sink, largest)) : e.f32(0);
    Value total = e.reduce(count, start, [&](Value n, Value sum) {
      Value weight = e.exp(e.subF(e.load(scores, n), largest));
      e.store(weight, scores, n);
      return e.addF(sum, weight);
    });
    Value some = e.notEqual(count, e.idx(0));
    e.loop(width, [&](Value j) {
      Value sum = e.reduce(count, e.f32(0), [&](Value n, Value acc) {
        SmallVector<Value> place;
        for (Value memory : places)
          place.push_back(e.load(memory, n));
        return e.fma(e.load(scores, n), value(place, j), acc);
      });
      store(j, e.pick(some, e.divF(sum, total), e.f32(0)));
    });
  }

private:
  LoopEmitter &e;
  Value scores;
  SmallVector<Value> places;
};

Value dot(LoopEmitter &e, Value width, llvm::function_ref<Value(Value)> x, llvm::function_ref<Value(Value)> y) {
  return e.reduce(width, e.f32(0), [&](Value j, Value acc) { return e.fma(x(j), y(j), acc); });
}

struct LowerAttention : ReferencePattern<AttentionOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(AttentionOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    int64_t heads = op.getQueryHeads(), kvHeads = op.getKvHeads(), width = type.getDimSize(1) / heads;
    ScoreRule rule = ScoreRule::of(op, width);
    SmallVector<Value> operands{adaptor.getQuery(), adaptor.getKey(), adaptor.getValue(), adaptor.getAt()};
    std::string params = std::to_string(heads) + " " + std::to_string(kvHeads) + " " + rule.params();
    addScoreWeights(op, helpers, rewriter, operands, params);
    llvm::raw_string_ostream(params) << ' ' << op.getMask();

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value query = e.read(args[0]), key = e.read(args[1]), value = e.read(args[2]), rows = e.read(args[3]);
      bindScoreWeights(op, rule, args);
      Value count = e.dim(rows, 0), out = e.alloc(type, count), w = e.idx(width);
      Mixer mixer(e, count, /*numPlaces=*/1);
      e.loop(count, [&](Value row) {
        Value sequence = e.column(rows, row, kSequence), position = e.column(rows, row, kPosition);
        e.loop(e.idx(heads), [&](Value head) {
          Value first = e.mul(head, w), kvFirst = e.mul(e.divide(head, e.idx(heads / kvHeads)), w);
          Value seen = e.reduce(count, e.idx(0), [&](Value other, Value n) {
            Value place = e.column(rows, other, kPosition);
            Value visible = isVisible(e, op.getMask(), position, place, [&] {
              return e.bitAnd(e.hasFlag(e.column(rows, row, kFlags), kPrefix),
                              e.hasFlag(e.column(rows, other, kFlags), kPrefix));
            });
            visible = e.bitAnd(visible, e.equal(e.column(rows, other, kSequence), sequence));
            return e.choose(visible, n, [&] {
              Value product = dot(
                  e, w, [&](Value j) { return e.loadF32(query, {row, e.add(first, j)}); },
                  [&](Value j) { return e.loadF32(key, {other, e.add(kvFirst, j)}); });
              return mixer.push(n, rule.apply(e, product, head, e.sub(position, place)), other);
            });
          });
          mixer.mix(
              seen, rule.sinks ? e.load(rule.sinks, head) : Value(), w,
              [&](ValueRange place, Value j) { return e.loadF32(value, {place[0], e.add(kvFirst, j)}); },
              [&](Value j, Value mixed) { e.storeRounded(mixed, out, {row, e.add(first, j)}); });
        });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "attention", params, operands, type, body));
    return success();
  }
};

struct LowerAppend : ReferencePattern<AppendOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(AppendOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    CacheOp cache = helpers.getCache(op.getCache());
    SmallVector<Value> operands{adaptor.getKey(), adaptor.getValue(), adaptor.getAt(),
                                arith::ConstantIndexOp::create(rewriter, op.getLoc(), op.getLayer())};
    llvm::append_range(operands, helpers.cacheMemory(op, op.getCache()));
    operands.append({helpers.faultMemory(op),
                     arith::ConstantIndexOp::create(rewriter, op.getLoc(), helpers.getCacheNumber(op.getCache()))});
    if (adaptor.getSlot())
      operands.push_back(adaptor.getSlot());
    std::string params;
    llvm::raw_string_ostream(params) << cache.getPolicyAttr() << (op.getFilled() ? " filled" : "");

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value key = e.read(args[0]), value = e.read(args[1]), rows = e.read(args[2]), layer = args[3];
      Value keys = args[4], values = args[5], present = args[6];
      e.loop(e.dim(rows, 0), [&](Value row) {
        Value flags = e.column(rows, row, kFlags);
        AppendSlot target =
            op.getSlot() ? AppendSlot{args.back(), e.bit(true)}
                         : buildAppendSlot(e.builder(), op.getLoc(), cache.getPolicy(), op.getFilled(),
                                           e.column(rows, row, kDepth), [&] { return e.hasFlag(flags, kGenerated); });
        e.when(target.writes, [&] {
          target.slot = e.checkRange(target.slot, e.dim(keys, 2), args[7], abi::kSlotFault, args[8]);
          Value sequence = e.column(rows, row, kSequence), position = e.column(rows, row, kPosition);
          e.loop(e.dim(key, 1), [&](Value j) {
            e.storeRounded(e.load(key, {row, j}), keys, {sequence, layer, target.slot, position, j});
            e.storeRounded(e.load(value, {row, j}), values, {sequence, layer, target.slot, position, j});
          });
          Type byte = cast<MemRefType>(present.getType()).getElementType();
          Value mark = e.integer(op.getFilled() ? kFilled : kComputed, byte);
          for (auto [flag, entry] : {std::pair(kPrefix, kPrefixEntry), std::pair(kGenerated, kGeneratedEntry)})
            mark = e.add(mark, e.pick(e.hasFlag(flags, flag), e.integer(entry, byte), e.integer(0, byte)));
          e.store(mark, present, {sequence, layer, target.slot, position});
        });
      });
      return {};
    };
    helpers.call(rewriter, op.getLoc(), "append", params, operands, {}, body);
    rewriter.eraseOp(op);
    return success();
  }
};

/// The slots of one earlier row that a row at `depth` reads, as a range; most look-ups give a range of one.
struct SlotRange {
  Value first, end;
};

SlotRange findSlots(LoopEmitter &e, LookUp lookUp, Value depthSlot, llvm::function_ref<Value(Value)> isPresent) {
  auto one = [&](Value slot) { return SlotRange{slot, e.add(slot, e.idx(1))}; };
  switch (lookUp) {
  case LookUp::Exact:
    return one(depthSlot);
  case LookUp::ElseFirst:
    return one(e.pick(isPresent(depthSlot), depthSlot, e.idx(0)));
  case LookUp::NewestAtMost:
    return one(e.reduce(e.add(depthSlot, e.idx(1)), e.idx(0),
                        [&](Value slot, Value newest) { return e.pick(isPresent(slot), slot, newest); }));
  case LookUp::First:
    return one(e.idx(0));
  case LookUp::AllAtMost:
    return {e.idx(0), e.add(depthSlot, e.idx(1))};
  }
  llvm_unreachable("enumeration covered");
}

/// How entries of some rows are found.
struct PartLookUp {
  std::optional<bool> generated; ///< of which rows; none: of all
  LookUp lookUp;
  SlotRule rule;
};

SmallVector<PartLookUp> getParts(AttendOp op, KVPolicyAttrInterface policy) {
  if (op.getSlot())
    return {{std::nullopt, LookUp::Exact, {SlotRule::Own}}};
  if (!isPhased(policy))
    return {{std::nullopt, policy.getLookUp(), policy.getSlotRule()}};
  SmallVector<PartLookUp> parts;
  for (bool generated : {false, true}) {
    KVPolicyAttrInterface part = policy.getForRows(generated);
    parts.push_back({generated, part.getLookUp(), part.getSlotRule()});
  }
  return parts;
}

struct LowerAttend : ReferencePattern<AttendOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(AttendOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    CacheOp cache = helpers.getCache(op.getCache());
    int64_t heads = op.getHeads(), groups = heads / cache.getHeads(), width = cache.getDim();
    ScoreRule rule = ScoreRule::of(op, width);
    SmallVector<Value> operands{adaptor.getQuery(), adaptor.getAt(),
                                arith::ConstantIndexOp::create(rewriter, op.getLoc(), op.getLayer())};
    llvm::append_range(operands, helpers.cacheMemory(op, op.getCache()));
    operands.append({helpers.faultMemory(op),
                     arith::ConstantIndexOp::create(rewriter, op.getLoc(), helpers.getCacheNumber(op.getCache()))});
    if (adaptor.getSlot())
      operands.push_back(adaptor.getSlot());
    std::string params = std::to_string(heads) + " " + std::to_string(cache.getHeads()) + " " + rule.params();
    addScoreWeights(op, helpers, rewriter, operands, params);
    llvm::raw_string_ostream(params) << ' ' << op.getMask() << ' ' << cache.getPolicyAttr();
    SmallVector<PartLookUp> parts = getParts(op, cache.getPolicy());

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      Value query = e.read(args[0]), rows = e.read(args[1]), layer = args[2];
      Value keys = args[3], values = args[4], present = args[5];
      bindScoreWeights(op, rule, args);
      Value count = e.dim(rows, 0), out = e.alloc(type, count), w = e.idx(width);
      Value numPositions = e.dim(keys, 3);
      bool mayReadMany = llvm::any_of(parts, [](const PartLookUp &part) { return part.lookUp == LookUp::AllAtMost; });
      Value capacity = mayReadMany ? e.mul(numPositions, e.dim(keys, 2)) : numPositions;
      Mixer mixer(e, capacity, /*numPlaces=*/2);
      bool looksAhead = op.getMask().getKind() == MaskKind::Full || op.getMask().getKind() == MaskKind::Prefix;
      e.loop(count, [&](Value row) {
        Value sequence = e.column(rows, row, kSequence), position = e.column(rows, row, kPosition);
        SmallVector<Value> slots;
        for (const PartLookUp &part : parts) {
          Value slot =
              op.getSlot() ? args[8] : buildSlot(e.builder(), op.getLoc(), part.rule, e.column(rows, row, kDepth));
          slots.push_back(e.checkRange(slot, e.dim(keys, 2), args[6], abi::kSlotFault, args[7]));
        }
        Value end = looksAhead ? numPositions : e.add(position, e.idx(1));
        e.loop(e.idx(heads), [&](Value head) {
          Value first = e.mul(head, w), kvFirst = e.mul(e.divide(head, e.idx(groups)), w);
          Value seen = e.reduce(end, e.idx(0), [&](Value place, Value n) {
            auto mark = [&](Value slot) { return e.load(present, {sequence, layer, slot, place}); };
            auto hasMark = [&](Value byte, int64_t bits) {
              Value found = e.bitAnd(byte, e.integer(bits, byte.getType()));
              return e.notEqual(found, e.integer(0, byte.getType()));
            };
            for (auto [part, slot] : llvm::zip_equal(parts, slots)) {
              auto isPresent = [&](Value at) {
                Value byte = mark(at), there = hasMark(byte, kComputed | kFilled);
                if (!part.generated)
                  return there;
                Value isGenerated = hasMark(byte, kGeneratedEntry);
                return e.bitAnd(there, *part.generated ? isGenerated : e.equal(isGenerated, e.bit(false)));
              };
              SlotRange range = findSlots(e, part.lookUp, slot, isPresent);
              n = e.reduce(range.first, range.end, n, [&](Value source, Value n) {
                Value visible = isVisible(e, op.getMask(), position, place, [&] {
                  return e.bitAnd(e.hasFlag(e.column(rows, row, kFlags), kPrefix), hasMark(mark(source), kPrefixEntry));
                });
                return e.choose(e.bitAnd(visible, isPresent(source)), n, [&] {
                  Value product = dot(
                      e, w, [&](Value j) { return e.loadF32(query, {row, e.add(first, j)}); },
                      [&](Value j) { return e.loadF32(keys, {sequence, layer, source, place, e.add(kvFirst, j)}); });
                  return mixer.push(n, rule.apply(e, product, head, e.sub(position, place)), {source, place});
                });
              });
            }
            return n;
          });
          mixer.mix(
              seen, rule.sinks ? e.load(rule.sinks, head) : Value(), w,
              [&](ValueRange at, Value j) {
                return e.loadF32(values, {sequence, layer, at[0], at[1], e.add(kvFirst, j)});
              },
              [&](Value j, Value mixed) { e.storeRounded(mixed, out, {row, e.add(first, j)}); });
        });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "attend", params, operands, type, body));
    return success();
  }
};

/// shift and scan walk the rows in order and keep the last value of each (sequence, layer, depth).
template <typename OpT>
struct LowerStateOp : ReferencePattern<OpT> {
  using ReferencePattern<OpT>::ReferencePattern;

  /// The result of a row from the state before it and its operands; returns (result, new state).
  static std::pair<Value, Value> step(LoopEmitter &e, Value before, ArrayRef<Value> inputs);

  LogicalResult matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = this->convert(op.getType());
    Value layer = arith::ConstantIndexOp::create(rewriter, op.getLoc(), op.getLayer());
    SmallVector<Value> operands(adaptor.getOperands());
    size_t numInputs = operands.size() - 1; // the row set is last
    Value number = arith::ConstantIndexOp::create(rewriter, op.getLoc(), this->helpers.getStateNumber(op.getState()));
    operands.append({layer, this->helpers.stateMemory(op, op.getState()), this->helpers.faultMemory(op), number});
    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      SmallVector<Value> inputs;
      for (Value arg : args.take_front(numInputs))
        inputs.push_back(e.read(arg));
      Value rows = e.read(args[numInputs]), layer = args[numInputs + 1], state = args[numInputs + 2];
      Value faults = args[numInputs + 3], number = args[numInputs + 4];
      Value count = e.dim(rows, 0), out = e.alloc(type, count);
      e.loop(count, [&](Value row) {
        Value depth = e.checkRange(e.column(rows, row, kDepth), e.dim(state, 2), faults, abi::kStateFault, number);
        e.loop(e.idx(type.getDimSize(1)), [&](Value j) {
          SmallVector<Value> place{e.column(rows, row, kSequence), layer, depth, j};
          SmallVector<Value> entries;
          for (Value input : inputs)
            entries.push_back(e.loadF32(input, {row, j}));
          auto [result, after] = step(e, e.loadF32(state, place), entries);
          e.storeRounded(result, out, {row, j});
          e.storeRounded(after, state, place);
        });
      });
      return {e.result(out)};
    };
    StringRef kind = OpT::getOperationName().split('.').second;
    rewriter.replaceOp(op, this->helpers.call(rewriter, op.getLoc(), kind, "", operands, type, body));
    return success();
  }
};

template <>
std::pair<Value, Value> LowerStateOp<ShiftOp>::step(LoopEmitter &, Value before, ArrayRef<Value> inputs) {
  return {before, inputs[0]};
}

template <>
std::pair<Value, Value> LowerStateOp<ScanOp>::step(LoopEmitter &e, Value before, ArrayRef<Value> inputs) {
  Value after = e.fma(inputs[0], before, inputs[1]);
  return {after, after};
}

} // namespace

void lariat::reference::populateAttentionPatterns(RewritePatternSet &patterns, const TypeConverter &converter,
                                                  Helpers &helpers) {
  patterns.add<LowerAppend, LowerAttend, LowerAttention, LowerStateOp<ScanOp>, LowerStateOp<ShiftOp>>(
      converter, patterns.getContext(), helpers);
}
