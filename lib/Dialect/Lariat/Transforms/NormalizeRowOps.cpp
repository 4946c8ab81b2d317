// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes upstream ops on row tensors in the forms that later passes know: ops of the dialect, elementwise ops, and
// linalg.generic on values that say of which rows they are.
//   before:  n = count a; s = tensor.extract_slice x[0, 8] [n, 4] [1, 1]; y = tanh of s by linalg.generic
//   after:   s = linalg.generic, a copy of columns 8 to 12, into a spread of zeros; y = math.tanh s
// Columns of several dimensions are taken as one dimension where they are joined: row-major, as they lie in memory.
// Left alone: what is not row-local. lariat-verify-row-mixing refuses that by its own name.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"

#include <limits>
#include <numeric>

#define DEBUG_TYPE "lariat-normalize-row-ops"

namespace lariat {
#define GEN_PASS_DEF_NORMALIZEROWOPSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct NormalizeRowOpsPass : lariat::impl::NormalizeRowOpsPassBase<NormalizeRowOpsPass> {
  void runOnOperation() override;
};

/// Rewrites the ops of one function.
class Normalizer {
public:
  explicit Normalizer(func::FuncOp function);

  /// What `op` gives, in another form, before it; nothing where it stays.
  std::optional<SmallVector<Value>> rewrite(Operation *op);

private:
  // One kind of op each; null where the op stays.
  Value rewriteEmpty(tensor::EmptyOp op);
  Value rewriteExtract(tensor::ExtractSliceOp op);
  Value rewriteInsert(tensor::InsertSliceOp op);
  Value rewriteConcat(tensor::ConcatOp op);
  Value rewriteReshape(Operation *op, Value source, RankedTensorType type, RankedTensorType expanded,
                       ArrayRef<ReassociationIndices> groups);
  Value rewriteSoftmax(linalg::SoftmaxOp op);
  std::optional<SmallVector<Value>> rewriteStructured(linalg::LinalgOp op);
  std::optional<SmallVector<Value>> rewriteElementwise(linalg::GenericOp op);

  // Pieces.
  Value findRows(StringAttr label);
  Value spread(Value value, RankedTensorType type);
  Value spread(TypedAttr value, RankedTensorType type) {
    return spread(arith::ConstantOp::create(b, loc, value), type);
  }
  Value zeros(RankedTensorType type) { return spread(b.getZeroAttr(type.getElementType()), type); }
  /// Copies elements of `source` from where `from` says to where `to` says, over loops as many as either counts.
  Value copy(Value source, AffineMap from, RankedTensorType type, AffineMap to);
  /// All columns in one dimension, and back.
  Value flatten(Value value);
  Value unflatten(Value value, RankedTensorType type);
  Value takeColumns(Value value, int64_t first, int64_t count);
  Value reduce(Value value, unsigned dimension, bool isMaximum);
  Value repeatAlong(Value value, RankedTensorType type, unsigned dimension);
  AffineExpr dim(unsigned position) { return b.getAffineDimExpr(position); }
  AffineMap map(unsigned numDims, ArrayRef<AffineExpr> results) {
    return AffineMap::get(numDims, 0, results, b.getContext());
  }
  AffineMap identity(unsigned numDims) { return b.getMultiDimIdentityMap(numDims); }

  DominanceInfo dominance;
  llvm::MapVector<StringAttr, SmallVector<Value>> rowSets; ///< by label
  OpBuilder b;
  Location loc;
  Operation *current = nullptr;
};

} // namespace

//===----------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------===//

/// Whether a value is the number of rows of a labelled set.
static bool isRowCount(Value value, StringAttr label) {
  if (auto count = value.getDefiningOp<CountOp>())
    return getRowLabel(count.getRows().getType()) == label;
  auto dimension = value.getDefiningOp<tensor::DimOp>();
  return dimension && dimension.getConstantIndex() == 0 && getRowLabel(dimension.getSource().getType()) == label;
}

static bool isRowCount(OpFoldResult size, StringAttr label) {
  auto value = dyn_cast<Value>(size);
  return value && isRowCount(value, label);
}

/// The dimensions behind that of rows, all static and none empty; nothing if they are not.
static std::optional<ArrayRef<int64_t>> getColumnShape(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !getRowLabel(type) || tensor.getRank() == 0 || !tensor.isDynamicDim(0))
    return std::nullopt;
  ArrayRef<int64_t> shape = tensor.getShape().drop_front();
  if (llvm::any_of(shape, [](int64_t size) { return size <= 0; }))
    return std::nullopt;
  return shape;
}

