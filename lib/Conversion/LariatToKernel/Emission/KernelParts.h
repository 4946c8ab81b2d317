// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: what a kernel with row regions is built from.

#ifndef LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELPARTS_H
#define LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELPARTS_H

#include "RegionWriter.h"

namespace lariat::forming {

/// A rowwise kernel whose body is written first.
struct RowwiseParts {
  RowwiseParts(KernelFormer &former, mlir::Value rows) : former(former), rows(rows), body(former, operands) {}

  /// Adds a buffer for the next result, whose lines are those of `lines` or the rows' own.
  void addOut(mlir::Value buffer, mlir::Value lines = {});
  kernel::RowwiseOp build(mlir::Location loc);

  KernelFormer &former;
  mlir::Value rows; ///< the row set that the kernel goes over
  KernelOperands operands;
  RegionWriter body;
  int64_t width = 1, parts = 1;

private:
  llvm::SmallVector<mlir::Value> outs;
  llvm::SmallVector<int64_t> scatter;
};

/// A product whose prologue and epilogue are written first.
struct GemmParts {
  GemmParts(KernelFormer &former, mlir::Value rows)
      : former(former), rows(rows), prologue(former, operands), epilogue(former, operands) {}

  /// Adds a sum per column, of panels of weights. Returns its argument of the epilogue.
  mlir::Value addSum(llvm::ArrayRef<mlir::FlatSymbolRefAttr> names);
  /// Adds a low-rank pair to sum `sum`: `input`, which is what its A made, times `weight`, its B.
  void addLowRank(mlir::Value input, mlir::FlatSymbolRefAttr weight, int64_t sum);
  /// `sum` and its bias: the columns of vectors side by side.
  mlir::Value addBias(mlir::Value sum, llvm::ArrayRef<mlir::FlatSymbolRefAttr> names, mlir::Location loc);
  kernel::GemmOp build(mlir::Location loc);

  KernelFormer &former;
  mlir::Value rows; ///< the row set that the kernel goes over
  KernelOperands operands;
  RegionWriter prologue, epilogue;
  int64_t depth = 0; ///< columns of the input
  int64_t width = 0; ///< columns of the result
  llvm::SmallVector<mlir::Value> outs;

private:
  llvm::SmallVector<mlir::Attribute> weights, lowRankWeights;
  llvm::SmallVector<mlir::Value> lowRankInputs;
  llvm::SmallVector<int64_t> lowRankOf;
};

} // namespace lariat::forming

#endif // LARIAT_LIB_CONVERSION_LARIATTOKERNEL_EMISSION_KERNELPARTS_H
