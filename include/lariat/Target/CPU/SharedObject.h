// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From LLVM's dialect to the shared object of one ISA, in process.

#ifndef LARIAT_TARGET_CPU_SHAREDOBJECT_H
#define LARIAT_TARGET_CPU_SHAREDOBJECT_H

#include "lariat/Target/Description/CPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Compiler.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace lariat {

/// Machine code in a file format, and what it took to make it.
struct MachineCode {
  std::vector<char> bytes;
  int64_t codeBytes = 0;                                     ///< of instructions
  llvm::SmallVector<std::pair<std::string, double>> seconds; ///< per stage, in order
};

/// Public functions and constants with this prefix are exported; nothing else is.
inline constexpr llvm::StringLiteral kExportPrefix = "lariat_";

/// Whether emitted code is checked as this program is: built with the address sanitizer, it emits code that reports
/// what it reads and writes beyond its memory, and which only such a program can load.
inline constexpr bool kSanitizesAddresses = LLVM_ADDRESS_SANITIZER_BUILD;

/// A module of LLVM IR with a context of its own, which has nothing of MLIR and may go to another thread.
class TranslatedModule {
public:
  TranslatedModule(std::unique_ptr<llvm::LLVMContext> context, std::unique_ptr<llvm::Module> module);
  TranslatedModule(TranslatedModule &&) noexcept;
  ~TranslatedModule();

  llvm::Module &get() { return *module; }

private:
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

/// From LLVM's dialect to LLVM IR.
llvm::Expected<TranslatedModule> translateToLLVM(mlir::ModuleOp llvmDialect);

/// What code is written as: a relocatable object, its text, or what is handed to code generation.
enum class CodeForm { Object, Assembly, LLVMIR };

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
