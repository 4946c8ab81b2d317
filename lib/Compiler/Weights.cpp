// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies #lariat.source: per key `rows`, then `halves`, then `reshape`; the depths of a stacked source one behind the
// other; rounding to the weight's format; `scale` last, and rounding again. Shapes are equal if they are equal without
// their dimensions of size 1.

#include "lariat/Compiler/Weights.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace lariat;

/// A splat of any size is short to write, so inline values have a bound; larger ones belong into a checkpoint.
static constexpr int64_t kMaxInlineElements = int64_t(1) << 28;

/// Bytes of a checkpoint that a reader keeps mapped in memory.
static constexpr int64_t kResidentBytes = int64_t(64) << 20;

using Piece = WeightReader::Piece;

SmallVector<int64_t> lariat::getDataShape(WeightOp weight) {
  SmallVector<int64_t> shape;
  if (weight.getDepths())
    shape.push_back(*weight.getDepths());
  llvm::append_range(shape, weight.getTensorType().getShape());
  return shape;
}

static SmallVector<int64_t> withoutUnits(ArrayRef<int64_t> shape) {
  return llvm::filter_to_vector(shape, [](int64_t size) { return size != 1; });
}

static int64_t numElements(ArrayRef<int64_t> shape) {
  uint64_t count = 1;
  for (int64_t size : shape)
    count = llvm::SaturatingMultiply<uint64_t>(count, size);
  return static_cast<int64_t>(std::min<uint64_t>(count, std::numeric_limits<int64_t>::max()));
}

/// Finds a key and checks everything its reading relies on; `expected` is the shape it has to give.
static llvm::Expected<Piece> findPiece(WeightOp weight, StringRef key, ArrayRef<int64_t> expected,
                                       const Checkpoint &checkpoint) {
  SourceAttr source = *weight.getSource();
  const StoredTensor *tensor = checkpoint.find(key);
  if (!tensor)
    return makeError("tensor '" + key + "' of weight @" + weight.getSymName() + " is not in " + checkpoint.getPath() +
                     ", expected shape " + formatShape(expected));
  std::string where = "tensor '" + key.str() + "' of weight @" + weight.getSymName().str();
  SmallVector<int64_t> shape = tensor->shape;
  Piece piece{tensor, 0, shape.empty() ? 1 : shape.front(), 1};
  for (int64_t size : ArrayRef(shape).drop_front(shape.empty() ? 0 : 1))
    piece.rowSize *= size;
  if (auto rows = source.getRows()) {
    if (shape.empty() || rows->second > shape.front())
      return makeError(where + " has shape " + formatShape(shape) + ", which has no rows " + Twine(rows->first) +
                       " to " + Twine(rows->second));
    piece.firstRow = rows->first;
    piece.numRows = rows->second - rows->first;
    shape.front() = piece.numRows;
  }
  if (int64_t heads = source.getHalves(); heads && piece.numRows % (2 * heads) != 0)
    return makeError(where + " has " + Twine(piece.numRows) + " rows, expected a multiple of " + Twine(2 * heads) +
                     " for " + Twine(heads) + " heads of rotary pairs");
  bool equal = source.getReshape() ? piece.numRows * piece.rowSize == numElements(expected)
                                   : withoutUnits(shape) == withoutUnits(expected);
  if (!equal)
    return makeError(where + " has shape " + formatShape(tensor->shape) + (source.getRows() ? " and gives " : "") +
                     (source.getRows() ? formatShape(shape) : std::string()) + ", expected " + formatShape(expected));
  return piece;
}

/// The pieces of a weight, in order.
static llvm::Expected<SmallVector<Piece>> findPieces(WeightOp weight, const Checkpoint *checkpoint) {
  if (!checkpoint)
    return makeError("weight @" + weight.getSymName() + " is stored in a checkpoint, but none is given");
  SmallVector<int64_t> expected = getDataShape(weight);
  SourceAttr source = *weight.getSource();
  ArrayRef<int64_t> perKey = source.getStacked() ? ArrayRef(expected).drop_front() : ArrayRef(expected);
  SmallVector<Piece> pieces;
  for (StringAttr key : source.getKeys()) {
    llvm::Expected<Piece> piece = findPiece(weight, key.getValue(), perKey, *checkpoint);
    if (!piece)
      return piece.takeError();
    pieces.push_back(*piece);
  }
  return pieces;
}

/// Row `row` of the result comes from this row: pairs (2 i, 2 i + 1) of a head become (i, i + half).
static int64_t sourceRow(int64_t row, int64_t numRows, int64_t heads) {
  int64_t width = numRows / heads, half = width / 2;
  int64_t head = row / width, column = row % width;
  return head * width + (column < half ? 2 * column : 2 * (column - half) + 1);
}

/// The inline value of a weight, if it is one that can be read.
static llvm::Expected<DenseElementsAttr> findInline(WeightOp weight) {
  auto elements = dyn_cast<DenseElementsAttr>(*weight.getValue());
  if (!elements || !isa<FloatType>(elements.getElementType()))
    return makeError("weight @" + weight.getSymName() + " has an inline value that is no dense list of floats");
  if (elements.getNumElements() > kMaxInlineElements)
    return makeError("weight @" + weight.getSymName() + " has an inline value of " + Twine(elements.getNumElements()) +
                     " elements, expected at most " + Twine(kMaxInlineElements));
  return elements;
}

