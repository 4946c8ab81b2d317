// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model at the kernel level: the functions of all variants that a request may pick, in one module.

#ifndef LARIAT_COMPILER_KERNELPROGRAM_H
#define LARIAT_COMPILER_KERNELPROGRAM_H

#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/CompileStats.h"
#include "lariat/Compiler/Pipelines.h"

#include <string>
#include <vector>

namespace lariat {

/// An entry function of a variant. Several may share a symbol, where their code is the same.
struct EntryFunction {
  std::string name; ///< forward, prelude, core, fill or coda
  Variant variant;
  std::string symbol;
  std::vector<manifest::Port> inputs, outputs;
  std::vector<abi::RecordPart> record; ///< of @prelude of a derived variant
};

/// A variant that the compiler refuses, and why; no reason to refuse the model.
struct RefusedVariant {
  Variant variant;
  std::string reason;
};

struct KernelProgram {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<EntryFunction> entries;
  std::vector<RefusedVariant> refused;
};

/// Forms the kernels of all variants and plans arena and weights. Fails where a mode of the model cannot be compiled as
/// it is declared.
llvm::Expected<KernelProgram> formKernelProgram(const Model &model, StageSeconds &seconds);

} // namespace lariat

#endif // LARIAT_COMPILER_KERNELPROGRAM_H
