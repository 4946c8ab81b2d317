// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading modules and running pipelines with diagnostics as errors.

#ifndef LARIAT_COMPILER_MODULES_H
#define LARIAT_COMPILER_MODULES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <string>

namespace lariat {

/// Keeps the first error of a context while it lives, as `file:line:column: message`.
class DiagnosticRecorder {
public:
  explicit DiagnosticRecorder(mlir::MLIRContext *context);
  /// The first error, or `otherwise` if there was none.
  llvm::Error takeError(const llvm::Twine &otherwise);

private:
  std::string first;
  mlir::ScopedDiagnosticHandler handler;
};

/// `file:line:column: `, or nothing where a location names no file.
std::string formatPlace(mlir::Location location);

/// Parses and verifies a file.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> readModule(llvm::StringRef path, mlir::MLIRContext *context);

/// Runs the passes that `build` adds, in place.
llvm::Error runPipeline(mlir::ModuleOp module, llvm::function_ref<void(mlir::OpPassManager &)> build);

} // namespace lariat

#endif // LARIAT_COMPILER_MODULES_H
