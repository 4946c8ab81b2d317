// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a checkpoint to the values of a lariat.weight.

#ifndef LARIAT_COMPILER_WEIGHTS_H
#define LARIAT_COMPILER_WEIGHTS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "lariat/Support/Safetensors.h"
#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace lariat {

/// Shape of a weight's data: the number of depths first, where it is depth-indexed.
llvm::SmallVector<int64_t> getDataShape(WeightOp weight);

/// Row-major values of a weight in its data shape. `checkpoint` may be null if the weight is inline. Errors name the
/// tensor, what was found and what is expected. With `round` stored values are rounded to bf16 before the source's scale.
llvm::Expected<std::vector<float>> loadWeight(WeightOp weight, const Checkpoint *checkpoint, bool round = false);

/// Everything `loadWeight` checks, without reading a value.
llvm::Error verifyWeight(WeightOp weight, const Checkpoint *checkpoint);

/// Swaps the last two dimensions.
std::vector<float> transposeLast(llvm::ArrayRef<float> values, llvm::ArrayRef<int64_t> shape);

} // namespace lariat

#endif // LARIAT_COMPILER_WEIGHTS_H
