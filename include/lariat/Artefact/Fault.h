// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Faults: numbers that only running code shows to be out of range, such as a depth or a slot. Code continues with a
// number that is in range, and the call ends with the sentence of its first fault. Both pipelines give the same
// sentence.

#ifndef LARIAT_ARTEFACT_FAULT_H
#define LARIAT_ARTEFACT_FAULT_H

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat::abi {

enum FaultKind : int64_t {
  kNoFault,
  kDepthFault,  ///< rows advance to a depth that none has
  kSlotFault,   ///< a slot that a cache does not have
  kWeightFault, ///< a depth that a depth-indexed weight does not have
  kStateFault,  ///< a depth that a state does not have
};

/// Words that describe the first fault of a call.
enum FaultWord : int64_t {
  kFaultKind,
  kFaultPlace, ///< number of the cache, of the state, or of the weight among those with `beyond = error`
  kFaultFound, ///< the number that is out of range
  kFaultEnd,   ///< how many depths or slots there are
  kNumFaultWords
};

/// The sentence of a fault; `name` is that of its cache, state or weight.
inline std::string describeFault(const int64_t *words, std::string_view name) {
  std::string found = std::to_string(words[kFaultFound]), end = std::to_string(words[kFaultEnd]);
  switch (words[kFaultKind]) {
  case kDepthFault:
    return "rows advance to depth " + found + ", expected 0 to " + std::to_string(words[kFaultEnd] - 1);
  case kSlotFault:
    return "rows use slot " + found + " of cache @" + std::string(name) + ", which has " + end;
  case kWeightFault:
    return "rows at depth " + found + " use weight @" + std::string(name) + ", which has " + end + " depths";
  case kStateFault:
    return "rows at depth " + found + " use state @" + std::string(name) + ", which has " + end + " depths";
  default:
    return "compiled code reports fault " + std::to_string(words[kFaultKind]);
  }
}

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_FAULT_H
