// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes weights.bin piece by piece, in the order of the places that kernel-plan-weights gave. Little-endian, as every
// machine that Lariat knows.

#include "lariat/Compiler/Packing.h"

#include "Packing/Panels.h"
#include "lariat/Compiler/Weights.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

using namespace mlir;
using namespace lariat;
using kernel::kLineColumns;

static_assert(std::endian::native == std::endian::little, "weights.bin is little-endian");

template <typename T>
static void writeRaw(llvm::raw_ostream &stream, ArrayRef<T> values) {
  stream.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

bool lariat::writePanels(llvm::raw_ostream &sink, const RowReader &reader, kernel::PanelFormatAttrInterface format,
                         int64_t columns) {
  using Packer = void (*)(const RowReader &, int64_t, llvm::raw_ostream &);
  auto pack = llvm::TypeSwitch<Attribute, Packer>(format)
                  .Case([](kernel::F32PanelsAttr) { return packing::packF32; })
                  .Case([](kernel::BF16PanelsAttr) { return packing::packBF16; })
                  .Case([](kernel::F16PanelsAttr) { return packing::packF16; })
                  .Default(Packer());
  if (pack)
    pack(reader, columns, sink);
  return pack != nullptr;
}

void lariat::writeVectors(llvm::raw_ostream &sink, const RowReader &reader) {
  constexpr int64_t kPieceSize = 1 << 14;
  std::vector<float> piece(std::min(reader.width, kPieceSize));
  for (int64_t row = 0; row < reader.numRows; ++row) {
    for (int64_t first = 0; first < reader.width; first += kPieceSize) {
      MutableArrayRef<float> part = MutableArrayRef(piece).take_front(std::min(kPieceSize, reader.width - first));
      reader.read(row, first, part);
      writeRaw(sink, ArrayRef<float>(part));
    }
    sink.write_zeros((kernel::roundUp(reader.width, kLineColumns) - reader.width) * sizeof(float));
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
  stream.write_zeros((kernel::roundUp(count, kLineColumns) - count) * bytes);
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

namespace {

/// The weights behind one op, whose rows lie one behind the other within each depth.
class PackedValues {
public:
  static llvm::Expected<PackedValues> open(kernel::PackedOp op, const PackingSource &source);

  int64_t getNumDepths() const { return numDepths; }
  /// Row `row` of a depth, where rows have `width` values.
  void readRow(int64_t depth, int64_t row, int64_t width, int64_t first, MutableArrayRef<float> values);
  /// Fails if a value that was read is beyond the range of its weight's format.
  llvm::Error verifyRange() const;
  /// Values of a depth as one vector.
  void readAll(int64_t depth, int64_t first, MutableArrayRef<float> values);

private:
  std::vector<WeightReader> readers;
  int64_t numDepths = 1;
};

/// Writes one op after the other.
class Packer {
public:
  Packer(const PackingSource &source, HashedFile &file, Progress &progress)
      : source(source), file(file), progress(progress) {}

  llvm::Error write(kernel::PackedOp op);
  /// The frequencies of a table, in f64.
  llvm::Error write(kernel::RopeTableOp op);

private:
  llvm::Error writeDepth(kernel::PackedOp op, PackedValues &values, int64_t depth);

  PackingSource source;
  HashedFile &file;
  Progress &progress;
};

} // namespace

llvm::Expected<PackedValues> PackedValues::open(kernel::PackedOp op, const PackingSource &source) {
  PackedValues values;
  values.numDepths = op.getDepths().value_or(1);
  int64_t total = 0, expected = values.numDepths;
  for (int64_t size : op.getShape())
    expected *= size;
  for (StringAttr name : op.getSources().getAsRange<StringAttr>()) {
    auto weight = ModuleOp(source.model).lookupSymbol<WeightOp>(name);
    if (!weight)
      return makeError("packed data @" + op.getSymName() + " comes from the weight @" + name.getValue() +
                       ", which the module does not declare");
    llvm::Expected<WeightReader> reader = WeightReader::open(weight, source.checkpoint);
    if (!reader)
      return reader.takeError();
    total += reader->getNumElements();
    values.readers.push_back(std::move(*reader));
  }
  if (total != expected)
    return makeError("packed data @" + op.getSymName() + " has " + Twine(expected) + " values, but its weights have " +
                     Twine(total));
  return values;
}

void PackedValues::readRow(int64_t depth, int64_t row, int64_t width, int64_t first, MutableArrayRef<float> values) {
  for (WeightReader &reader : readers) {
    int64_t perDepth = reader.getNumElements() / numDepths, numRows = perDepth / width;
    if (row < numRows)
      return reader.read(depth * perDepth + row * width + first, values);
    row -= numRows;
  }
}

void PackedValues::readAll(int64_t depth, int64_t first, MutableArrayRef<float> values) {
  for (WeightReader &reader : readers) {
    int64_t perDepth = reader.getNumElements() / numDepths;
    int64_t count = std::clamp<int64_t>(perDepth - first, 0, values.size());
    if (count > 0)
      reader.read(depth * perDepth + first, values.take_front(count));
    values = values.drop_front(count);
    first = std::max<int64_t>(first - perDepth, 0);
  }
}

llvm::Error PackedValues::verifyRange() const {
  for (const WeightReader &reader : readers)
    if (llvm::Error error = reader.verifyRange())
      return error;
  return llvm::Error::success();
}

llvm::Error Packer::writeDepth(kernel::PackedOp op, PackedValues &values, int64_t depth) {
  ArrayRef<int64_t> shape = op.getShape();
  if (op.getKind() == kernel::PackKind::Vector) {
    auto read = [&](int64_t, int64_t first, MutableArrayRef<float> part) { values.readAll(depth, first, part); };
    writeVectors(file, {/*numRows=*/1, shape.back(), read});
    return llvm::Error::success();
  }
  auto read = [&](int64_t row, int64_t first, MutableArrayRef<float> part) {
    if (first == 0 && row % kLineColumns == 0)
      progress.reach(file.tell());
    if (!file.hasFailed())
      values.readRow(depth, row, shape.back(), first, part);
  };
  RowReader reader{shape.front(), shape.back(), read};
  if (op.getKind() == kernel::PackKind::Vectors)
    writeVectors(file, reader);
  else if (!writePanels(file, reader, op.getPanelFormat(), op.getPanelColumns()))
    return makeError("packed data @" + op.getSymName() + " is of a format that nothing packs");
  return llvm::Error::success();
}

llvm::Error Packer::write(kernel::PackedOp op) {
  if (std::optional<ElementsAttr> value = op.getValue()) {
    auto dense = dyn_cast<DenseElementsAttr>(*value);
    if (!dense)
      return makeError("packed data @" + op.getSymName() + " has a value that is no dense list");
    writeInline(file, dense);
    return llvm::Error::success();
  }
  llvm::Expected<PackedValues> values = PackedValues::open(op, source);
  if (!values)
    return values.takeError();
  for (int64_t depth = 0; depth < values->getNumDepths() && !file.hasFailed(); ++depth)
    if (llvm::Error error = writeDepth(op, *values, depth))
      return error;
  return values->verifyRange();
}

llvm::Error Packer::write(kernel::RopeTableOp op) {
  if (!op.getSource()) {
    writeRaw(file, op.getFrequencies());
    return llvm::Error::success();
  }
  auto weight = source.model.lookupSymbol<WeightOp>(*op.getSource());
  if (!weight)
    return makeError("rotary table @" + op.getSymName() + " comes from the weight @" + *op.getSource() +
                     ", which the module does not declare");
  llvm::Expected<WeightReader> reader = WeightReader::open(weight, source.checkpoint);
  if (!reader)
    return reader.takeError();
  std::array<float, 256> piece;
  for (int64_t first = 0, size = reader->getNumElements(); first < size; first += piece.size()) {
    MutableArrayRef<float> values = MutableArrayRef(piece).take_front(size - first);
    reader->read(first, values);
    if (!llvm::all_of(values, [](float value) { return std::isfinite(value); }))
      return makeError("weight @" + weight.getSymName() + " holds a rotary frequency that is not finite");
    writeRaw(file, ArrayRef(std::vector<double>(values.begin(), values.end())));
  }
  return llvm::Error::success();
}

static llvm::Error fillUpTo(llvm::raw_ostream &stream, int64_t offset) {
  auto place = static_cast<int64_t>(stream.tell());
  if (offset < place)
    return makeError("packed data at " + Twine(offset) + " overlaps with what ends at " + Twine(place));
  for (int64_t count; place < offset; place += count) { // write_zeros counts in 32 bits
    count = std::min<int64_t>(offset - place, 1 << 20);
    stream.write_zeros(count);
  }
  return llvm::Error::success();
}

/// What lies in the file, in the order of places.
static SmallVector<kernel::StoredDataOpInterface> listStored(ModuleOp kernels) {
  auto stored = llvm::to_vector(kernels.getOps<kernel::StoredDataOpInterface>());
  llvm::sort(stored, [](auto a, auto b) { return *a.getPlace() < *b.getPlace(); });
  return stored;
}

llvm::Expected<FileSum> lariat::writePackedWeights(ModuleOp kernels, const PackingSource &source, StringRef path,
                                                   Progress &progress) {
  int64_t size = kernels->getAttrOfType<IntegerAttr>(kernel::kWeightBytesAttr).getInt();
  llvm::Expected<std::unique_ptr<HashedFile>> created = HashedFile::create(path, size);
  if (!created)
    return created.takeError();
  HashedFile &file = **created;
  progress.begin("weights", size);
  Packer packer(source, file, progress);
  for (kernel::StoredDataOpInterface data : listStored(kernels)) {
    if (llvm::Error error = fillUpTo(file, *data.getPlace()))
      return std::move(error);
    auto packed = dyn_cast<kernel::PackedOp>(data.getOperation());
    if (llvm::Error error = packed ? packer.write(packed) : packer.write(cast<kernel::RopeTableOp>(data)))
      return std::move(error);
    progress.reach(file.tell());
    if (file.hasFailed())
      break;
  }
  if (!file.hasFailed())
    if (llvm::Error error = fillUpTo(file, size))
      return std::move(error);
  return file.finish();
}
