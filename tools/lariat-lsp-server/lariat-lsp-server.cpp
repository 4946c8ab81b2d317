// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A language server for .mlir files with the dialect `lariat`: diagnostics, hover, go to definition in an editor.

#include "lariat/Compiler/Dialects.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  lariat::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry)) ? 1 : 0;
}
