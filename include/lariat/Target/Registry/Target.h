// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kind of machine that code is compiled for: all that the compiler asks of one. The compiler knows targets by this
// interface alone, and goes over all that are registered.

#ifndef LARIAT_TARGET_REGISTRY_TARGET_H
#define LARIAT_TARGET_REGISTRY_TARGET_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Conversion/KernelCodegen.h"
#include "lariat/Dialect/Kernel/IR/KernelEnums.h"
#include "mlir/IR/BuiltinOps.h"
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

/// What code is written as: a relocatable object, its text, or what is handed to code generation.
enum class CodeForm { Object, Assembly, LLVMIR };

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

/// An order of summation, as kernel::SumAttr has it.
struct Sum {
  kernel::SumKind kind;
  int64_t size;
};

class Target {
public:
  virtual ~Target() = default;

  /// As in manifests and `--target`.
  virtual llvm::StringRef getName() const = 0;
  /// Features that a machine must have, by LLVM's names.
  virtual llvm::ArrayRef<std::string> getRequired() const = 0;
  /// Whether its code is for machines of this kind: the same instruction set but for what it requires.
  virtual bool isForHost() const = 0;
  /// Whether this machine has all that its code requires.
  virtual bool runsHere() const = 0;
  /// The orders in which its kernels form sums.
  virtual llvm::ArrayRef<Sum> getSums() const = 0;
  /// How its code finds weights and entries of caches.
  virtual const abi::Layout &getLayout() const = 0;
  /// Bytes of weights that it holds from one use to the next; those of kernels beyond are marked as far.
  virtual int64_t getCachedBytes() const = 0;
  /// Writes what is known of it and its tuning, a line per fact.
  virtual void print(llvm::raw_ostream &os) const = 0;

  /// Writes the code of kernels into a module of kernels.
  virtual std::unique_ptr<KernelCodegen> createCodegen(mlir::ModuleOp module) const = 0;
  /// Has a module in LLVM's dialect name the machine; returns how many functions do then.
  virtual int64_t setMachine(mlir::ModuleOp llvmDialect) const = 0;
  /// Code in one of these forms. Rounding is that of the IR: nothing is fused, reassociated or contracted. Several may
  /// be emitted at a time.
  virtual llvm::Expected<MachineCode> emitCode(TranslatedModule module, CodeForm form) const = 0;
  /// What the runtime loads, of a relocatable object. Not while code is emitted on another thread.
  virtual llvm::Expected<MachineCode> link(MachineCode object) const = 0;
};

/// Targets in order: the best of each kind of machine first.
class TargetRegistry {
public:
  /// Adds a target behind all others; no other has its name.
  void add(std::unique_ptr<const Target> target);
  /// Forgets the target of that name, which nothing uses any more.
  void remove(llvm::StringRef name);
  llvm::ArrayRef<std::unique_ptr<const Target>> getAll() const { return targets; }
  /// The target of that name, or null.
  const Target *find(llvm::StringRef name) const;

private:
  std::vector<std::unique_ptr<const Target>> targets;
};

} // namespace lariat

#endif // LARIAT_TARGET_REGISTRY_TARGET_H
