// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a user may choose when compiling. Every field that makes a difference to an artefact ends in its manifest.

#ifndef LARIAT_COMPILER_OPTIONS_H
#define LARIAT_COMPILER_OPTIONS_H

#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace lariat {

struct CompileOptions {
  std::string input;                           ///< an .mlir file
  std::string output;                          ///< the artefact's directory, NAME.lariat; else a file, or - for stdout
  std::string emit = "artefact";               ///< or the program as kernel, llvm, llvm-ir, asm or obj
  std::string weights;                         ///< checkpoint; empty for the module's lariat.weights
  std::string dtype;                           ///< rules for formats of weights; empty for what the module declares
  std::string kvDtype;                         ///< of caches; empty for what the module declares
  std::optional<std::string> overrideKVPolicy; ///< of the caches of loops, without `#lariat.`; none: as declared
  std::string pipeline = "fast";               ///< or reference: naive lowering, for comparison
  std::string targets; ///< of the fast pipeline: ISAs, separated by commas; native; all (also if empty)
  bool force = false;  ///< replace an artefact that is already there
};

/// The formats of weights that `dtype` may name, as a phrase.
std::string listDtypes();

/// Names the option that has an unknown value and the values it may have.
llvm::Error verifyOptions(const CompileOptions &options);

} // namespace lariat

#endif // LARIAT_COMPILER_OPTIONS_H