static int64_t countElements(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}

static RankedTensorType withShape(RankedTensorType type, ArrayRef<int64_t> columns, Type element = {}) {
  SmallVector<int64_t> shape{ShapedType::kDynamic};
  llvm::append_range(shape, columns);
  return RankedTensorType::get(shape, element ? element : type.getElementType(), type.getEncoding());
}

/// The place of loops `first`, `first` + 1, ... in row-major order of `shape`.
static AffineExpr linearize(ArrayRef<int64_t> shape, unsigned first, MLIRContext *context) {
  AffineExpr place = getAffineConstantExpr(0, context);
  for (auto [index, size] : llvm::enumerate(shape))
    place = size == 1 ? place : place * size + getAffineDimExpr(first + index, context);
  return place;
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

Normalizer::Normalizer(func::FuncOp function) : dominance(function), b(function.getContext()), loc(function.getLoc()) {
  auto note = [&](Value value) {
    if (StringAttr label = getRowLabel(value.getType()); label && isa<RowsType>(value.getType()))
      rowSets[label].push_back(value);
  };
  function->walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), note);
    llvm::for_each(op->getResults(), note);
  });
}

Value Normalizer::findRows(StringAttr label) {
  auto found = rowSets.find(label);
  if (found == rowSets.end())
    return {};
  for (Value rows : llvm::reverse(found->second))
    if (dominance.properlyDominates(rows, current))
      return rows;
  return {};
}

Value Normalizer::spread(Value value, RankedTensorType type) {
  return SpreadOp::create(b, loc, type, value, findRows(getRowLabel(type)));
}

Value Normalizer::copy(Value source, AffineMap from, RankedTensorType type, AffineMap to) {
  SmallVector<utils::IteratorType> loops(from.getNumDims(), utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(b, loc, type, source, zeros(type), ArrayRef<AffineMap>{from, to}, loops,
                                           [](OpBuilder &inner, Location place, ValueRange elements) {
                                             linalg::YieldOp::create(inner, place, elements.front());
                                           });
  return generic.getResult(0);
}

Value Normalizer::flatten(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 2)
    return value;
  ArrayRef<int64_t> shape = type.getShape().drop_front();
  unsigned numDims = std::max<int64_t>(type.getRank(), 2);
  AffineMap from = type.getRank() == 1 ? map(2, {dim(0)}) : identity(numDims);
  AffineExpr place = type.getRank() == 1 ? dim(1) : linearize(shape, 1, b.getContext());
  return copy(value, from, withShape(type, {countElements(shape)}), map(numDims, {dim(0), place}));
}

Value Normalizer::unflatten(Value value, RankedTensorType type) {
  if (value.getType() == type)
    return value;
  unsigned numDims = type.getRank();
  AffineExpr place = linearize(type.getShape().drop_front(), 1, b.getContext());
  return copy(value, map(numDims, {dim(0), place}), type, identity(numDims));
}

/// A place in `whole` columns of which `size` are read. The range of a loop follows from the first operand that is read
/// at the loop's number itself, which has to be one that is read whole.
static AffineExpr placeOf(AffineExpr place, int64_t size, int64_t whole) {
  return isa<AffineDimExpr>(place) && size != whole ? place % size : place;
}

