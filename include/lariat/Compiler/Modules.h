// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading modules and running pipelines with diagnostics as errors.

#ifndef LARIAT_COMPILER_MODULES_H
#define LARIAT_COMPILER_MODULES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <string>

namespace lariat {

/// Keeps the first error of a context while it lives, as `file:line:column: message`. Remarks go on to other handlers.
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

/// Runs the passes that `build` adds, in place. The module has the stage's name meanwhile, so that what is printed
/// tells stages apart. Without a stage the run is a trial, of which nothing is shown.
llvm::Error runPipeline(mlir::ModuleOp module, llvm::function_ref<void(mlir::OpPassManager &)> build,
                        llvm::StringRef stage = "");

/// From now on the stages of this process follow MLIR's options of the command line (printing, statistics,
/// reproducers), which the tool has registered, and are timed within `timing`. Null ends that.
void showPipelines(mlir::TimingScope *timing);

} // namespace lariat

#endif // LARIAT_COMPILER_MODULES_H
