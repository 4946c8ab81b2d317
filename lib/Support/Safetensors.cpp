// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads safetensors. A header may not be longer than the file, each tensor's bytes are its shape times its type, and
// the tensors lie one behind the other from the first data byte to the last: no hole, no overlap, no rest. What passes
// here may be read without a further check.

#include "lariat/Support/Safetensors.h"

#include "lariat/Support/Error.h"
#include "lariat/Support/Files.h"
#include "lariat/Support/Json.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <bit>
#include <cstring>
#include <set>

using namespace llvm;
using namespace lariat;

/// Longest header accepted, as in the reference implementation.
static constexpr uint64_t kMaxHeaderBytes = 100'000'000;

int64_t StoredTensor::getNumElements() const {
  if (llvm::is_contained(shape, 0)) // other sizes may have any product
    return 0;
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

unsigned lariat::getStoredTypeSize(StringRef type) {
  return StringSwitch<unsigned>(type)
      .Cases({"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"}, 1)
      .Cases({"U16", "I16", "F16", "BF16"}, 2)
      .Cases({"U32", "I32", "F32"}, 4)
      .Cases({"U64", "I64", "F64"}, 8)
      .Default(0);
}

std::string lariat::formatShape(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [index, size] : enumerate(shape))
    text += (index ? ", " : "") + std::to_string(size);
  return text + "]";
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Exact, as every f16 value is one of f32: the exponent is moved by a multiplication, which serves subnormals too.
float lariat::fromF16(uint16_t half) {
  float value = std::bit_cast<float>(uint32_t(half & 0x7fff) << 13) * 0x1p112f;
  bool isFinite = (half & 0x7c00) != 0x7c00;
  uint32_t bits = isFinite ? std::bit_cast<uint32_t>(value) : 0x7f800000 | (uint32_t(half & 0x3ff) << 13);
  return std::bit_cast<float>(bits | uint32_t(half & 0x8000) << 16);
}

uint16_t lariat::toF16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t size = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
  if (size > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00 | (size >> 13 & 0x1ff));
  if (size >= std::bit_cast<uint32_t>(65520.0f))
    return static_cast<uint16_t>(sign | 0x7c00);
  if (size < std::bit_cast<uint32_t>(0x1p-14f)) // subnormal: from 0.5 to 1 f32 has the same step, 2^-24
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) & 0x7fffff));
  uint32_t rounded = size - (112U << 23) + 0xfff + (size >> 13 & 1);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

template <typename T, typename Convert>
static void convertAll(const uint8_t *bytes, MutableArrayRef<float> values, Convert convert) {
  for (size_t index = 0; index < values.size(); ++index)
    values[index] = convert(support::endian::read<T, llvm::endianness::little>(bytes + index * sizeof(T)));
}

bool lariat::isReadableAsFloats(StringRef type) {
  return StringSwitch<bool>(type).Cases({"F32", "BF16", "F16", "F64", "I64", "I32"}, true).Default(false);
}

void lariat::readFloats(const StoredTensor &tensor, int64_t first, MutableArrayRef<float> values) {
  StringRef type = tensor.type;
  const uint8_t *bytes = tensor.bytes.data() + first * getStoredTypeSize(type);
  if (type == "F32")
    convertAll<uint32_t>(bytes, values, [](uint32_t bits) { return std::bit_cast<float>(bits); });
  else if (type == "BF16")
    convertAll<uint16_t>(bytes, values, [](uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); });
  else if (type == "F16")
    convertAll<uint16_t>(bytes, values, fromF16);
  else if (type == "F64")
    convertAll<uint64_t>(bytes, values, [](uint64_t bits) { return float(std::bit_cast<double>(bits)); });
  else if (type == "I64")
    convertAll<int64_t>(bytes, values, [](int64_t value) { return float(value); });
  else if (type == "I32")
    convertAll<int32_t>(bytes, values, [](int32_t value) { return float(value); });
  else
    llvm_unreachable("a type that is not readable as floats");
}

Expected<std::vector<float>> lariat::readFloats(const StoredTensor &tensor) {
  if (!isReadableAsFloats(tensor.type))
    return makeError(tensor.file + ": tensor '" + tensor.name + "' has type " + tensor.type +
                     ", expected F32, BF16, F16, F64, I64 or I32");
  std::vector<float> values(tensor.getNumElements());
  readFloats(tensor, 0, values);
  return values;
}

void StoredTensor::release() const {
  if (isMapped)
    releasePages(bytes);
}

