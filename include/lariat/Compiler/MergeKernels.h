// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Several modules at the kernel level as one, with equal code kept once.

#ifndef LARIAT_COMPILER_MERGEKERNELS_H
#define LARIAT_COMPILER_MERGEKERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

#include <string>

namespace lariat {

class KernelMerger {
public:
  /// `whole` starts empty and changes by merging only.
  explicit KernelMerger(mlir::ModuleOp whole) : whole(whole) {}

  /// Moves the functions and declarations of `part` into the whole and leaves it empty. What is there already, under
  /// whatever name, is not moved again. Public functions get the names that `name` gives, made unique. Returns their names
  /// in the whole by those in `part`.
  llvm::StringMap<std::string> merge(mlir::ModuleOp part, llvm::function_ref<std::string(llvm::StringRef)> name);

private:
  void moveDeclarations(mlir::ModuleOp part);
  void moveFunction(mlir::func::FuncOp function, mlir::ModuleOp part);
  std::string getUniqueName(llvm::StringRef wanted, mlir::ModuleOp part);

  mlir::ModuleOp whole;
  /// Functions of the whole that may be equal: by the name of public ones, together for private ones.
  llvm::StringMap<llvm::SmallVector<mlir::func::FuncOp>> candidates;
  /// Data in weights.bin that the whole declares, by content and kind of op.
  llvm::DenseMap<std::pair<mlir::Attribute, const void *>, mlir::Operation *> data;
  // While a part is merged:
  llvm::function_ref<std::string(llvm::StringRef)> getName;
  llvm::StringMap<mlir::func::FuncOp> waiting;
  llvm::StringMap<std::string> names;
};

} // namespace lariat

#endif // LARIAT_COMPILER_MERGEKERNELS_H
