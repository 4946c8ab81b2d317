// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading and writing safetensors: eight bytes with the length of a JSON header, the header, the data. Files are
// mapped, never copied, and refused unless every byte is accounted for.

#ifndef LARIAT_SUPPORT_SAFETENSORS_H
#define LARIAT_SUPPORT_SAFETENSORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lariat {

/// One tensor of a file; the file must outlive it.
struct StoredTensor {
  std::string name;
  std::string type; ///< as in the file: F32, BF16, ...
  llvm::SmallVector<int64_t> shape;
  llvm::ArrayRef<uint8_t> bytes;
  std::string file;
  bool isMapped = false; ///< `bytes` are pages of the file, as those of all but tiny files are

  int64_t getNumElements() const;
  /// Gives up the memory of what was read; it may be read again.
  void release() const;
};

/// Bytes of one element of a safetensors type, 0 for a word that is none.
unsigned getStoredTypeSize(llvm::StringRef type);

/// `[2, 3]`
std::string formatShape(llvm::ArrayRef<int64_t> shape);

/// Whether `readFloats` takes tensors of this type.
bool isReadableAsFloats(llvm::StringRef type);

/// The values as f32: F64, F32, F16, BF16, I64 and I32. Errors name file and tensor.
llvm::Expected<std::vector<float>> readFloats(const StoredTensor &tensor);

/// The values from element `first` on, of a tensor whose type `isReadableAsFloats`.
void readFloats(const StoredTensor &tensor, int64_t first, llvm::MutableArrayRef<float> values);

/// One safetensors file, fully checked when opened.
class SafetensorsFile {
public:
  static llvm::Expected<std::unique_ptr<SafetensorsFile>> open(llvm::StringRef path);

  /// Null if there is none of this name.
  const StoredTensor *find(llvm::StringRef name) const;
  llvm::ArrayRef<StoredTensor> getTensors() const { return tensors; }
  llvm::StringRef getPath() const { return path; }

private:
  llvm::Error parse();
  llvm::Error parseTensor(llvm::StringRef name, const llvm::json::Value &value, llvm::StringRef data);
  llvm::Error checkCoverage(uint64_t dataSize) const;

  std::string path;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  std::vector<StoredTensor> tensors; ///< in the order of their data
  llvm::StringMap<size_t> indices;
};

/// A checkpoint: one file, or a directory with model.safetensors or model.safetensors.index.json and its shards.
class Checkpoint {
public:
  static llvm::Expected<Checkpoint> open(llvm::StringRef path);

  /// Null if there is none of this name.
  const StoredTensor *find(llvm::StringRef name) const;
  llvm::StringRef getPath() const { return path; }

private:
  llvm::Error openIndex(llvm::StringRef indexPath);

  std::string path;
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  llvm::StringMap<const StoredTensor *> tensors;
};

/// Collects tensors of different names and writes them at once; a reader sees the old file or the whole new one.
class SafetensorsWriter {
public:
  /// Writes the bytes of a tensor, as many as its shape and type say.
  using Content = std::function<llvm::Error(llvm::raw_ostream &)>;

  /// A tensor whose bytes are made when they are written. `type` is one that `getStoredTypeSize` knows.
  void add(llvm::StringRef name, llvm::StringRef type, llvm::ArrayRef<int64_t> shape, Content content);
  void addFloats(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, std::vector<float> values);
  void addInts(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, std::vector<int32_t> values);

  llvm::Error write(llvm::StringRef path) const;
  /// The same bytes to a stream, which keeps its own errors.
  llvm::Error write(llvm::raw_ostream &stream) const;
  /// Bytes of the file.
  uint64_t getNumBytes() const;

private:
  struct Entry {
    std::string name, type;
    llvm::SmallVector<int64_t> shape;
    Content content;

    uint64_t getNumBytes() const;
  };
  std::string makeHeader() const;

  std::vector<Entry> entries;
};

/// The nearest bf16 value, ties to even, as f32.
inline float roundToBFloat(float value) {
  auto bits = llvm::bit_cast<uint32_t>(value);
  uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  uint32_t quiet = bits | 0x00400000; // a NaN stays one
  return llvm::bit_cast<float>(((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded) & 0xffff0000);
}

/// The bits of the nearest bf16 value.
inline uint16_t toBFloat(float value) {
  return static_cast<uint16_t>(llvm::bit_cast<uint32_t>(roundToBFloat(value)) >> 16);
}

/// The bits of the nearest f16 value, ties to even: infinity from 65520 on. A NaN stays one.
uint16_t toF16(float value);

/// The f32 of the same value.
float fromF16(uint16_t bits);

/// Values as a type of such files, F32, BF16 or F16: to nearest, ties to even.
void writeFloats(llvm::StringRef type, llvm::ArrayRef<float> values, llvm::raw_ostream &stream);

} // namespace lariat

#endif // LARIAT_SUPPORT_SAFETENSORS_H
