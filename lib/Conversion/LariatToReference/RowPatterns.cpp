// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Naive lowering of ops on row sets: selection, movement, facts of a row, reductions, routing.

#include "Helpers.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

/// Loop body over the rows of `at`, which are a part of `from`: (row in at, the same row's place in from). Both are
/// ascending in the root set, so one pass over `from` finds all places.
void forEachPlace(LoopEmitter &e, Value from, Value at, llvm::function_ref<void(Value, Value)> body) {
  OpBuilder &b = e.builder();
  Location loc = from.getLoc();
  e.reduce(e.dim(at, 0), e.idx(0), [&](Value row, Value place) {
    Value root = e.column(at, row, kRoot);
    auto search = scf::WhileOp::create(
        b, loc, TypeRange{b.getIndexType()}, ValueRange{place},
        [&](OpBuilder &b, Location loc, ValueRange args) {
          Value other = e.column(from, args[0], kRoot);
          scf::ConditionOp::create(b, loc, e.below(other, root), args);
        },
        [&](OpBuilder &b, Location loc, ValueRange args) { scf::YieldOp::create(b, loc, e.add(args[0], e.idx(1))); });
    body(row, search.getResult(0));
    return search.getResult(0);
  });
}

SmallVector<Value> atRow(Value row, ValueRange indices) {
  SmallVector<Value> result(indices);
  result.front() = row;
  return result;
}

/// The rows for which `keep(row)` holds, in order.
SmallVector<Value> compactRows(LoopEmitter &e, Value rows, RankedTensorType type,
                               llvm::function_ref<Value(Value)> keep) {
  Value count = e.dim(rows, 0);
  Value bits = e.scratch(e.builder().getI1Type(), count);
  Value kept = e.reduce(count, e.idx(0), [&](Value row, Value sum) {
    Value bit = keep(row);
    e.store(bit, bits, row);
    return e.pick(bit, e.add(sum, e.idx(1)), sum);
  });
  Value out = e.alloc(type, kept);
  e.reduce(count, e.idx(0), [&](Value row, Value place) {
    return e.choose(e.load(bits, row), place, [&] {
      e.loop(e.idx(kNumRowColumns), [&](Value column) { e.store(e.load(rows, {row, column}), out, {place, column}); });
      return e.add(place, e.idx(1));
    });
  });
  return {e.result(out)};
}

struct LowerSelect : ReferencePattern<SelectOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(SelectOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "select", "", {adaptor.getFrom(), adaptor.getWhere()},
                                        type, [&](LoopEmitter &e, ValueRange args) {
                                          Value rows = e.read(args[0]), bits = e.read(args[1]);
                                          return compactRows(e, rows, type,
                                                             [&](Value row) { return e.load(bits, row); });
                                        }));
    return success();
  }
};

struct LowerLast : ReferencePattern<LastOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(LastOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(
        op,
        helpers.call(rewriter, op.getLoc(), "last", "", adaptor.getFrom(), type, [&](LoopEmitter &e, ValueRange args) {
          Value rows = e.read(args[0]);
          return compactRows(e, rows, type, [&](Value row) { return e.hasFlag(e.column(rows, row, kFlags), kWanted); });
        }));
    return success();
  }
};

/// k = max(1, floor(S * numerator(depth) / denominator)) of one sequence.
Value buildCapacity(LoopEmitter &e, CapacityAttr capacity, Value length, Value depth) {
  ArrayRef<int64_t> numerators = capacity.getNumerators();
  Value numerator = e.idx(numerators.back());
  for (auto [index, value] : llvm::enumerate(numerators.drop_back()))
    numerator = e.pick(e.equal(depth, e.idx(index)), e.idx(value), numerator);
  Value kept = e.divide(e.mul(length, numerator), e.idx(capacity.getDenominator()));
  return e.pick(e.below(kept, e.idx(1)), e.idx(1), kept);
}

struct LowerTopK : ReferencePattern<TopKOp> {
  using ReferencePattern::ReferencePattern;

