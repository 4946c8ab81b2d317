// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From weights to the bytes of weights.bin, as dialects/Kernel describes them.

#ifndef LARIAT_COMPILER_PACKING_H
#define LARIAT_COMPILER_PACKING_H

#include "lariat/Compiler/Progress.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Support/Files.h"
#include "lariat/Support/Safetensors.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace lariat {

/// Gives the values of a matrix of `numRows` rows of `width`, from column `first` of row `row` on, as f32 whatever they
/// are stored as. Rows are asked for in groups, from the first to the last column, in pieces: nobody holds the matrix.
struct RowReader {
  int64_t numRows, width;
  llvm::function_ref<void(int64_t row, int64_t first, llvm::MutableArrayRef<float> values)> read;
};

/// Rows as panels of a format, by its packer in lib/Compiler/Packing; false where there is none. `columns` rows are a
/// panel, a multiple of 16.
[[nodiscard]] bool writePanels(llvm::raw_ostream &sink, const RowReader &reader,
                               kernel::PanelFormatAttrInterface format, int64_t columns = kernel::kPanelColumns);

/// Rows as vectors, each filled up to a multiple of 16 values with zeros.
void writeVectors(llvm::raw_ostream &sink, const RowReader &reader);

/// Elements of an inline value as a buffer has them, filled up to a multiple of 16.
void writeInline(llvm::raw_ostream &stream, mlir::DenseElementsAttr value);

/// Where the values of packed weights come from.
struct PackingSource {
  mlir::ModuleOp model;         ///< declares the weights
  const Checkpoint *checkpoint; ///< null where all are inline
};

/// Writes the file that the planned `kernel.packed` and `kernel.rope_table` ops of `kernels` describe. Memory is
/// bounded, whatever the sizes: values go from the mapped checkpoint to the file in pieces.
llvm::Expected<FileSum> writePackedWeights(mlir::ModuleOp kernels, const PackingSource &source, llvm::StringRef path,
                                           Progress &progress);

} // namespace lariat

#endif // LARIAT_COMPILER_PACKING_H
