// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is done with foreign IR, as text or bytecode: read, verify and print it as lariat-opt does, and where it is a
// model, bring it to the kernel level as lariat-compile does.

#ifndef LARIAT_TEST_FUZZ_READIR_H
#define LARIAT_TEST_FUZZ_READIR_H

#include "Scratch.h"
#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/KernelProgram.h"
#include "lariat/Compiler/Modules.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace lariat::fuzz {

/// A context that many inputs share, since loading dialects takes longer than reading a small module. What it has
/// uniqued is freed after some inputs.
inline mlir::MLIRContext &getContext() {
  static mlir::MLIRContext *context = nullptr; // not destroyed at the end of the process
  static int numInputs = 0;
  if (numInputs++ % 2048 == 0) {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    delete context;
    context = new mlir::MLIRContext(registry, mlir::MLIRContext::Threading::DISABLED);
  }
  return *context;
}

inline void readIR(const std::string &input) {
  mlir::MLIRContext &context = getContext();
  {
    DiagnosticRecorder recorder(&context);
    mlir::OwningOpRef<mlir::ModuleOp> module =
        mlir::parseSourceString<mlir::ModuleOp>(input, mlir::ParserConfig(&context));
    if (!module)
      return llvm::consumeError(recorder.takeError(""));
    module->print(llvm::nulls());
  }
  static const Scratch scratch;
  CompileOptions options;
  options.input = scratch.write("model.mlir", reinterpret_cast<const uint8_t *>(input.data()), input.size());
  llvm::Expected<Model> model = readModel(options, &context);
  if (!model)
    return llvm::consumeError(model.takeError());
  StageSeconds seconds;
  if (llvm::Expected<KernelProgram> program = formKernelProgram(*model, seconds); !program)
    llvm::consumeError(program.takeError());
}

} // namespace lariat::fuzz

#endif // LARIAT_TEST_FUZZ_READIR_H
