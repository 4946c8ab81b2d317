// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: writes the row region of a kernel from model-level ops, and collects the operands that it reads.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_REGIONWRITER_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_REGIONWRITER_H

#include "KernelFormer.h"

namespace lariat::forming {

/// Operands that the regions of one kernel share.
struct KernelOperands {
  llvm::SmallVector<mlir::Value> indices; ///< index lists
  mlir::Value rows;                       ///< the row set of the kernel, where its members say which
  mlir::Value tableRows;                  ///< the row set whose table is read, or null

  /// The number of an index list, which is added if it is new; -1 for none.
  int64_t getIndexNumber(mlir::Value lines);
};

/// One region, written op by op; operands become arguments as they are met: leading ones, inputs, vectors.
class RegionWriter {
public:
  RegionWriter(KernelFormer &former, KernelOperands &operands);

  /// Adds an f32 argument before the inputs.
  mlir::Value addLeading();
  void write(mlir::Operation *op);
  /// The value of a model-level value in the region.
  mlir::Value get(mlir::Value value);
  /// A column of a buffer that stands for no model-level value.
  mlir::Value getBufferColumn(mlir::Value buffer, mlir::Value lines = {});
  mlir::Value getVector(mlir::FlatSymbolRefAttr symbol, mlir::Type element);
  void map(mlir::Value value, mlir::Value written) { mapping.map(value, written); }
  mlir::Value constant(double value);
  mlir::OpBuilder &builder() { return inner; }
  /// Ends the region.
  void finish(mlir::ValueRange results);

  std::unique_ptr<mlir::Region> region;
  llvm::SmallVector<mlir::Value> inputs; ///< buffers or host scalars
  llvm::SmallVector<int64_t> gather;     ///< index list of each
  llvm::SmallVector<mlir::Attribute> vectors;

private:
  mlir::Value addInput(mlir::Value operand, mlir::Type element, mlir::Value lines);
  mlir::Value getSpread(SpreadOp op);
  mlir::Value getStatic(mlir::Value value);
  mlir::Value getTaken(mlir::Value value, mlir::Value from, mlir::Value at);
  /// The number that a tensor holds everywhere; zero for a tensor that nothing was written to.
  mlir::Value getFilled(mlir::Value value);
  mlir::Value getFact(kernel::FactKind kind, mlir::Value rows);
  void useTable(mlir::Value rows);
  /// Whether the kernel reads the depth of other rows, so that what depends on that of these comes from a buffer.
  bool isOfOtherDepth(mlir::Value rows) const;
  void writeNorm(NormOp op);
  void writeDot(LinearOp op);
  mlir::Value reduce(kernel::ReduceKind kind, mlir::Value value);

  KernelFormer &former;
  KernelOperands &operands;
  mlir::Block *block;
  mlir::OpBuilder inner;
  mlir::Location loc;
  mlir::IRMapping mapping;
  unsigned numLeading = 0;
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_REGIONWRITER_H