llvm::Expected<WeightReader> WeightReader::open(WeightOp weight, const Checkpoint *checkpoint) {
  WeightReader reader;
  reader.name = weight.getSymName();
  reader.format = weight.getStored().getFormat();
  if (weight.getValue()) {
    llvm::Expected<DenseElementsAttr> elements = findInline(weight);
    if (!elements)
      return elements.takeError();
    reader.inlined = *elements;
    reader.numElements = elements->getNumElements();
    return reader;
  }
  llvm::Expected<SmallVector<Piece>> pieces = findPieces(weight, checkpoint);
  if (!pieces)
    return pieces.takeError();
  for (const Piece &piece : *pieces) {
    if (!isReadableAsFloats(piece.tensor->type))
      return readFloats(*piece.tensor).takeError();
    reader.numElements += piece.numRows * piece.rowSize;
  }
  reader.pieces = std::move(*pieces);
  SourceAttr source = *weight.getSource();
  reader.halvedHeads = source.getHalves();
  if (FloatAttr scale = source.getScale())
    reader.scale = static_cast<float>(scale.getValueAsDouble());
  return reader;
}

void WeightReader::readStored(int64_t first, MutableArrayRef<float> values) const {
  for (const Piece &piece : pieces) {
    int64_t size = piece.numRows * piece.rowSize;
    for (; first < size && !values.empty();) {
      int64_t row = first / piece.rowSize, column = first % piece.rowSize, run = size - first;
      if (halvedHeads) { // rows change places
        row = sourceRow(row, piece.numRows, halvedHeads);
        run = piece.rowSize - column;
      }
      run = std::min<int64_t>(run, values.size());
      readFloats(*piece.tensor, (piece.firstRow + row) * piece.rowSize + column, values.take_front(run));
      values = values.drop_front(run);
      first += run;
    }
    first = std::max<int64_t>(first - size, 0);
    if (values.empty())
      return;
  }
}

void WeightReader::readInline(int64_t first, MutableArrayRef<float> values) const {
  if (inlined.getElementType().isF32()) {
    std::copy_n(inlined.getValues<float>().begin() + first, values.size(), values.begin());
    return;
  }
  auto element = inlined.getValues<APFloat>().begin() + first;
  for (float &value : values) {
    APFloat exact = *element;
    bool inexact = false;
    exact.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &inexact);
    value = exact.convertToFloat();
    ++element;
  }
}

void WeightReader::release() {
  for (const Piece &piece : pieces)
    piece.tensor->release();
  bytesRead = 0;
}

/// `round` for each value; the largest size of finite ones from `end` on, which it makes infinities.
template <typename Round>
static std::optional<float> roundAll(MutableArrayRef<float> values, float end, Round round) {
  uint32_t largest = 0;
  for (float &value : values) {
    uint32_t size = llvm::bit_cast<uint32_t>(value) & 0x7fffffff;
    largest = std::max(largest, size < 0x7f800000 ? size : 0);
    value = round(value);
  }
  auto size = llvm::bit_cast<float>(largest);
  return size >= end ? std::optional(size) : std::nullopt;
}

std::optional<float> lariat::roundTo(StoredFormat format, MutableArrayRef<float> values) {
  switch (format) {
  case StoredFormat::F32:
    return std::nullopt;
  case StoredFormat::BF16:
    return roundAll(values, /*end=*/0x1.FFp127f, roundToBFloat);
  case StoredFormat::F16:
    return roundAll(values, /*end=*/65520, [](float value) { return fromF16(toF16(value)); });
  }
  llvm_unreachable("all formats are above");
}

llvm::Error lariat::makeRangeError(const Twine &what, float size, StoredFormat format) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", size);
  return makeError(what + " holds a value of size " + text + ", which is beyond the range of " +
                   stringifyStoredFormat(format) + ", expected another format");
}

llvm::Error WeightReader::verifyRange() const {
  return beyond ? makeRangeError("weight @" + name, *beyond, format) : llvm::Error::success();
}

void WeightReader::read(int64_t first, MutableArrayRef<float> values) {
  if (inlined)
    readInline(first, values);
  else
    readStored(first, values);
  auto round = [&] {
    if (std::optional<float> size = roundTo(format, values))
      beyond = size;
  };
  round();
  if (scale) {
    for (float &value : values)
      value *= *scale;
    round();
  }
  bytesRead += static_cast<int64_t>(values.size() * sizeof(float));
  if (bytesRead > kResidentBytes)
    release();
}

llvm::Error lariat::verifyWeight(WeightOp weight, const Checkpoint *checkpoint) {
  return WeightReader::open(weight, checkpoint).takeError();
}

llvm::Expected<std::vector<float>> lariat::loadWeight(WeightOp weight, const Checkpoint *checkpoint) {
  llvm::Expected<WeightReader> reader = WeightReader::open(weight, checkpoint);
  if (!reader)
    return reader.takeError();
  std::vector<float> values(reader->getNumElements());
  reader->read(0, values);
  if (llvm::Error error = reader->verifyRange())
    return std::move(error);
  return values;
}

std::vector<float> lariat::transposeLast(ArrayRef<float> values, ArrayRef<int64_t> shape) {
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  std::vector<float> result(values.size());
  for (size_t base = 0; base < values.size(); base += rows * columns)
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        result[base + column * rows + row] = values[base + row * columns + column];
  return result;
}
