// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verification of weights and of the ops that use them.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include <cmath>

using namespace mlir;
using namespace lariat;

static int64_t getNumColumns(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); }

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '(';
  llvm::interleaveComma(shape, os);
  os << ')';
  return text;
}

/// The weight behind a symbol, or an error that names it.
static FailureOr<WeightOp> lookupWeight(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name) {
  if (auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(op, name))
    return weight;
  return op->emitOpError() << "uses " << name << ", which is not a weight";
}

/// The weight behind a symbol, of exactly this shape. Sets `indexed` if it has depths.
static LogicalResult verifyWeightShape(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                                       ArrayRef<int64_t> shape, bool &indexed) {
  FailureOr<WeightOp> weight = lookupWeight(op, symbols, name);
  if (failed(weight))
    return failure();
  indexed |= weight->getDepths().has_value();
  if (weight->getTensorType().getShape() == shape)
    return success();
  return (op->emitOpError() << "uses " << name << " of shape " << shapeText(weight->getTensorType().getShape())
                            << ", expected " << shapeText(shape))
             .attachNote(weight->getLoc())
         << "the weight is declared here";
}

/// `by` is there exactly if a weight is depth-indexed.
static LogicalResult verifyBy(Operation *op, Value by, bool indexed) {
  if (static_cast<bool>(by) == indexed)
    return success();
  return op->emitOpError() << (indexed ? "uses a depth-indexed weight without rows, expected 'by' and its rows"
                                       : "names rows with 'by', but none of its weights is depth-indexed");
}

/// `by` is the row set of the operand.
static LogicalResult verifyByRows(Operation *op, Value by, Value input) {
  if (!by || by.getType() == getRowsType(input.getType()))
    return success();
  return op->emitOpError() << "is indexed by " << by.getType() << ", but its operand belongs to "
                           << getRowsType(input.getType());
}

/// Rows whose depth is known find it in the weights that they choose from.
static LogicalResult verifyConstantDepth(Operation *op, SymbolTableCollection &symbols, Value by,
                                         ArrayRef<FlatSymbolRefAttr> names) {
  std::optional<int64_t> depth = by ? getConstantDepth(by) : std::nullopt;
  for (FlatSymbolRefAttr name : names) {
    auto weight = depth && name ? symbols.lookupNearestSymbolFrom<WeightOp>(op, name) : WeightOp();
    if (!weight || !weight.getDepths() || weight.getBeyond() == Beyond::Clamp ||
        *depth < static_cast<int64_t>(*weight.getDepths()))
      continue;
    return (op->emitOpError() << "uses " << name << " at depth " << *depth << ", but it has " << *weight.getDepths()
                              << " depths")
               .attachNote(weight.getLoc())
           << "the weight is declared here";
  }
  return success();
}

/// The result is a row tensor of the operand's set with the given columns.
static LogicalResult verifyResult(Operation *op, Value input, Value result, ArrayRef<int64_t> columns) {
  auto type = cast<RankedTensorType>(result.getType());
  auto from = cast<RankedTensorType>(input.getType());
  if (type.getShape().drop_front() == columns && type.getEncoding() == from.getEncoding())
    return success();
  return op->emitOpError() << "gives " << type << ", expected " << columns.size() << " column dimension"
                           << (columns.size() == 1 ? "" : "s") << " of size " << shapeText(columns)
                           << " for the rows of " << from;
}

//===----------------------------------------------------------------------===//
// weight, value_of
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape()) // weight_c1
    return emitOpError() << "has type " << getType() << ", expected a tensor of static shape";
  if (static_cast<bool>(getSource()) == static_cast<bool>(getValue())) // weight_c2
    return emitOpError() << "has " << (getSource() ? "both" : "neither")
                         << " a source and an inline value, expected one";
  int64_t numKeys = getSource() && getSource()->getStacked() ? getSource()->getKeys().size() : 0;
  if (numKeys && numKeys != static_cast<int64_t>(getDepths().value_or(0))) // weight_c3
    return emitOpError() << "stacks " << numKeys << " tensors, but has " << getDepths().value_or(0) << " depths";
  if (getSource() && !numKeys && getDepths().value_or(1) != 1)
    return emitOpError() << "has " << *getDepths() << " depths, but its source is not stacked";
  if (getStored().getFormat() != StoredFormat::F32 && !type.getElementType().isF32()) // weight_c4
    return emitOpError() << "is stored as " << stringifyStoredFormat(getStored().getFormat())
                         << ", but has elements of type " << type.getElementType() << ", expected f32";
  if (!getValue())
    return success();
  SmallVector<int64_t> shape(type.getShape());
  if (getDepths())
    shape.insert(shape.begin(), *getDepths());
  auto value = cast<ShapedType>(getValue()->getType());
  if (value.getShape() != ArrayRef<int64_t>(shape) || value.getElementType() != type.getElementType()) // weight_c2
    return emitOpError() << "has an inline value of type " << value << ", expected shape " << shapeText(shape) << " of "
                         << type.getElementType();
  return success();
}