Value Normalizer::takeColumns(Value value, int64_t first, int64_t count) {
  auto type = cast<RankedTensorType>(value.getType());
  AffineExpr place = placeOf(dim(1) + first, count, type.getDimSize(1));
  return copy(value, map(2, {dim(0), place}), withShape(type, {count}), identity(2));
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

Value Normalizer::rewriteEmpty(tensor::EmptyOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  if (op.getDynamicSizes().size() != 1 || !isRowCount(op.getDynamicSizes().front(), getRowLabel(type)))
    return {};
  return zeros(type);
}

/// Offsets, sizes and strides of a slice that has all rows; nothing if it has others, or some that are not known.
template <typename SliceOp>
static bool keepsRows(SliceOp op, StringAttr label) {
  auto isKnown = [](ArrayRef<int64_t> values) { return llvm::none_of(values, ShapedType::isDynamic); };
  return isKnown(op.getStaticOffsets()) && isKnown(op.getStaticStrides()) &&
         isKnown(op.getStaticSizes().drop_front()) && op.getStaticOffsets().front() == 0 &&
         op.getStaticStrides().front() == 1 && isRowCount(op.getMixedSizes().front(), label);
}

Value Normalizer::rewriteExtract(tensor::ExtractSliceOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto source = getColumnShape(op.getSourceType());
  if (!source || getRowLabel(op.getSourceType()) != getRowLabel(type) || !keepsRows(op, getRowLabel(type)))
    return {};
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<AffineExpr> places;
  unsigned next = 0;
  for (unsigned index = 0; index < dropped.size(); ++index) {
    int64_t first = op.getStaticOffsets()[index], step = op.getStaticStrides()[index];
    int64_t size = op.getStaticSizes()[index];
    if (index && (first < 0 || step < 1 || size < 1 || size > (*source)[index - 1] ||
                  first + step * (size - 1) >= (*source)[index - 1]))
      return {};
    places.push_back(dropped[index]
                         ? b.getAffineConstantExpr(first)
                         : placeOf(dim(next++) * step + first, index ? size : 0, index ? (*source)[index - 1] : 0));
  }
  return dropped[0] ? Value() : copy(op.getSource(), map(next, places), type, identity(next));
}

/// Where columns of `part` start among those of `whole`, both row-major, if they lie side by side there.
static std::optional<int64_t> findPlace(tensor::InsertSliceOp op, ArrayRef<int64_t> whole) {
  ArrayRef<int64_t> offsets = op.getStaticOffsets().drop_front(), sizes = op.getStaticSizes().drop_front();
  if (llvm::any_of(op.getStaticStrides(), [](int64_t stride) { return stride != 1; }))
    return std::nullopt;
  int64_t place = 0;
  bool isPart = false; // some dimension behind is not taken whole
  for (auto [offset, size, full] : llvm::reverse(llvm::zip_equal(offsets, sizes, whole))) {
    if (offset < 0 || size < 1 || offset + size > full || (isPart && size != 1))
      return std::nullopt;
    isPart |= size != full;
  }
  for (auto [offset, full] : llvm::zip_equal(offsets, whole))
    place = place * full + offset;
  return place;
}

Value Normalizer::rewriteInsert(tensor::InsertSliceOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto whole = getColumnShape(type), part = getColumnShape(op.getSourceType());
  StringAttr label = getRowLabel(type);
  if (!whole || !part || getRowLabel(op.getSourceType()) != label || !keepsRows(op, label))
    return {};
  std::optional<int64_t> first = findPlace(op, *whole);
  if (!first)
    return {};
  int64_t width = countElements(*whole), behind = *first + countElements(*part);
  Value into = flatten(op.getDest());
  SmallVector<Value> parts;
  if (*first)
    parts.push_back(takeColumns(into, 0, *first));
  parts.push_back(flatten(op.getSource()));
  if (behind < width)
    parts.push_back(takeColumns(into, behind, width - behind));
  return unflatten(ConcatOp::create(b, loc, withShape(type, {width}), parts), type);
}

Value Normalizer::rewriteConcat(tensor::ConcatOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto shape = getColumnShape(type);
  int64_t dimension = static_cast<int64_t>(op.getDim());
  auto isOfSet = [&](Value input) {
    return getColumnShape(input.getType()) && getRowLabel(input.getType()) == getRowLabel(type);
  };
  if (!shape || dimension == 0 || !llvm::all_of(op.getInputs(), isOfSet) ||
      countElements(shape->take_front(dimension - 1)) != 1)
    return {};
  SmallVector<Value> parts = llvm::map_to_vector(op.getInputs(), [&](Value input) { return flatten(input); });
  return unflatten(ConcatOp::create(b, loc, withShape(type, {countElements(*shape)}), parts), type);
}

Value Normalizer::rewriteReshape(Operation *op, Value source, RankedTensorType type, RankedTensorType expanded,
                                 ArrayRef<ReassociationIndices> groups) {
  auto shape = getColumnShape(expanded);
  if (!shape || !getColumnShape(source.getType()) || !getColumnShape(type) ||
      getRowLabel(source.getType()) != getRowLabel(type))
    return {};
  SmallVector<AffineExpr> places;
  for (ArrayRef<int64_t> group : groups) {
    bool hasRows = group.front() == 0;
    ArrayRef<int64_t> behind = hasRows ? group.drop_front() : group;
    ArrayRef<int64_t> sizes = behind.empty() ? ArrayRef<int64_t>() : shape->slice(behind.front() - 1, behind.size());
    if (hasRows && countElements(sizes) != 1)
      return {}; // merges or splits rows
    places.push_back(hasRows ? dim(0) : linearize(sizes, behind.front(), b.getContext()));
  }
  unsigned numDims = expanded.getRank();
  AffineMap collapsed = map(numDims, places), whole = identity(numDims);
  return type == expanded ? copy(source, collapsed, type, whole) : copy(source, whole, type, collapsed);
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// One value per row and place, without `dimension`: its sum, or its maximum.
Value Normalizer::reduce(Value value, unsigned dimension, bool isMaximum) {
  auto type = cast<RankedTensorType>(value.getType());
  auto element = cast<FloatType>(type.getElementType());
  unsigned rank = type.getRank();
  if (rank == 2)
    return RowReduceOp::create(b, loc, withShape(type, {}), isMaximum ? ReduceKind::Max : ReduceKind::Sum, value);
  SmallVector<int64_t> shape(type.getShape().drop_front());
  shape.erase(shape.begin() + (dimension - 1));
  RankedTensorType reduced = withShape(type, shape);
  double start = isMaximum ? -std::numeric_limits<double>::infinity() : 0.0;
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  loops[dimension] = utils::IteratorType::reduction;
  auto generic = linalg::GenericOp::create(
      b, loc, reduced, value, spread(b.getFloatAttr(element, start), reduced),
      ArrayRef<AffineMap>{identity(rank), identity(rank).dropResult(dimension)}, loops,
      [&](OpBuilder &inner, Location place, ValueRange elements) {
        Value next = isMaximum ? arith::MaximumFOp::create(inner, place, elements[0], elements[1]).getResult()
                               : arith::AddFOp::create(inner, place, elements[0], elements[1]).getResult();
        linalg::YieldOp::create(inner, place, next);
      });
  return generic.getResult(0);
}

/// The inverse of `reduce` in shape.
Value Normalizer::repeatAlong(Value value, RankedTensorType type, unsigned dimension) {
  if (type.getRank() == 2)
    return spread(value, type);
  AffineMap whole = identity(type.getRank());
  return copy(value, whole.dropResult(dimension), type, whole);
}

Value Normalizer::rewriteSoftmax(linalg::SoftmaxOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
  auto dimension = static_cast<int64_t>(op.getDimension());
  if (!type || op->getNumResults() != 1 || op->getResult(0).getType() != type || !getColumnShape(type) ||
      dimension < 1 || dimension >= type.getRank() || !isa<FloatType>(type.getElementType()))
    return {};
  Value largest = repeatAlong(reduce(op.getInput(), dimension, /*isMaximum=*/true), type, dimension);
  Value exponentials = math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, op.getInput(), largest));
  Value sum = repeatAlong(reduce(exponentials, dimension, /*isMaximum=*/false), type, dimension);
  return arith::DivFOp::create(b, loc, exponentials, sum);
}