//===----------------------------------------------------------------------===//
// One file
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(StringRef path) {
  if (sys::fs::is_directory(path))
    return makeError(path + " is a directory, expected a safetensors file");
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("cannot read " + path + ": " + buffer.getError().message());
  auto file = std::make_unique<SafetensorsFile>();
  file->path = path.str();
  file->buffer = std::move(*buffer);
  if (Error error = file->parse())
    return std::move(error);
  return file;
}

const StoredTensor *SafetensorsFile::find(StringRef name) const {
  auto it = indices.find(name);
  return it == indices.end() ? nullptr : &tensors[it->second];
}

Error SafetensorsFile::parse() {
  StringRef content = buffer->getBuffer();
  if (isLfsPointer(content))
    return makeLfsError(path);
  if (content.size() < 8)
    return makeError(path + " has " + Twine(content.size()) + " bytes, expected at least 8 for the header's length");
  uint64_t length = support::endian::read64le(content.data());
  if (length > kMaxHeaderBytes)
    return makeError(path + " announces a header of " + Twine(length) + " bytes, expected at most " +
                     Twine(kMaxHeaderBytes));
  if (length > content.size() - 8)
    return makeError(path + " announces a header of " + Twine(length) + " bytes, but only " +
                     Twine(content.size() - 8) + " follow");
  StringRef header = content.substr(8, length), data = content.substr(8 + length);
  if (!header.starts_with("{"))
    return makeError(path + " has a header that does not start with '{'");
  Expected<json::Value> value = parseJson(header);
  if (!value)
    return makeError(path + " has a header that is not valid JSON: " + toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return makeError(path + " has a header that is not a JSON object");
  for (const auto &[key, entry] : *object) {
    StringRef name = key;
    if (name == "__metadata__") {
      if (!entry.getAsObject() && entry.kind() != json::Value::Null)
        return makeError(path + ": '__metadata__' is neither a JSON object nor null");
      continue;
    }
    if (Error error = parseTensor(name, entry, data))
      return error;
  }
  // Sorted by offset, and empty tensors at one offset by name, so that the order is the file's and always the same.
  llvm::sort(tensors, [](const StoredTensor &a, const StoredTensor &b) {
    return std::tuple(a.bytes.data(), a.bytes.size(), StringRef(a.name)) <
           std::tuple(b.bytes.data(), b.bytes.size(), StringRef(b.name));
  });
  for (auto [index, tensor] : enumerate(tensors))
    indices[tensor.name] = index;
  return checkCoverage(data.size());
}

/// A list of non-negative integers, or nothing.
static std::optional<SmallVector<int64_t>> getSizes(const json::Value *value) {
  const json::Array *array = value ? value->getAsArray() : nullptr;
  if (!array)
    return std::nullopt;
  SmallVector<int64_t> sizes;
  for (const json::Value &element : *array) {
    std::optional<int64_t> size = element.getAsInteger();
    if (!size || *size < 0)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

Error SafetensorsFile::parseTensor(StringRef name, const json::Value &value, StringRef data) {
  std::string where = path + ": tensor '" + name.str() + "'";
  const json::Object *object = value.getAsObject();
  if (!object)
    return makeError(where + " is not described by a JSON object");
  for (const auto &[key, entry] : *object)
    if (StringRef word = key; word != "dtype" && word != "shape" && word != "data_offsets")
      return makeError(where + " has the unknown key '" + word + "', expected dtype, shape and data_offsets");
  std::optional<StringRef> type = object->getString("dtype");
  if (!type)
    return makeError(where + " has no dtype");
  unsigned elementSize = getStoredTypeSize(*type);
  if (!elementSize)
    return makeError(where + " has the unknown dtype '" + *type + "'");
  std::optional<SmallVector<int64_t>> shape = getSizes(object->get("shape"));
  if (!shape)
    return makeError(where + " has a shape that is not a list of non-negative integers");
  std::optional<SmallVector<int64_t>> offsets = getSizes(object->get("data_offsets"));
  if (!offsets || offsets->size() != 2)
    return makeError(where + " has data_offsets that are not two non-negative integers");
  uint64_t begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end || end > data.size())
    return makeError(where + " has data_offsets [" + Twine(begin) + ", " + Twine(end) + "], but the file has " +
                     Twine(data.size()) + " data bytes");
  uint64_t size = elementSize;
  bool empty = llvm::is_contained(*shape, 0);
  for (int64_t dimension : *shape) {
    bool overflow = false;
    size = SaturatingMultiply<uint64_t>(size, empty ? 1 : dimension, &overflow);
    if (overflow)
      return makeError(where + " has shape " + formatShape(*shape) + ", whose size does not fit 64 bits");
  }
  if (empty)
    size = 0;
  if (size != end - begin)
    return makeError(where + " has shape " + formatShape(*shape) + " of " + *type + ", that is " + Twine(size) +
                     " bytes, but its data_offsets span " + Twine(end - begin));
  ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t *>(data.data()) + begin, size);
  bool isMapped = buffer->getBufferKind() == MemoryBuffer::MemoryBuffer_MMap;
  tensors.push_back({name.str(), type->str(), std::move(*shape), bytes, path, isMapped});
  return Error::success();
}

Error SafetensorsFile::checkCoverage(uint64_t dataSize) const {
  const auto *start = reinterpret_cast<const uint8_t *>(buffer->getBufferEnd()) - dataSize;
  uint64_t next = 0;
  for (const StoredTensor &tensor : tensors) {
    uint64_t begin = tensor.bytes.data() - start;
    if (begin < next)
      return makeError(path + ": tensor '" + tensor.name + "' starts at data byte " + Twine(begin) +
                       ", inside the tensor before it, which ends at " + Twine(next));
    if (begin > next)
      return makeError(path + ": data bytes " + Twine(next) + " to " + Twine(begin) + " before tensor '" + tensor.name +
                       "' belong to no tensor");
    next = begin + tensor.bytes.size();
  }
  if (next != dataSize)
    return makeError(path + " has " + Twine(dataSize - next) + " bytes behind its last tensor");
  return Error::success();
}

//===----------------------------------------------------------------------===//
// A checkpoint
//===----------------------------------------------------------------------===//

Expected<Checkpoint> Checkpoint::open(StringRef path) {
  Checkpoint checkpoint;
  checkpoint.path = path.str();
  SmallString<256> single(path), index(path);
  if (sys::fs::is_directory(path)) {
    sys::path::append(single, "model.safetensors");
    sys::path::append(index, "model.safetensors.index.json");
    if (!sys::fs::exists(single)) {
      if (!sys::fs::exists(index))
        return makeError(path + " has neither model.safetensors nor model.safetensors.index.json");
      if (Error error = checkpoint.openIndex(index))
        return std::move(error);
      return checkpoint;
    }
  }
  Expected<std::unique_ptr<SafetensorsFile>> file = SafetensorsFile::open(single);
  if (!file)
    return file.takeError();
  for (const StoredTensor &tensor : (*file)->getTensors())
    checkpoint.tensors[tensor.name] = &tensor;
  checkpoint.files.push_back(std::move(*file));
  return checkpoint;
}

Error Checkpoint::openIndex(StringRef indexPath) {
  Expected<json::Value> value = parseJsonFile(indexPath);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  const json::Object *map = object ? object->getObject("weight_map") : nullptr;
  if (!map)
    return makeError(indexPath + " has no object 'weight_map'");
  auto pathOf = [&](StringRef shard) {
    SmallString<256> shardPath(sys::path::parent_path(indexPath));
    sys::path::append(shardPath, shard);
    return shardPath;
  };
  std::set<std::string> missing;
  for (const auto &[key, entry] : *map) {
    std::optional<StringRef> shard = entry.getAsString();
    if (!shard || shard->empty() || shard->contains('/') || shard->contains('\\') || shard->starts_with("."))
      return makeError(indexPath + ": the shard of tensor '" + StringRef(key) + "' is not a file name");
    if (!sys::fs::exists(pathOf(*shard)))
      missing.insert(shard->str());
  }
  if (!missing.empty())
    return makeError(indexPath + " names shards that are missing: " + llvm::join(missing, ", "));
  StringMap<const SafetensorsFile *> opened;
  for (const auto &[key, entry] : *map) {
    StringRef name = key;
    std::optional<StringRef> shard = entry.getAsString();
    const SafetensorsFile *&file = opened[*shard];
    if (!file) {
      Expected<std::unique_ptr<SafetensorsFile>> next = SafetensorsFile::open(pathOf(*shard));
      if (!next)
        return next.takeError();
      file = files.emplace_back(std::move(*next)).get();
    }
    const StoredTensor *tensor = file->find(name);
    if (!tensor)
      return makeError(indexPath + " places tensor '" + name + "' in " + *shard + ", which has no such tensor");
    tensors[name] = tensor;
  }
  return Error::success();
}

const StoredTensor *Checkpoint::find(StringRef name) const { return tensors.lookup(name); }