LogicalResult ValueOfOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<WeightOp> weight = lookupWeight(*this, symbols, getWeightAttr());
  if (failed(weight) || failed(verifyBy(*this, getBy(), weight->getDepths().has_value()))) // value_of_c2
    return failure();
  if (!getBy()) {
    if (weight->getType() == getType()) // value_of_c1
      return success();
    return emitOpError() << "gives " << getType() << ", but " << getWeightAttr() << " is " << weight->getType();
  }
  RankedTensorType type = weight->getTensorType();
  if (type.getRank() != 1) // value_of_c2
    return emitOpError() << "chooses by depth from " << getWeightAttr() << " of shape " << shapeText(type.getShape())
                         << ", expected rank 1";
  Type expected = getRowTensorType(getBy().getType(), type.getElementType(), type.getShape());
  if (getType() != expected) // value_of_c2
    return emitOpError() << "gives " << getType() << ", expected " << expected;
  return verifyConstantDepth(*this, symbols, getBy(), {getWeightAttr()}); // value_of_c3
}

//===----------------------------------------------------------------------===//
// linear
//===----------------------------------------------------------------------===//

LogicalResult LinearOp::verify() {
  if (cast<RankedTensorType>(getInput().getType()).getRank() != 2) // linear_c1
    return emitOpError() << "has an operand of type " << getInput().getType() << ", expected rank 2";
  if (getLowRankAAttr() && (!getLowRankBAttr() || !getScaleAttr())) // linear_c3
    return emitOpError("has an incomplete low-rank pair, expected A, B and scale");
  if (!getLowRankAAttr() && (getLowRankBAttr() || getScaleAttr()))
    return emitOpError("has an incomplete low-rank pair, expected A, B and scale");
  return verifyByRows(*this, getBy(), getInput());
}

LogicalResult LinearOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<WeightOp> weight = lookupWeight(*this, symbols, getWeightAttr());
  if (failed(weight))
    return failure();
  ArrayRef<int64_t> shape = weight->getTensorType().getShape();
  int64_t numInputs = getNumColumns(getInput());
  if (shape.empty() || shape.size() > 2 || shape.back() != numInputs) // linear_c1
    return (emitOpError() << "multiplies rows of " << numInputs << " columns by " << getWeightAttr() << " of shape "
                          << shapeText(shape) << ", expected (N, " << numInputs << ") or (" << numInputs << ")")
               .attachNote(weight->getLoc())
           << "the weight is declared here";
  ArrayRef<int64_t> outputs = shape.drop_back();
  bool indexed = weight->getDepths().has_value();
  if (failed(verifyResult(*this, getInput(), getResult(), outputs)))
    return failure();
  int64_t numOutputs = outputs.empty() ? 1 : outputs.front();
  if (getBiasAttr() && failed(verifyWeightShape(*this, symbols, getBiasAttr(), {numOutputs}, indexed))) // linear_c2
    return failure();
  if (getLowRankAAttr()) { // linear_c3
    FailureOr<WeightOp> a = lookupWeight(*this, symbols, getLowRankAAttr());
    if (failed(a))
      return failure();
    int64_t rank = a->getTensorType().getRank() == 2 ? a->getTensorType().getDimSize(0) : 0;
    if (failed(verifyWeightShape(*this, symbols, getLowRankAAttr(), {rank, numInputs}, indexed)) ||
        failed(verifyWeightShape(*this, symbols, getLowRankBAttr(), {numOutputs, rank}, indexed)))
      return failure();
  }
  if (failed(verifyBy(*this, getBy(), indexed))) // linear_c4
    return failure();
  return verifyConstantDepth(*this, symbols, getBy(),
                             {getWeightAttr(), getBiasAttr(), getLowRankAAttr(), getLowRankBAttr()}); // linear_c5
}

//===----------------------------------------------------------------------===//
// embed, norm, rope
//===----------------------------------------------------------------------===//