  /// How many rows of its sequence the step of a row keeps; `counts` may be null.
  static Value buildNumKept(LoopEmitter &e, CapacityAttr capacity, Value counts, Value rows, Value row) {
    Value depth = e.column(rows, row, kDepth);
    Value kept = buildCapacity(e, capacity, e.column(rows, row, kLength), depth);
    if (!counts)
      return kept;
    Value last = e.idx(static_cast<int64_t>(capacity.getNumerators().size()) - 1);
    Value given = e.cast(e.load(counts, {row, e.minimum(depth, last)}), e.builder().getIndexType());
    return e.pick(e.below(e.idx(0), given), given, kept);
  }

  /// A row is kept if fewer than k rows of its sequence come before it by (score descending, row ascending).
  static Value isKept(LoopEmitter &e, Value scores, Value rows, Value row, Value numKept) {
    Value score = e.load(scores, row), sequence = e.column(rows, row, kSequence);
    Value before = e.reduce(e.dim(rows, 0), e.idx(0), [&](Value other, Value count) {
      Value otherScore = e.load(scores, other);
      Value larger = e.compareF(arith::CmpFPredicate::OGT, otherScore, score);
      Value tie = e.bitAnd(e.compareF(arith::CmpFPredicate::OEQ, otherScore, score), e.below(other, row));
      Value ahead = e.bitAnd(e.bitOr(larger, tie), e.equal(e.column(rows, other, kSequence), sequence));
      return e.pick(ahead, e.add(count, e.idx(1)), count);
    });
    return e.below(before, numKept);
  }

  LogicalResult matchAndRewrite(TopKOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    std::string params;
    llvm::raw_string_ostream(params) << op.getCapacity();
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "top_k", params, adaptor.getOperands(), type,
                                        [&](LoopEmitter &e, ValueRange args) {
                                          Value scores = e.read(args[0]), rows = e.read(args[1]);
                                          Value counts = args.size() > 2 ? e.read(args[2]) : Value();
                                          return compactRows(e, rows, type, [&](Value row) {
                                            Value numKept = buildNumKept(e, op.getCapacity(), counts, rows, row);
                                            return isKept(e, scores, rows, row, numKept);
                                          });
                                        }));
    return success();
  }
};

struct LowerAdvance : ReferencePattern<AdvanceOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(AdvanceOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    SmallVector<Value> operands{adaptor.getFrom(), helpers.faultMemory(op)};
    if (adaptor.getTo())
      operands.push_back(adaptor.getTo());
    rewriter.replaceOp(
        op, helpers.call(rewriter, op.getLoc(), "advance", "", operands, type,
                         [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                           Value rows = e.read(args[0]), count = e.dim(rows, 0), out = e.alloc(type, count);
                           e.loop(count, [&](Value row) {
                             e.loop(e.idx(kNumRowColumns),
                                    [&](Value column) { e.store(e.load(rows, {row, column}), out, {row, column}); });
                             Value depth = args.size() == 3 ? args[2] : e.add(e.column(rows, row, kDepth), e.idx(1));
                             depth = e.checkRange(depth, e.idx(kMaxDepth + 1), args[1], abi::kDepthFault, e.idx(0));
                             e.store(depth, out, {row, e.idx(kDepth)});
                           });
                           return {e.result(out)};
                         }));
    return success();
  }
};

struct LowerCount : ReferencePattern<CountOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(CountOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<tensor::DimOp>(op, adaptor.getRows(), 0);
    return success();
  }
};

