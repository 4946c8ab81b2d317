// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From LLVM's dialect to the shared object of one ISA, in process.

#ifndef LARIAT_TARGET_CPU_SHAREDOBJECT_H
#define LARIAT_TARGET_CPU_SHAREDOBJECT_H

#include "lariat/Target/Description/CPUTarget.h"
#include "lariat/Target/Registry/Target.h"
#include "llvm/Support/Compiler.h"

namespace lariat {

/// Whether emitted code is checked as this program is: built with the address sanitizer, it emits code that reports
/// what it reads and writes beyond its memory, and which only such a program can load.
inline constexpr bool kSanitizesAddresses = LLVM_ADDRESS_SANITIZER_BUILD;

/// Code in one of these forms. Rounding is that of the IR: nothing is fused, reassociated or contracted. Several may be
/// emitted at a time.
llvm::Expected<MachineCode> emitCode(TranslatedModule translated, const CPUTarget &target, CodeForm form);

/// Translates and emits, on this thread.
llvm::Expected<MachineCode> emitCode(mlir::ModuleOp llvmDialect, const CPUTarget &target, CodeForm form);

/// A shared object from a relocatable one, without undefined symbols but those of the sanitizer. Errors name the symbol
/// that is missing. Not while code is emitted on another thread: the linker resets options that code generators read.
llvm::Expected<MachineCode> linkObject(MachineCode object);

/// Emits an object, then links it.
llvm::Expected<MachineCode> emitSharedObject(mlir::ModuleOp llvmDialect, const CPUTarget &target);

} // namespace lariat

#endif // LARIAT_TARGET_CPU_SHAREDOBJECT_H
