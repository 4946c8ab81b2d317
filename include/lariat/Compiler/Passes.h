// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that put modules together; dialects/Conversions/CompilerPasses.td describes each.

#ifndef LARIAT_COMPILER_PASSES_H
#define LARIAT_COMPILER_PASSES_H

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/Pass.h"

namespace lariat {

/// The nested module of functions on tensors that kernel.generic calls.
inline constexpr llvm::StringLiteral kGenericModule = "generic";

/// On an entry function: its name at the model level, such as "forward".
inline constexpr llvm::StringLiteral kEntryAttr = "kernel.entry";

/// On a module of several variants: a dictionary from variant and entry to symbol.
inline constexpr llvm::StringLiteral kSymbolsAttr = "kernel.symbols";

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lariat/Compiler/CompilerPasses.h.inc"

} // namespace lariat

#endif // LARIAT_COMPILER_PASSES_H
