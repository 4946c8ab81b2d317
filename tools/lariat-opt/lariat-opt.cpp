// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads IR, runs passes, writes IR.

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Support/CommandLine.h"
#include "lariat/Support/Guard.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cstdlib>

using namespace mlir;

namespace {

/// Ends the program before MLIR inlines around regions of ops that no dialect registers: its inliner takes such an op
/// for a symbol table and reads a block that may not be there.
struct RefuseUnknownRegions : PassInstrumentation {
  void runBeforePass(Pass *pass, Operation *root) override {
    if (pass->getArgument() != "inline")
      return;
    root->walk([](Operation *op) {
      if (op->isRegistered() || op->getNumRegions() == 0)
        return;
      op->emitError() << "'" << op->getName() << "' has regions, but no dialect registers it: cannot inline around it";
      llvm::sys::RunInterruptHandlers(); // removes the file that was to be written
      std::_Exit(EXIT_FAILURE);
    });
  }
};

} // namespace

static LogicalResult optimize(StringRef input, StringRef output, DialectRegistry &registry) {
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions(), asked = config;
  config.setPassPipelineSetupFn([&](PassManager &manager) {
    manager.addInstrumentation(std::make_unique<RefuseUnknownRegions>());
    return asked.setupPassPipeline(manager);
  });
  std::string said;
  std::unique_ptr<llvm::MemoryBuffer> file = openInputFile(input, &said);
  std::unique_ptr<llvm::ToolOutputFile> written = file ? openOutputFile(output, &said) : nullptr;
  if (!written) {
    llvm::errs() << "error: " << said << '\n';
    return failure();
  }
  if (llvm::Error error = lariat::verifyNesting(file->getBuffer(), file->getBufferIdentifier())) {
    llvm::errs() << "error: " << toString(std::move(error)) << '\n';
    return failure();
  }
  if (failed(MlirOptMain(written->os(), std::move(file), registry, config)))
    return failure();
  written->keep();
  return success();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  lariat::registerDialects(registry);
  lariat::registerPasses();
  lariat::hideLibraryOptions(/*own=*/nullptr);
  auto [input, output] = registerAndParseCLIOptions(argc, argv, "Lariat optimizer\n", registry);
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return asMainReturnCode(MlirOptMain(argc, argv, input, output, registry));
  return lariat::runGuarded("lariat-opt", [&, &input = input, &output = output] {
    return asMainReturnCode(optimize(input, output, registry));
  });
}