struct LowerTake : ReferencePattern<TakeOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(TakeOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "take", "",
                                        {adaptor.getValue(), adaptor.getFrom(), adaptor.getAt()}, type,
                                        [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          Value value = e.read(args[0]), from = e.read(args[1]), at = e.read(args[2]);
                                          Value out = e.alloc(type, e.dim(at, 0));
                                          forEachPlace(e, from, at, [&](Value row, Value place) {
                                            forEachColumn(e, type, row, [&](ValueRange indices) {
                                              e.store(e.load(value, atRow(place, indices)), out, indices);
                                            });
                                          });
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

struct LowerPut : ReferencePattern<PutOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(PutOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    bool adds = op.getKind() == PutKind::Add;
    SmallVector<Value> operands{adaptor.getValue(), adaptor.getFrom(), adaptor.getInto(), adaptor.getOf()};
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "put", adds ? "add" : "replace", operands, type,
                                        [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          Value value = e.read(args[0]), from = e.read(args[1]), into = e.read(args[2]),
                                                of = e.read(args[3]);
                                          Value count = e.dim(of, 0), out = e.alloc(type, count);
                                          e.loop(count, [&](Value row) {
                                            forEachColumn(e, type, row, [&](ValueRange indices) {
                                              e.store(e.load(into, indices), out, indices);
                                            });
                                          });
                                          forEachPlace(e, of, from, [&](Value row, Value place) {
                                            forEachColumn(e, type, row, [&](ValueRange indices) {
                                              SmallVector<Value> there = atRow(place, indices);
                                              Value entry = e.load(value, indices);
                                              e.store(adds ? e.addF(e.load(out, there), entry) : entry, out, there);
                                            });
                                          });
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

struct LowerSpread : ReferencePattern<SpreadOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(SpreadOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "spread", "", {adaptor.getValue(), adaptor.getAt()},
                                        type, [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          auto tensor = dyn_cast<RankedTensorType>(args[0].getType());
                                          bool perRow = tensor && tensor.getRank() == 1 && tensor.isDynamicDim(0);
                                          Value value = tensor ? e.read(args[0]) : args[0];
                                          Value count = e.dim(e.read(args[1]), 0), out = e.alloc(type, count);
                                          e.loop(count, [&](Value row) {
                                            forEachColumn(e, type, row, [&](ValueRange indices) {
                                              Value entry = !tensor ? value
                                                                    : e.load(value, perRow ? ValueRange(row)
                                                                                           : indices.drop_front());
                                              e.store(entry, out, indices);
                                            });
                                          });
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

/// position_of, depth_of and generated_of: one column of the row set, or a flag of it.
template <typename OpT, RowColumn column, int64_t flag = 0>
struct LowerFact : ReferencePattern<OpT> {
  using ReferencePattern<OpT>::ReferencePattern;

  LogicalResult matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = this->convert(op.getType());
    rewriter.replaceOp(
        op, this->helpers.call(rewriter, op.getLoc(), OpT::getOperationName().split('.').second, "", adaptor.getRows(),
                               type, [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                 Value rows = e.read(args[0]), count = e.dim(rows, 0), out = e.alloc(type, count);
                                 e.loop(count, [&](Value row) {
                                   Value fact = e.column(rows, row, column);
                                   e.store(flag ? e.bitAnd(fact, e.idx(flag)) : fact, out, row);
                                 });
                                 return {e.result(out)};
                               }));
    return success();
  }
};

struct LowerRowReduce : ReferencePattern<RowReduceOp> {
  using ReferencePattern::ReferencePattern;

  /// Largest entry of a row, leaving out column `except` where there is one.
  static Value largest(LoopEmitter &e, Value value, Value row, Value numColumns, Value except, FloatType type) {
    Value lowest = e.real(-std::numeric_limits<double>::infinity(), type);
    return e.reduce(numColumns, lowest, [&](Value column, Value best) {
      Value entry = e.load(value, {row, column});
      Value better = e.compareF(arith::CmpFPredicate::UGT, entry, best); // a NaN wins, so that it is not lost
      if (except)
        better = e.bitAnd(better, e.notEqual(column, except));
      return e.pick(better, entry, best);
    });
  }

  static Value placeOfLargest(LoopEmitter &e, Value value, Value row, Value numColumns) {
    return e.reduce(e.idx(1), numColumns, e.idx(0), [&](Value column, Value best) {
      Value larger = e.compareF(arith::CmpFPredicate::OGT, e.load(value, {row, column}), e.load(value, {row, best}));
      return e.pick(larger, column, best);
    });
  }

  LogicalResult matchAndRewrite(RowReduceOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    ReduceKind kind = op.getKind();
    rewriter.replaceOp(
        op, helpers.call(rewriter, op.getLoc(), "row_reduce", stringifyReduceKind(kind), adaptor.getValue(), type,
                         [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                           auto element = cast<FloatType>(type.getElementType());
                           Value value = e.read(args[0]), count = e.dim(value, 0), numColumns = e.dim(value, 1),
                                 out = e.alloc(type, count);
                           e.loop(count, [&](Value row) {
                             Value reduced;
                             if (kind == ReduceKind::Sum)
                               reduced = e.reduce(numColumns, e.real(0, element), [&](Value column, Value sum) {
                                 return e.addF(sum, e.load(value, {row, column}));
                               });
                             else if (kind == ReduceKind::Max)
                               reduced = largest(e, value, row, numColumns, /*except=*/Value(), element);
                             else
                               reduced = largest(e, value, row, numColumns, placeOfLargest(e, value, row, numColumns),
                                                 element);
                             e.store(reduced, out, row);
                           });
                           return {e.result(out)};
                         }));
    return success();
  }
};

struct LowerArgmax : ReferencePattern<ArgmaxOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(ArgmaxOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "argmax", "", adaptor.getValue(), type,
                                        [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          Value value = e.read(args[0]), count = e.dim(value, 0),
                                                numColumns = e.dim(value, 1), out = e.alloc(type, count);
                                          e.loop(count, [&](Value row) {
                                            Value place = LowerRowReduce::placeOfLargest(e, value, row, numColumns);
                                            e.store(e.cast(place, type.getElementType()), out, row);
                                          });
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

struct LowerSeqReduce : ReferencePattern<SeqReduceOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(SeqReduceOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    SeqReduceKind kind = op.getKind();
    rewriter.replaceOp(
        op,
        helpers.call(
            rewriter, op.getLoc(), "seq_reduce", stringifySeqReduceKind(kind), {adaptor.getValue(), adaptor.getAt()},
            type, [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
              Value value = e.read(args[0]), rows = e.read(args[1]), count = e.dim(rows, 0), out = e.alloc(type, count);
              Type element = type.getElementType();
              Value init = kind == SeqReduceKind::Mean ? e.real(0, element) : e.bit(kind == SeqReduceKind::All);
              e.loop(count, [&](Value row) {
                Value sequence = e.column(rows, row, kSequence);
                auto isSame = [&](Value other) { return e.equal(e.column(rows, other, kSequence), sequence); };
                Value reduced = e.reduce(count, init, [&](Value other, Value sum) {
                  Value entry = e.load(value, other);
                  Value combined = kind == SeqReduceKind::Mean  ? e.addF(sum, entry)
                                   : kind == SeqReduceKind::Any ? e.bitOr(sum, entry)
                                                                : e.bitAnd(sum, entry);
                  return e.pick(isSame(other), combined, sum);
                });
                if (kind == SeqReduceKind::Mean) {
                  Value size = e.reduce(count, e.real(0, element), [&](Value other, Value sum) {
                    return e.pick(isSame(other), e.addF(sum, e.real(1, element)), sum);
                  });
                  reduced = e.divF(reduced, size);
                }
                e.store(reduced, out, row);
              });
              return {e.result(out)};
            }));
    return success();
  }
};

struct LowerConcat : ReferencePattern<ConcatOp> {
  using ReferencePattern::ReferencePattern;

  LogicalResult matchAndRewrite(ConcatOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = convert(op.getType());
    rewriter.replaceOp(op, helpers.call(rewriter, op.getLoc(), "concat", "", adaptor.getInputs(), type,
                                        [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
                                          Value count = e.dim(e.read(args[0]), 0), out = e.alloc(type, count);
                                          int64_t offset = 0;
                                          for (Value arg : args) {
                                            Value part = e.read(arg);
                                            int64_t width = cast<RankedTensorType>(arg.getType()).getDimSize(1);
                                            e.loop(count, [&](Value row) {
                                              e.loop(e.idx(width), [&](Value column) {
                                                e.store(e.load(part, {row, column}), out,
                                                        {row, e.add(column, e.idx(offset))});
                                              });
                                            });
                                            offset += width;
                                          }
                                          return {e.result(out)};
                                        }));
    return success();
  }
};

} // namespace

void lariat::reference::populateRowPatterns(RewritePatternSet &patterns, const TypeConverter &converter,
                                            Helpers &helpers) {
  patterns.add<LowerAdvance, LowerArgmax, LowerConcat, LowerCount, LowerFact<DepthOfOp, kDepth>,
               LowerFact<GeneratedOfOp, kFlags, kGenerated>, LowerFact<PositionOfOp, kPosition>, LowerLast, LowerPut,
               LowerRowReduce, LowerSelect, LowerSeqReduce, LowerSpread, LowerTake, LowerTopK>(
      converter, patterns.getContext(), helpers);
}
