// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading and writing safetensors: eight bytes with the length of a JSON header, the header, the data. Files are mapped,
// never copied, and refused unless every byte is accounted for.

#ifndef LARIAT_SUPPORT_SAFETENSORS_H
#define LARIAT_SUPPORT_SAFETENSORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

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

  int64_t getNumElements() const;
};

/// Bytes of one element of a safetensors type, 0 for a word that is none.
unsigned getStoredTypeSize(llvm::StringRef type);

/// `[2, 3]`
std::string formatShape(llvm::ArrayRef<int64_t> shape);

/// Whether `readFloats` takes tensors of this type.
bool isReadableAsFloats(llvm::StringRef type);

/// The values as f32: F64, F32, F16, BF16, I64 and I32. Errors name file and tensor.
llvm::Expected<std::vector<float>> readFloats(const StoredTensor &tensor);

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
  void addFloats(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, std::vector<float> values);
  void addInts(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, std::vector<int32_t> values);
  /// The upper halves of f32 values that are bf16 already.
  void addBFloats(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values);

  llvm::Error write(llvm::StringRef path) const;

private:
  struct Entry {
    std::string name, type;
    llvm::SmallVector<int64_t> shape;
    std::vector<uint8_t> bytes;
  };
  void add(llvm::StringRef name, llvm::StringRef type, llvm::ArrayRef<int64_t> shape, std::vector<uint8_t> bytes);

  std::vector<Entry> entries;
};

/// The nearest bf16 value, ties to even, as f32.
float roundToBFloat(float value);

} // namespace lariat

#endif // LARIAT_SUPPORT_SAFETENSORS_H
