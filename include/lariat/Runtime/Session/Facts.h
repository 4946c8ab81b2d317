// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What a manifest says about the requests that its model can answer.

#ifndef LARIAT_RUNTIME_SESSION_FACTS_H
#define LARIAT_RUNTIME_SESSION_FACTS_H

#include "lariat/Runtime/Load/Manifest.h"

namespace lariat::runtime {

/// Loop steps that a request may ask for; `max` 0: no limit.
struct LoopRange {
  int64_t defaultSteps = 1, minSteps = 1, maxSteps = 1;
  int64_t stepsWithExit = 0; ///< the default where rows may exit; 0: `defaultSteps`

  bool isFree() const { return minSteps != maxSteps || minSteps != defaultSteps; }
};

/// The declared exit rule: no row exits at the threshold `never`.
struct ExitRule {
  std::string rule;
  double never = 0, low = 0, high = 0;
  std::optional<double> declared = std::nullopt; ///< of a request that gives none; `never` without
  bool hasThreshold = true;                      ///< else rows stop by it whatever a request says
};

/// What a cache demands of a request.
struct CacheRule {
  std::string name;
  int64_t layers = 1;
  bool looped = false;
  int64_t depthFactor = 1;            ///< depths per step of the outermost loop
  std::optional<int64_t> depths;      ///< that it knows, where that is declared
  std::optional<int64_t> slotsAtMost; ///< none: one per loop step
  SlotRule prompt, generated;         ///< of rows of either kind

  /// Slots of a layer when loops run `loops` steps.
  int64_t getNumSlots(int64_t loops) const;
  /// What rows of the prompt, or generated ones, depend on that run so many loop steps.
  RowOrder getOrder(int64_t loops, bool generated) const;
};

/// A weight with one value per depth and none beyond.
struct DepthWeight {
  std::string name;
  int64_t depths = 0;
};

struct SessionFacts {
  std::string kind; ///< "decoder" or "encoder"
  int64_t vocab = 0, context = 0;
  std::vector<int64_t> eos;
  LoopRange loops;
  std::optional<ExitRule> exit;
  std::vector<CacheRule> caches;
  std::vector<DepthWeight> depthWeights;
  std::vector<std::string> allowedMissing;
  std::string computeRefusal; ///< why `missing = compute` is not among them; empty: it is
  std::string cutReason;      ///< why results depend on how a prompt is cut, whatever the policies; empty: they do not
  bool mixesCallRows = false; ///< attends or reduces among the rows of one call
  bool hasTopK = false;
  bool hasPrefixMask = false;
  bool lacksDecodeRule = false;
  bool hasStates = false; ///< of recurrent mixers, which cannot be taken back

  bool isDecoder() const { return kind == "decoder"; }
  bool canGenerate() const { return isDecoder() && !lacksDecodeRule; }
  /// Whether a row depends on which rows are in its call.
  bool dependsOnCall(const std::string &mode) const { return mixesCallRows || (hasTopK && mode == "score"); }
  /// The strictest order of the caches, for rows of the prompt or generated ones that run so many loop steps.
  RowOrder getOrder(int64_t loopSteps, bool generated) const;
};

/// Facts of a manifest that parseManifest accepted; `place` is its path, for messages.
Expected<SessionFacts> readSessionFacts(const Manifest &manifest, const std::string &place);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_FACTS_H
