// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fast pipeline: from a model to the code of each ISA, packed weights and the part of the manifest that describes
// them.

#ifndef LARIAT_COMPILER_FASTPATH_H
#define LARIAT_COMPILER_FASTPATH_H

#include "lariat/Compiler/KernelProgram.h"

#include <map>
#include <string>
#include <vector>

namespace lariat {

enum class CodeForm;
struct MachineCode;
class Target;

/// Weights as code of one layout reads them.
struct PackedWeights {
  abi::Layout layout;
  std::string file;                           ///< its place in the artefact
  mlir::OwningOpRef<mlir::ModuleOp> contents; ///< packed data and rotary tables, with their places in the file

  int64_t getBytes() const;
};

/// Code of one ISA.
struct CodeObject {
  std::string isa, layout;
  std::vector<std::string> features; ///< what a machine needs, by LLVM's names
  std::vector<char> bytes;
  int64_t numKernels = 0; ///< in the table that it exports
};

/// Memory that a call of an entry function needs besides its ports.
struct EntrySizes {
  int64_t arenaRowBytes = 0; ///< per row of the call
  int64_t cells = 0;         ///< words
  int64_t scratchBytes = 0;  ///< per thread
};

struct FastProgram {
  KernelProgram kernels;
  std::vector<CodeObject> objects;         ///< best first
  std::vector<PackedWeights> weights;      ///< a file per layout of the objects, that of the first one first
  std::map<std::string, EntrySizes> sizes; ///< by symbol
};

/// Forms, plans, lowers and emits. Fails where the model cannot be compiled as it is declared.
llvm::Expected<FastProgram> compileFast(const Model &model, const CompileOptions &options, CompileStats &stats,
                                        Progress &progress);

/// A copy in LLVM's dialect, for one target, which may be of another kind of machine.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> lowerKernelProgram(const KernelProgram &program,
                                                                     const Target &target);

/// The code of one target in the given form.
llvm::Expected<MachineCode> emitKernelCode(const KernelProgram &program, const Target &target, CodeForm form);

/// The place of code in an artefact.
std::string getCodeFile(const CodeObject &object);

/// The manifest's section of code.
manifest::CodeSection describeCode(const FastProgram &program);

/// Packed weights, the bound of the page pool, and the largest call of each entry function: what `--print-memory` adds.
std::string formatFastMemory(const FastProgram &program, const ModelFacts &facts);

/// The calls of every compiled variant, a line each: what `--print-memory=all` adds to that.
std::string formatCallMemory(const FastProgram &program);

} // namespace lariat

#endif // LARIAT_COMPILER_FASTPATH_H
