// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A program at one of the levels that it passes on its way to an artefact, as a file of its own.

#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/FastPath.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Files.h"

using namespace mlir;
using namespace lariat;

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << *module << '\n';
  return text;
}

/// The one target that code is wanted for: what `--target` names, which may be of another kind of machine, by default
/// the best that this one runs.
static llvm::Expected<const Target *> selectTarget(const CompileOptions &options) {
  if (const Target *target = getTargetRegistry().find(options.targets))
    return target;
  llvm::Expected<SmallVector<const Target *>> targets =
      selectTargets(options.targets.empty() ? "native" : StringRef(options.targets));
  if (!targets)
    return targets.takeError();
  if (targets->size() == 1 || options.targets.empty())
    return targets->front();
  return makeError("option --emit is '" + options.emit + "', which is for one target, but --target is '" +
                   options.targets + "'");
}

/// The program in the form that `--emit` names.
static llvm::Expected<std::string> emitProgram(const KernelProgram &program, const CompileOptions &options) {
  if (options.emit == "kernel")
    return print(*program.module);
  llvm::Expected<const Target *> target = selectTarget(options);
  if (!target)
    return target.takeError();
  if (options.emit == "llvm") {
    auto module = lowerKernelProgram(program, **target);
    return module ? llvm::Expected<std::string>(print(**module)) : module.takeError();
  }
  CodeForm form = options.emit == "obj"   ? CodeForm::Object
                  : options.emit == "asm" ? CodeForm::Assembly
                                          : CodeForm::LLVMIR;
  llvm::Expected<MachineCode> code = emitKernelCode(program, **target, form);
  if (!code)
    return code.takeError();
  return std::string(code->bytes.begin(), code->bytes.end());
}

llvm::Error lariat::emit(const Model &model, const CompileOptions &options, CompileStats &stats) {
  llvm::Expected<KernelProgram> program = formKernelProgram(model, stats.seconds);
  if (!program)
    return program.takeError();
  llvm::Expected<std::string> content = emitProgram(*program, options);
  if (!content)
    return content.takeError();
  if (!options.output.empty() && options.output != "-")
    return writeFile(options.output, *content);
  llvm::outs() << *content;
  return llvm::Error::success();
}
