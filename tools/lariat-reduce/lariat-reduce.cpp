// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes IR smaller while a script still finds in it what it looks for.

#include "ReductionPatterns.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Support/Guard.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

#include <cstdlib>

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  lariat::registerDialects(registry);
  lariat::registerReductionPatterns(registry);
  lariat::registerPasses();
  return lariat::runGuarded("lariat-reduce", [&] {
    mlir::MLIRContext context(registry);
    return mlir::failed(mlir::mlirReduceMain(argc, argv, context)) ? EXIT_FAILURE : EXIT_SUCCESS;
  });
}
