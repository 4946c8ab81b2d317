// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a model in process, once per variant.

#ifndef LARIAT_REFERENCE_JIT_H
#define LARIAT_REFERENCE_JIT_H

#include "lariat/Artefact/StepRecord.h"
#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Reference/Call.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace mlir {
class ExecutionEngine;
}

namespace lariat::reference {

/// A compiled entry function.
struct Entry {
  EntrySignature signature; ///< its own arguments and results, without memory
  llvm::SmallVector<mlir::RankedTensorType> results;
  std::vector<abi::RecordPart> record; ///< of @prelude: which part of the seat record each result is
  PackedFunction function = nullptr;
};

/// The compiled functions of one variant.
class Executable {
public:
  ~Executable();
  /// Null if there is no such function.
  const Entry *find(llvm::StringRef name) const;

private:
  friend class Jit;
  std::unique_ptr<mlir::ExecutionEngine> engine;
  llvm::StringMap<Entry> entries;
};

/// Compiles variants of one model and keeps them, and the weights that they share.
class Jit {
public:
  explicit Jit(const Model &model);
  llvm::Expected<const Executable *> get(const Variant &options);

private:
  llvm::Expected<std::unique_ptr<Executable>> compile(const Variant &options);
  /// The values behind a symbol, loaded when first asked for.
  llvm::Expected<const float *> getWeight(llvm::StringRef name, bool transposed);

  const Model &model;
  std::map<std::tuple<RunMode, int, bool>, std::unique_ptr<Executable>> executables;
  std::map<std::pair<std::string, bool>, std::vector<float>> weights;
};

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_JIT_H
