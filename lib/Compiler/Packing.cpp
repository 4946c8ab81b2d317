// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes weights.bin piece by piece, in the order of the places that kernel-plan-weights gave. Little-endian, as every
// machine that Lariat knows.

#include "lariat/Compiler/Packing.h"

#include "lariat/Compiler/Weights.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"

#include <bit>
#include <cmath>

using namespace mlir;
using namespace lariat;
using kernel::kPanelColumns;

static_assert(std::endian::native == std::endian::little, "weights.bin is little-endian");

template <typename T>
static void writeRaw(llvm::raw_ostream &stream, ArrayRef<T> values) {
  stream.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

static uint16_t getHalf(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(roundToBFloat(value)) >> 16);
}

void lariat::writePanels(llvm::raw_ostream &stream, ArrayRef<const float *> rows, int64_t width, bool isHalf) {
  int64_t numLines = isHalf ? kernel::roundUp(width, 2) : width;
  std::vector<float> panel(isHalf ? 0 : numLines * kPanelColumns);
  std::vector<uint16_t> halfPanel(isHalf ? numLines * kPanelColumns : 0);
  for (size_t first = 0; first < rows.size(); first += kPanelColumns) {
    llvm::fill(panel, 0.0f);
    llvm::fill(halfPanel, 0);
    for (auto [column, row] : llvm::enumerate(rows.slice(first, std::min<size_t>(kPanelColumns, rows.size() - first))))
      for (int64_t k = 0; k < width; ++k)
        if (isHalf)
          halfPanel[(k / 2 * kPanelColumns + column) * 2 + k % 2] = getHalf(row[k]);
        else
          panel[k * kPanelColumns + column] = row[k];
    if (isHalf)
      writeRaw(stream, ArrayRef(halfPanel));
    else
      writeRaw(stream, ArrayRef(panel));
  }
}

void lariat::writeVector(llvm::raw_ostream &stream, ArrayRef<float> values) {
  auto count = static_cast<int64_t>(values.size());
  writeRaw(stream, values);
  stream.write_zeros((kernel::roundUp(count, kPanelColumns) - count) * sizeof(float));
}

/// Rounded once from f64 to `angles`, then to f32, which holds every type of angles that models use.
static float roundAngle(double value, const llvm::fltSemantics &angles) {
  bool inexact = false;
  APFloat rounded(value);
  rounded.convert(angles, APFloat::rmNearestTiesToEven, &inexact);
  rounded.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &inexact);
  return rounded.convertToFloat();
}

void lariat::writeRopeTable(llvm::raw_ostream &stream, ArrayRef<double> frequencies, int64_t positions, Type angles,
                            int64_t lineBytes) {
  const llvm::fltSemantics &semantics = cast<FloatType>(angles).getFloatSemantics();
  bool isSingle = angles.isF32();
  auto round = [&](double value) { return isSingle ? static_cast<float>(value) : roundAngle(value, semantics); };
  std::vector<float> line(lineBytes / sizeof(float));
  for (int64_t position = 0; position < positions; ++position) {
    for (auto [index, frequency] : llvm::enumerate(frequencies)) {
      double angle = static_cast<double>(position) * frequency;
      line[2 * index] = round(std::cos(angle));
      line[2 * index + 1] = round(std::sin(angle));
    }
    writeRaw(stream, ArrayRef(line));
  }
}

