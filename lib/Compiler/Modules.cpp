// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads modules and runs pipelines for callers that report errors as values: one sentence, the first diagnostic.

#include "lariat/Compiler/Modules.h"

#include "lariat/Support/Error.h"
#include "lariat/Support/Guard.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace lariat;

std::string lariat::formatPlace(Location location) {
  std::string text;
  if (auto place = location->findInstanceOf<FileLineColLoc>())
    llvm::raw_string_ostream(text) << place.getFilename().getValue() << ':' << place.getLine() << ':'
                                   << place.getColumn() << ": ";
  return text;
}

DiagnosticRecorder::DiagnosticRecorder(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Remark)
          return failure(); // goes to whoever asked for remarks
        if (first.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
          first = formatPlace(diagnostic.getLocation()) + diagnostic.str();
        return success();
      }) {}

llvm::Error DiagnosticRecorder::takeError(const Twine &otherwise) {
  if (first.empty())
    return makeError(otherwise);
  // One sentence is one line, whatever the diagnostic quotes.
  std::string line = StringRef(first).split('\n').first.str();
  return makeError(line);
}

llvm::Expected<OwningOpRef<ModuleOp>> lariat::readModule(StringRef path, MLIRContext *context) {
  bool isStandardInput = path == "-";
  if (!isStandardInput && !llvm::sys::fs::exists(path))
    return makeError(path + " does not exist");
  if (!isStandardInput && llvm::sys::fs::is_directory(path))
    return makeError(path + " is a directory, expected an .mlir file");
  std::string said;
  std::unique_ptr<llvm::MemoryBuffer> file = openInputFile(path, &said);
  if (!file)
    return makeError(said);
  if (llvm::Error error = verifyNesting(file->getBuffer(), path))
    return std::move(error);
  DiagnosticRecorder recorder(context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, ParserConfig(context));
  if (!module)
    return recorder.takeError(path + " is not valid IR");
  return module;
}

/// Where stages are timed. One for the process, as MLIR's options are.
static TimingScope *stageTiming = nullptr;

void lariat::showPipelines(TimingScope *timing) { stageTiming = timing; }

static LogicalResult runStage(PassManager &manager, ModuleOp module, StringRef stage) {
  TimingScope timing;
  if (stageTiming) {
    timing = stageTiming->nest(stage);
    if (failed(applyPassManagerCLOptions(manager)))
      return failure();
    manager.enableTiming(timing);
  }
  std::optional<StringRef> name = module.getSymName();
  module.setSymName(stage);
  LogicalResult result = manager.run(module);
  module.setSymName(name);
  return result;
}

llvm::Error lariat::runPipeline(ModuleOp module, llvm::function_ref<void(OpPassManager &)> build, StringRef stage) {
  DiagnosticRecorder recorder(module.getContext());
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  build(manager);
  if (failed(stage.empty() ? manager.run(module) : runStage(manager, module, stage)))
    return recorder.takeError("a pass failed without a diagnostic");
  return llvm::Error::success();
}
