// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a checkpoint to the values of a lariat.weight.

#ifndef LARIAT_COMPILER_WEIGHTS_H
#define LARIAT_COMPILER_WEIGHTS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "lariat/Support/Safetensors.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>
#include <vector>

namespace lariat {

/// Shape of a weight's data: the number of depths first, where it is depth-indexed.
llvm::SmallVector<int64_t> getDataShape(WeightOp weight);

/// Reads the row-major values of a weight, in its data shape and rounded to its format (`stored`), piece by piece from
/// the mapped checkpoint. Pages that were read are given up now and then, so that a weight of any size takes some 64
/// MiB.
class WeightReader {
public:
  /// The part of a weight that one key of its source gives: a range of rows of a tensor.
  struct Piece {
    const StoredTensor *tensor;
    int64_t firstRow, numRows; ///< range of the leading dimension
    int64_t rowSize;           ///< elements per row
  };

  /// `checkpoint` may be null if the weight is inline. Errors name the tensor, what was found and what is expected.
  static llvm::Expected<WeightReader> open(WeightOp weight, const Checkpoint *checkpoint);
  WeightReader(WeightReader &&) = default;
  ~WeightReader() { release(); }

  int64_t getNumElements() const { return numElements; }
  /// The values from element `first` on.
  void read(int64_t first, llvm::MutableArrayRef<float> values);

  /// Fails if a value that was read so far is beyond the range of the weight's format.
  llvm::Error verifyRange() const;

private:
  WeightReader() = default;
  void readStored(int64_t first, llvm::MutableArrayRef<float> values) const;
  void readInline(int64_t first, llvm::MutableArrayRef<float> values) const;
  void release();

  llvm::SmallVector<Piece, 1> pieces; ///< in the order of the weight's values
  mlir::DenseElementsAttr inlined;    ///< the values of an inline weight, which has no pieces
  int64_t numElements = 0;
  int64_t halvedHeads = 0; ///< heads whose rotary pairs become halves; 0: none
  std::optional<float> scale;
  llvm::StringRef name;
  StoredFormat format = StoredFormat::F32;
  std::optional<float> beyond; ///< the size of a value that the format cannot hold
  int64_t bytesRead = 0;       ///< bytes read since pages were last given up
};

/// Rounds values to a format: to nearest, ties to even; a NaN stays one. Gives the largest size of finite values that
/// become infinities, if there is one.
std::optional<float> roundTo(StoredFormat format, llvm::MutableArrayRef<float> values);

/// The sentence about such a size in `what`.
llvm::Error makeRangeError(const llvm::Twine &what, float size, StoredFormat format);

/// All values of a weight, as WeightReader reads them.
llvm::Expected<std::vector<float>> loadWeight(WeightOp weight, const Checkpoint *checkpoint);

/// Everything `loadWeight` checks, without reading a value.
llvm::Error verifyWeight(WeightOp weight, const Checkpoint *checkpoint);

/// Swaps the last two dimensions.
std::vector<float> transposeLast(llvm::ArrayRef<float> values, llvm::ArrayRef<int64_t> shape);

} // namespace lariat

#endif // LARIAT_COMPILER_WEIGHTS_H
