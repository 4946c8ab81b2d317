// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The targets that code is compiled for, and which of them a user means.

#ifndef LARIAT_COMPILER_TARGETS_H
#define LARIAT_COMPILER_TARGETS_H

#include "lariat/Target/Registry/Target.h"

namespace lariat {

/// All targets, the CPUs of the table first. Another one is added before anything is compiled.
TargetRegistry &getTargetRegistry();

/// The target of that name; an error of `module` where there is none.
mlir::FailureOr<const Target *> findTarget(mlir::ModuleOp module, llvm::StringRef name);

/// The targets that `--target` names: their names separated by commas, `native` (the best this machine runs), `all` or
/// nothing (all that run on machines of this kind). Best first.
llvm::Expected<llvm::SmallVector<const Target *>> selectTargets(llvm::StringRef choice);

/// Writes what is known of a target, of the best that this machine runs (`native`), or of all (no name).
llvm::Error printTargets(llvm::StringRef name, llvm::raw_ostream &os);

} // namespace lariat

#endif // LARIAT_COMPILER_TARGETS_H
