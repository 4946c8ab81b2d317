// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Facts about a module, gathered while it is checked against docs/function-contract.md.

#ifndef LARIAT_COMPILER_MODELFACTS_H
#define LARIAT_COMPILER_MODELFACTS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace lariat {

/// One argument or result of an entry function.
struct Port {
  std::string name; ///< lariat.input or lariat.output
  mlir::Type type;
};

/// The signature of an entry function.
struct EntrySignature {
  std::string name;
  llvm::SmallVector<Port> inputs, outputs;

  const Port *findInput(llvm::StringRef name) const;
  const Port *findOutput(llvm::StringRef name) const;
};

/// Facts about one cache.
struct CacheFacts {
  CacheOp op;
  bool isLooped = false;               ///< a loop over depth chooses its slots
  bool writesAnySlot = false;          ///< rows write other slots than those of their loop steps
  int64_t depthFactor = 1;             ///< depths per step of the outermost loop: steps of those inside of it
  KVPolicyAttrInterface declared = {}; ///< the model's policy, where another one takes its place
  /// Depths that occur when loops run `loops` steps.
  int64_t getNumDepths(int64_t loops) const;
  int64_t getNumSlots(int64_t loops) const;
  /// Bytes of the keys and values of one row in one slot.
  int64_t getBytesPerEntry() const;
  /// Bytes of all layers when `rows` rows run `loops` steps each.
  int64_t getBytes(int64_t rows, int64_t loops) const;
  /// Whether a row that stopped early can be missing from a slot at all.
  bool distinguishesMissing() const;
  /// The order of rows that run `loops` steps; free outside of loops over depth.
  RowOrder getOrder(int64_t loops, bool generated) const;
};

/// Facts about one state.
struct StateFacts {
  StateOp op;
  int64_t depthFactor = 1; ///< as that of a cache
};

struct ModelFacts {
  ModelAttr model;
  LoopsAttr loops;
  ExitAttr exit; ///< null where none is declared
  EntrySignature forward;
  llvm::SmallVector<CacheFacts> caches;
  llvm::SmallVector<StateFacts> states;
  llvm::SmallVector<WeightOp> depthWeights; ///< the depth-indexed ones
  std::string computeRefusal;               ///< why `missing = compute` is not on offer; empty: it is
  std::string cutReason;                    ///< why results depend on cuts, whatever policies say; empty: they do not
  bool mixesCallRows = false;               ///< attends or reduces among the rows of one call
  bool hasPrefixMask = false;
  bool hasTopK = false;
  bool lacksDecodeRule = false;

  /// Recomputes what follows from the policies of caches, after they have changed.
  void update(mlir::ModuleOp module);
  bool isDecoder() const { return model.getKind() == llvm::StringRef(abi::getName(abi::ModelKind::Decoder)); }
  bool canGenerate() const { return isDecoder() && !lacksDecodeRule; }
  bool hasFreeLoops() const {
    return loops.getMinSteps() != loops.getMaxSteps() || loops.getMinSteps() != loops.getDefaultSteps();
  }
  /// The depth-indexed weights that refuse depths past their end.
  llvm::SmallVector<WeightOp> getCheckedWeights() const;
  /// Depths for which a caller may say how many rows top_k keeps; 0: it cannot.
  int64_t getCapacityDepths() const;
  /// The strictest order of the caches, or what the ops of the model leave of it, for rows of the prompt or generated
  /// ones.
  RowOrder getOrder(int64_t loops, bool generated) const;
  /// The modes a caller may pick.
  llvm::SmallVector<MissingMode> getAllowedMissing() const;
};

/// Fails with one sentence where a module breaks the contract.
llvm::Expected<ModelFacts> collectFacts(mlir::ModuleOp module);

/// Sets the depth factors of caches and states. Fails where nested loops leave open which depth a step has.
llvm::Error findDepthFactors(mlir::ModuleOp module, ModelFacts &facts);

/// Ports of a function by their names.
EntrySignature getSignature(mlir::func::FuncOp function);

/// A table of KV memory: per cache the formula, bytes per entry and token, and for a full context.
std::string formatMemory(const ModelFacts &facts);

} // namespace lariat

#endif // LARIAT_COMPILER_MODELFACTS_H
