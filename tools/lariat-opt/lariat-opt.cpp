// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads IR, runs passes, writes IR.

#include "lariat/Compiler/Dialects.h"
#include "lariat/Conversion/Passes.h"
#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  lariat::registerDialects(registry);
  lariat::registerKernelPasses();
  lariat::registerLariatPasses();
  lariat::registerLariatConversionPasses();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Lariat optimizer\n", registry));
}
