// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From weights to the bytes of weights.bin, as dialects/Kernel describes them.

#ifndef LARIAT_COMPILER_PACKING_H
#define LARIAT_COMPILER_PACKING_H

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Support/Safetensors.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace lariat {

/// Rows of `width` values each as panels of 16 rows: [rows / 16][width][16] in f32, or [rows / 16][(width + 1) / 2][16][2]
/// in bf16. What is missing in the last panel and pair is zero.
void writePanels(llvm::raw_ostream &stream, llvm::ArrayRef<const float *> rows, int64_t width, bool isHalf);

/// A vector, filled up to a multiple of 16 values with zeros.
void writeVector(llvm::raw_ostream &stream, llvm::ArrayRef<float> values);

/// Cosine and sine of position * frequency for each frequency, rounded to `angles`; lines start `lineBytes` apart.
void writeRopeTable(llvm::raw_ostream &stream, llvm::ArrayRef<double> frequencies, int64_t positions, mlir::Type angles,
                    int64_t lineBytes);

/// Elements of an inline value as a buffer has them, filled up to a multiple of 16.
void writeInline(llvm::raw_ostream &stream, mlir::DenseElementsAttr value);

/// Writes the file that the planned `kernel.packed` and `kernel.rope_table` ops of `kernels` describe. Their sources are
/// weights of `model`. With `roundWeights` every stored value is rounded to bf16 first, as in an artefact with bf16 weights.
/// One op at a time is held in memory.
llvm::Error writePackedWeights(mlir::ModuleOp kernels, mlir::ModuleOp model, const Checkpoint *checkpoint,
                               bool roundWeights, llvm::StringRef path);

} // namespace lariat

#endif // LARIAT_COMPILER_PACKING_H
