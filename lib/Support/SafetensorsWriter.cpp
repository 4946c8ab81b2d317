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

template <typename T>
static std::vector<uint8_t> storeAll(ArrayRef<T> values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  for (size_t index = 0; index < values.size(); ++index)
    support::endian::write<T, llvm::endianness::little>(bytes.data() + index * sizeof(T), values[index]);
  return bytes;
}

void SafetensorsWriter::add(StringRef name, StringRef type, ArrayRef<int64_t> shape, std::vector<uint8_t> bytes) {
  entries.push_back({name.str(), type.str(), SmallVector<int64_t>(shape), std::move(bytes)});
}

void SafetensorsWriter::addFloats(StringRef name, ArrayRef<int64_t> shape, std::vector<float> values) {
  std::vector<uint32_t> bits(values.size());
  for (size_t index = 0; index < values.size(); ++index)
    bits[index] = std::bit_cast<uint32_t>(values[index]);
  add(name, "F32", shape, storeAll(ArrayRef(bits)));
}

void SafetensorsWriter::addInts(StringRef name, ArrayRef<int64_t> shape, std::vector<int32_t> values) {
  add(name, "I32", shape, storeAll(ArrayRef(values)));
}

void SafetensorsWriter::addBFloats(StringRef name, ArrayRef<int64_t> shape, ArrayRef<float> values) {
  std::vector<uint16_t> bits(values.size());
  for (size_t index = 0; index < values.size(); ++index)
    bits[index] = std::bit_cast<uint32_t>(values[index]) >> 16;
  add(name, "BF16", shape, storeAll(ArrayRef(bits)));
}

Error SafetensorsWriter::write(StringRef path) const {
  json::Object header;
  int64_t offset = 0;
  for (const Entry &entry : entries) {
    int64_t end = offset + static_cast<int64_t>(entry.bytes.size());
    header[entry.name] = json::Object{
        {"dtype", entry.type}, {"shape", json::Array(entry.shape)}, {"data_offsets", json::Array{offset, end}}};
    offset = end;
  }
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(header));
  text.append((8 - text.size() % 8) % 8, ' ');

  Expected<sys::fs::TempFile> temporary = sys::fs::TempFile::create(path + ".tmp-%%%%%%");
  if (!temporary)
    return makeError("cannot write " + path + ": " + toString(temporary.takeError()));
  raw_fd_ostream stream(temporary->FD, /*shouldClose=*/false);
  char length[8];
  support::endian::write64le(length, text.size());
  stream << StringRef(length, 8) << text;
  for (const Entry &entry : entries)
    stream.write(reinterpret_cast<const char *>(entry.bytes.data()), entry.bytes.size());
  stream.flush();
  if (std::error_code code = stream.error()) {
    stream.clear_error();
    consumeError(temporary->discard());
    return makeError("cannot write " + path + ": " + code.message());
  }
  if (Error error = temporary->keep(path))
    return makeError("cannot write " + path + ": " + toString(std::move(error)));
  return Error::success();
}