//===----------------------------------------------------------------------===//
// Structured ops
//===----------------------------------------------------------------------===//

/// Whether an operand of an elementwise op has a value for every column, one per row, the columns of any row, or is a
/// scalar.
static bool canSpread(linalg::GenericOp op, OpOperand &operand, RankedTensorType whole) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto type = dyn_cast<RankedTensorType>(operand.get().getType());
  if (!type)
    return map.getNumResults() == 0 && operand.get().getType().isIntOrIndexOrFloat();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(whole.getRank(), op.getContext());
  if (getRowLabel(type))
    return (map == identity && type.getShape() == whole.getShape()) ||
           (type.getRank() == 1 && whole.getRank() == 2 && map == identity.dropResult(1));
  return type.hasStaticShape() && type.getShape() == whole.getShape().drop_front() && map == identity.dropResult(0);
}

static bool isElementwiseBody(Block &body) {
  return llvm::all_of(body.without_terminator(), [](Operation &inner) {
    return inner.getNumRegions() == 0 && inner.getNumResults() == 1 &&
           (isa<arith::ConstantOp>(inner) || OpTrait::hasElementwiseMappableTraits(&inner)) &&
           inner.getResult(0).getType().isIntOrIndexOrFloat();
  });
}

std::optional<SmallVector<Value>> Normalizer::rewriteElementwise(linalg::GenericOp op) {
  auto whole = dyn_cast<RankedTensorType>(op.getResult(0).getType());
  if (op.getNumParallelLoops() != op.getNumLoops() || !isElementwiseBody(*op.getBody()))
    return std::nullopt;
  for (OpOperand &init : op.getDpsInitsMutable())
    if (!op.getMatchingIndexingMap(&init).isIdentity())
      return std::nullopt;
  for (OpOperand &operand : op->getOpOperands())
    if (!canSpread(op, operand, whole))
      return std::nullopt;

  IRMapping mapping;
  auto get = [&](Value element) -> Value {
    if (Value known = mapping.lookupOrNull(element))
      return known;
    auto argument = dyn_cast<BlockArgument>(element);
    bool isArgument = argument && argument.getOwner() == op.getBody();
    Value value = isArgument ? op->getOperand(argument.getArgNumber()) : element;
    RankedTensorType type = withShape(whole, whole.getShape().drop_front(), element.getType());
    Value spreaded = value.getType() == type ? value : spread(value, type);
    mapping.map(element, spreaded);
    return spreaded;
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      mapping.map(constant.getResult(),
                  spread(constant.getValue(), withShape(whole, whole.getShape().drop_front(), constant.getType())));
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(inner.getOperands(), get);
    Type type = withShape(whole, whole.getShape().drop_front(), inner.getResult(0).getType());
    Operation *all = b.create(inner.getLoc(), inner.getName().getIdentifier(), operands, type, inner.getAttrs());
    mapping.map(inner.getResult(0), all->getResult(0));
  }
  return llvm::map_to_vector(op.getBody()->getTerminator()->getOperands(), get);
}

