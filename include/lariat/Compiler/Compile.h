// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a model to an artefact on disk, and back to a model that can be run.

#ifndef LARIAT_COMPILER_COMPILE_H
#define LARIAT_COMPILER_COMPILE_H

#include "lariat/Artefact/Manifest.h"
#include "lariat/Compiler/CompileStats.h"
#include "lariat/Compiler/ModelFacts.h"
#include "lariat/Compiler/Options.h"
#include "lariat/Compiler/Progress.h"
#include "lariat/Support/Safetensors.h"
#include "mlir/IR/OwningOpRef.h"

#include <optional>
#include <vector>

namespace lariat {

/// A model ready to compile or run: verified IR, its weights, its manifest.
struct Model {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  ModelFacts facts;
  std::optional<Checkpoint> checkpoint; ///< none where all weights are inline
  std::string checkpointDir;            ///< where the checkpoint's other files are
  manifest::Manifest manifest;
  std::vector<std::string> warnings; ///< a sentence each
};

/// Reads an .mlir file and applies the options to it: formats of weights, KV dtype, KV policy, ids that end a sequence.
/// Checks every weight.
llvm::Expected<Model> readModel(const CompileOptions &options, mlir::MLIRContext *context);

/// Opens an artefact: versions, sizes and checksums of all files, then as above.
llvm::Expected<Model> readArtefact(llvm::StringRef path, mlir::MLIRContext *context);

/// Checks that the model can be lowered in every mode it has, so that nothing unbuilt is met later.
llvm::Error verifyLowering(const Model &model);

struct FastProgram;

/// Writes `options.output` through a sibling directory that takes its name at the end. `program` is null for the
/// reference pipeline, whose artefacts hold weights as they are stored.
llvm::Error writeArtefact(const Model &model, const CompileOptions &options, const FastProgram *program,
                          CompileStats &stats, Progress &progress);

/// Writes the program in the form that `options.emit` names to `options.output`, in place of an artefact.
llvm::Error emit(const Model &model, const CompileOptions &options, CompileStats &stats);

/// What a user is told after compiling.
struct CompileReport {
  std::string memory; ///< table of KV memory, and of the fast path's weights and largest calls; fits a screen
  std::string calls;  ///< a line for each compiled variant of each entry function
  std::vector<std::string> warnings;
  CompileStats stats;
};

/// Reads, compiles and writes a model.
llvm::Error compile(const CompileOptions &options, mlir::MLIRContext *context, CompileReport &report,
                    Progress progress);

} // namespace lariat

#endif // LARIAT_COMPILER_COMPILE_H
