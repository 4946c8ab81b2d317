// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes safetensors: a header padded to eight bytes, tensors in the order they were added, through a temporary file
// beside the target that takes its name at the end.

#include "lariat/Support/Error.h"
#include "lariat/Support/Safetensors.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <bit>

using namespace llvm;
using namespace lariat;

uint64_t SafetensorsWriter::Entry::getNumBytes() const {
  uint64_t size = getStoredTypeSize(type);
  for (int64_t dimension : shape)
    size *= dimension;
  return size;
}

void SafetensorsWriter::add(StringRef name, StringRef type, ArrayRef<int64_t> shape, Content content) {
  entries.push_back({name.str(), type.str(), SmallVector<int64_t>(shape), std::move(content)});
}

template <typename T>
static SafetensorsWriter::Content storeAll(std::vector<T> values) {
  static_assert(llvm::endianness::native == llvm::endianness::little, "safetensors files are little-endian");
  return [values = std::move(values)](raw_ostream &stream) {
    stream.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
    return Error::success();
  };
}

template <typename T, typename Convert>
static void writeAll(ArrayRef<float> values, raw_ostream &stream, Convert convert) {
  std::vector<T> converted(values.size());
  llvm::transform(values, converted.begin(), convert);
  stream.write(reinterpret_cast<const char *>(converted.data()), converted.size() * sizeof(T));
}

void lariat::writeFloats(StringRef type, ArrayRef<float> values, raw_ostream &stream) {
  if (type == "F32")
    stream.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
  else if (type == "BF16")
    writeAll<uint16_t>(values, stream, toBFloat);
  else if (type == "F16")
    writeAll<uint16_t>(values, stream, toF16);
  else
    llvm_unreachable("a type that floats are not written as");
}

void SafetensorsWriter::addFloats(StringRef name, ArrayRef<int64_t> shape, std::vector<float> values) {
  add(name, "F32", shape, storeAll(std::move(values)));
}

void SafetensorsWriter::addInts(StringRef name, ArrayRef<int64_t> shape, std::vector<int32_t> values) {
  add(name, "I32", shape, storeAll(std::move(values)));
}

std::string SafetensorsWriter::makeHeader() const {
  json::Object header;
  uint64_t offset = 0;
  for (const Entry &entry : entries) {
    uint64_t end = offset + entry.getNumBytes();
    header[entry.name] = json::Object{
        {"dtype", entry.type}, {"shape", json::Array(entry.shape)}, {"data_offsets", json::Array{offset, end}}};
    offset = end;
  }
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(header));
  text.append((8 - text.size() % 8) % 8, ' ');
  char length[8];
  support::endian::write64le(length, text.size());
  return std::string(length, 8) + text;
}

uint64_t SafetensorsWriter::getNumBytes() const {
  uint64_t size = makeHeader().size();
  for (const Entry &entry : entries)
    size += entry.getNumBytes();
  return size;
}

Error SafetensorsWriter::write(raw_ostream &stream) const {
  stream << makeHeader();
  for (const Entry &entry : entries)
    if (Error error = entry.content(stream))
      return error;
  return Error::success();
}

Error SafetensorsWriter::write(StringRef path) const {
  Expected<sys::fs::TempFile> temporary = sys::fs::TempFile::create(path + ".tmp-%%%%%%");
  if (!temporary)
    return makeError("cannot write " + path + ": " + toString(temporary.takeError()));
  raw_fd_ostream stream(temporary->FD, /*shouldClose=*/false);
  Error failure = write(stream);
  stream.flush();
  std::error_code code = stream.error();
  stream.clear_error();
  if (code && !failure)
    failure = makeError("cannot write " + path + ": " + code.message());
  if (failure) {
    consumeError(temporary->discard());
    return failure;
  }
  if (Error error = temporary->keep(path))
    return makeError("cannot write " + path + ": " + toString(std::move(error)));
  return Error::success();
}