LogicalResult EmbedOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FailureOr<WeightOp> weight = lookupWeight(*this, symbols, getWeightAttr());
  if (failed(weight))
    return failure();
  ArrayRef<int64_t> shape = weight->getTensorType().getShape();
  if (shape.size() != 2 || weight->getDepths() || cast<RankedTensorType>(getIds().getType()).getRank() != 1) // embed_c1
    return emitOpError() << "looks up " << getIds().getType() << " in " << getWeightAttr() << " of shape "
                         << shapeText(shape) << ", expected one index per row and a weight (V, D) without depths";
  return verifyResult(*this, getIds(), getResult(), shape.drop_front());
}

LogicalResult NormOp::verify() {
  auto type = cast<RankedTensorType>(getInput().getType());
  if (type.getRank() != 2 || type.getDimSize(1) % static_cast<int64_t>(getGroups()) != 0) // norm_c1
    return emitOpError() << "normalises " << type << " in " << getGroups()
                         << " groups, expected rank 2 and columns in equal groups";
  if (getBiasAttr() && !getWeightAttr()) // norm_c2
    return emitOpError("has a bias without a weight");
  if (!(getEps().convertToDouble() >= 0))
    return emitOpError() << "has eps " << getEps().convertToDouble() << ", expected a non-negative one";
  return verifyByRows(*this, getBy(), getInput());
}

LogicalResult NormOp::verifySymbolUses(SymbolTableCollection &symbols) {
  bool indexed = false;
  int64_t width = getNumColumns(getInput()) / static_cast<int64_t>(getGroups());
  for (FlatSymbolRefAttr name : {getWeightAttr(), getBiasAttr()})
    if (name && failed(verifyWeightShape(*this, symbols, name, {width}, indexed))) // norm_c2
      return failure();
  if (failed(verifyBy(*this, getBy(), indexed))) // norm_c3
    return failure();
  return verifyConstantDepth(*this, symbols, getBy(), {getWeightAttr(), getBiasAttr()}); // norm_c4
}

LogicalResult RopeOp::verify() {
  auto type = cast<RankedTensorType>(getInput().getType());
  int64_t heads = getHeads();
  if (type.getRank() != 2 || type.getDimSize(1) % heads != 0) // rope_c1
    return emitOpError() << "rotates " << type << " in " << heads << " heads, expected columns in equal heads";
  int64_t width = type.getDimSize(1) / heads;
  int64_t dims = getDims() ? static_cast<int64_t>(*getDims()) : width;
  if (dims % 2 != 0 || dims > width) // rope_c1
    return emitOpError() << "rotates " << dims << " columns of a head of " << width
                         << ", expected an even number that fits";
  if (getTheta() && !(getTheta()->convertToDouble() > 0)) // rope_c2
    return emitOpError() << "has theta " << getTheta()->convertToDouble() << ", expected a positive one";
  if (getMagnitude() && !getMagnitude()->isFinite()) // rope_c2
    return emitOpError() << "has magnitude " << getMagnitude()->convertToDouble() << ", expected a finite one";
  if (getTheta().has_value() == getFrequencies().has_value()) // rope_c3
    return emitOpError() << "has " << (getTheta() ? "both" : "neither")
                         << " theta and frequencies, expected one of them";
  if (getScaling() && !getTheta()) // rope_c3
    return emitOpError("has scaling without theta: frequencies are given as they are");
  auto listed = dyn_cast_if_present<DenseF64ArrayAttr>(getFrequenciesAttr());
  if (!listed)
    return success();
  if (listed.size() != dims / 2) // rope_c3
    return emitOpError() << "lists " << listed.size() << " frequencies for " << dims / 2 << " pairs";
  for (double frequency : listed.asArrayRef())
    if (!std::isfinite(frequency)) // rope_c2
      return emitOpError() << "lists the frequency " << frequency << ", expected finite ones";
  return success();
}

LogicalResult RopeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto name = dyn_cast_if_present<FlatSymbolRefAttr>(getFrequenciesAttr());
  if (!name)
    return success();
  bool indexed = false;
  int64_t width = getNumColumns(getInput()) / static_cast<int64_t>(getHeads());
  int64_t dims = getDims() ? static_cast<int64_t>(*getDims()) : width;
  if (failed(verifyWeightShape(*this, symbols, name, {dims / 2}, indexed))) // rope_c4
    return failure();
  if (indexed) // rope_c4
    return emitOpError() << "uses the depth-indexed weight " << name << ", expected one without depths";
  StoredFormat format = symbols.lookupNearestSymbolFrom<WeightOp>(*this, name).getStored().getFormat();
  if (format != StoredFormat::F32) // rope_c4
    return emitOpError() << "takes its frequencies from " << name << ", which is stored as "
                         << stringifyStoredFormat(format) << ", expected f32";
  return success();
}
