// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What decides which requests a model answers, taken from its manifest.

#ifndef LARIAT_REQUESTS_FACTS_H
#define LARIAT_REQUESTS_FACTS_H

#include "lariat/Artefact/Manifest.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lariat::requests {

using abi::RowOrder;

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
  std::optional<double> declared = std::nullopt; ///< threshold of a request that gives none; none: `never`
  bool hasThreshold = true;                      ///< false: rows stop by the rule whatever a request says
};

/// What a cache demands of a request.
struct CacheRule {
  std::string name;
  bool looped = false;
  int64_t depthFactor = 1;         ///< depths per step of the outermost loop: steps of the loops inside of it
  std::optional<int64_t> depths;   ///< number of depths, where it is declared
  abi::SlotRule prompt, generated; ///< for rows of the prompt, and generated ones
  int64_t layers = 1;
  std::optional<int64_t> slotsAtMost; ///< upper bound on slots; none: one per loop step

  /// The order of rows of the prompt, or generated ones, that run `loops` loop steps.
  RowOrder getOrder(int64_t loops, bool generated) const;
  /// Slots of a layer when loops run `loops` steps.
  int64_t getNumSlots(int64_t loops) const;
};

using manifest::DepthWeight;

struct RequestFacts {
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
  bool hasStates = false;     ///< of recurrent mixers, which cannot be taken back
  bool usesLoops = false;     ///< @forward takes a number of loop steps
  int64_t stateWidth = 0;     ///< columns of the initial state that @forward takes; 0: it takes none
  int64_t capacityDepths = 0; ///< depths for which a request may say how many rows top_k keeps; 0: it may not

  bool isDecoder() const { return kind == "decoder"; }
  bool canGenerate() const { return isDecoder() && !lacksDecodeRule; }
  /// Whether a row depends on which rows are in its call.
  bool dependsOnCall(const std::string &mode) const { return mixesCallRows || (hasTopK && mode == "score"); }
  /// The strictest order of all caches, for rows of the prompt or generated ones that run `loopSteps` loop steps.
  RowOrder getOrder(int64_t loopSteps, bool generated) const;
};

/// Facts from a manifest. The caller sets what depends on @forward: `usesLoops`, `stateWidth`, `capacityDepths`.
RequestFacts describeRequests(const manifest::Manifest &manifest);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_FACTS_H