void lariat::writeInline(llvm::raw_ostream &stream, DenseElementsAttr value) {
  Type type = value.getElementType();
  int64_t bytes = kernel::getElementBytes(type), count = value.getNumElements();
  auto write = [&](const APInt &bits) {
    uint64_t word = bits.getZExtValue();
    stream.write(reinterpret_cast<const char *>(&word), bytes);
  };
  if (isa<FloatType>(type))
    for (const APFloat &element : value.getValues<APFloat>())
      write(element.bitcastToAPInt());
  else
    for (const APInt &element : value.getValues<APInt>())
      write(element);
  stream.write_zeros((kernel::roundUp(count, kPanelColumns) - count) * bytes);
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

namespace {

/// Writes one op after the other.
class Packer {
public:
  Packer(ModuleOp model, const Checkpoint *checkpoint, bool roundWeights, llvm::raw_ostream &stream)
      : model(model), checkpoint(checkpoint), roundWeights(roundWeights), stream(stream) {}

  llvm::Error write(kernel::PackedOp op);

private:
  llvm::Error loadSources(kernel::PackedOp op);
  /// The lines of one depth, of all sources one after the other.
  std::vector<const float *> getLines(int64_t depth, int64_t width) const;

  ModuleOp model;
  const Checkpoint *checkpoint;
  bool roundWeights;
  llvm::raw_ostream &stream;
  std::vector<std::vector<float>> sources;
  int64_t numDepths = 1;
};

} // namespace

llvm::Error Packer::loadSources(kernel::PackedOp op) {
  sources.clear();
  numDepths = op.getDepths().value_or(1);
  int64_t total = 0, expected = numDepths;
  for (int64_t size : op.getShape())
    expected *= size;
  for (StringAttr name : op.getSources().getAsRange<StringAttr>()) {
    auto weight = model.lookupSymbol<WeightOp>(name);
    if (!weight)
      return makeError("packed data @" + op.getSymName() + " comes from the weight @" + name.getValue() +
                       ", which the module does not declare");
    llvm::Expected<std::vector<float>> values = loadWeight(weight, checkpoint, roundWeights);
    if (!values)
      return values.takeError();
    total += static_cast<int64_t>(values->size());
    sources.push_back(std::move(*values));
  }
  if (total == expected)
    return llvm::Error::success();
  return makeError("packed data @" + op.getSymName() + " has " + Twine(expected) + " values, but its weights have " +
                   Twine(total));
}

std::vector<const float *> Packer::getLines(int64_t depth, int64_t width) const {
  std::vector<const float *> lines;
  for (const std::vector<float> &source : sources) {
    auto perDepth = static_cast<int64_t>(source.size()) / numDepths;
    for (int64_t line = 0; line < perDepth / width; ++line)
      lines.push_back(source.data() + depth * perDepth + line * width);
  }
  return lines;
}

llvm::Error Packer::write(kernel::PackedOp op) {
  if (std::optional<ElementsAttr> value = op.getValue()) {
    auto dense = dyn_cast<DenseElementsAttr>(*value);
    if (!dense)
      return makeError("packed data @" + op.getSymName() + " has a value that is no dense list");
    writeInline(stream, dense);
    return llvm::Error::success();
  }
  if (llvm::Error error = loadSources(op))
    return error;
  int64_t width = op.getShape().back();
  for (int64_t depth = 0; depth < numDepths; ++depth) {
    if (op.getKind() == kernel::PackKind::Panels) {
      writePanels(stream, getLines(depth, width), width, op.getType().isBF16());
    } else if (op.getKind() == kernel::PackKind::Vectors) {
      for (const float *line : getLines(depth, width))
        writeVector(stream, ArrayRef(line, width));
    } else {
      std::vector<float> values;
      for (const std::vector<float> &source : sources) {
        size_t perDepth = source.size() / numDepths;
        llvm::append_range(values, ArrayRef(source).slice(depth * perDepth, perDepth));
      }
      writeVector(stream, values);
    }
  }
  return llvm::Error::success();
}

static int64_t getOffset(Operation *op) { return op->getAttrOfType<IntegerAttr>("offset").getInt(); }

static llvm::Error fillUpTo(llvm::raw_ostream &stream, int64_t offset) {
  auto place = static_cast<int64_t>(stream.tell());
  if (offset < place)
    return makeError("packed data at " + Twine(offset) + " overlaps with what ends at " + Twine(place));
  stream.write_zeros(offset - place);
  return llvm::Error::success();
}

llvm::Error lariat::writePackedWeights(ModuleOp kernels, ModuleOp model, const Checkpoint *checkpoint,
                                       bool roundWeights, StringRef path) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (code)
    return makeError("cannot write " + path + ": " + code.message());
  stream.SetBufferSize(1 << 20);
  SmallVector<Operation *> ops;
  for (Operation &op : kernels.getOps())
    if (isa<kernel::PackedOp, kernel::RopeTableOp>(op))
      ops.push_back(&op);
  llvm::sort(ops, [](Operation *a, Operation *b) { return getOffset(a) < getOffset(b); });
  Packer packer(model, checkpoint, roundWeights, stream);
  auto writeAll = [&]() -> llvm::Error {
    for (Operation *op : ops) {
      if (llvm::Error error = fillUpTo(stream, getOffset(op)))
        return error;
      if (auto table = dyn_cast<kernel::RopeTableOp>(op))
        writeRopeTable(stream, table.getFrequencies(), table.getPositions(), table.getAngles(), table.getLineBytes());
      else if (llvm::Error error = packer.write(cast<kernel::PackedOp>(op)))
        return error;
    }
    return fillUpTo(stream, kernels->getAttrOfType<IntegerAttr>(kernel::kWeightBytesAttr).getInt());
  };
  llvm::Error error = writeAll();
  stream.close();
  code = stream.error();
  stream.clear_error();
  if (code && !error)
    return makeError("cannot write " + path + ": " + code.message());
  return error;
}