std::optional<SmallVector<Value>> Normalizer::rewriteStructured(linalg::LinalgOp op) {
  if (!findRowLoop(op) || !llvm::all_of(op->getResultTypes(), [](Type type) { return getColumnShape(type); }))
    return std::nullopt;
  auto generic = dyn_cast<linalg::GenericOp>(*op);
  if (!generic) {
    generic = linalg::GenericOp::create(b, loc, op->getResultTypes(), op.getDpsInputs(), op.getDpsInits(),
                                        op.getIndexingMapsArray(), op.getIteratorTypesArray());
    IRMapping mapping;
    op->getRegion(0).cloneInto(&generic.getRegion(), mapping);
  }
  std::optional<SmallVector<Value>> values = rewriteElementwise(generic);
  if (generic == op)
    return values;
  if (!values)
    return SmallVector<Value>(generic->getResults());
  generic.erase();
  return values;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

std::optional<SmallVector<Value>> Normalizer::rewrite(Operation *op) {
  auto isOfKnownRows = [&](Type type) {
    StringAttr label = getRowLabel(type);
    return !label || isa<RowsType>(type) || findRows(label);
  };
  current = op;
  loc = op->getLoc();
  b.setInsertionPoint(op);
  if (!llvm::any_of(op->getResultTypes(), [](Type type) { return getRowLabel(type) && !isa<RowsType>(type); }) ||
      !llvm::all_of(op->getResultTypes(), isOfKnownRows))
    return std::nullopt;
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return rewriteStructured(structured);
  Value value;
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    value = rewriteEmpty(empty);
  else if (auto extract = dyn_cast<tensor::ExtractSliceOp>(op))
    value = rewriteExtract(extract);
  else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    value = rewriteInsert(insert);
  else if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    value = rewriteConcat(concat);
  else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    value = rewriteReshape(op, expand.getSrc(), expand.getResultType(), expand.getResultType(),
                           expand.getReassociationIndices());
  else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    value = rewriteReshape(op, collapse.getSrc(), collapse.getResultType(), collapse.getSrcType(),
                           collapse.getReassociationIndices());
  else if (auto cast = dyn_cast<tensor::CastOp>(op); cast && cast.getSource().getType() == cast.getType())
    value = cast.getSource();
  else if (auto softmax = dyn_cast<linalg::SoftmaxOp>(op))
    value = rewriteSoftmax(softmax);
  if (!value)
    return std::nullopt;
  return SmallVector<Value>{value};
}

void NormalizeRowOpsPass::runOnOperation() {
  SmallVector<Operation *> ops;
  getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
    ops.push_back(op);
    return isa<linalg::LinalgDialect>(op->getDialect()) ? WalkResult::skip() : WalkResult::advance();
  });
  Normalizer normalizer(getOperation());
  for (Operation *op : ops)
    if (std::optional<SmallVector<Value>> values = normalizer.rewrite(op)) {
      remark::passed(op->getLoc(), remark::RemarkOpts::name("rewritten").category(DEBUG_TYPE))
          << ("'" + op->getName().getStringRef() + "' is written in another form").str();
      op->replaceAllUsesWith(*values);
      op->erase();
      ++numRewritten;
    }
  // What only gave sizes, and what a rewrite did not need after all.
  SmallVector<Block *> blocks;
  getOperation().walk([&](Block *block) { blocks.push_back(block); });
  for (Block *block : blocks)
    eraseDeadOps(*block);
}
