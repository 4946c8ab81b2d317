// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. What a sequence keeps between calls. Guarded by the model's lock.

#ifndef LARIAT_LIB_RUNTIME_CALL_SEQUENCEMEMORY_H
#define LARIAT_LIB_RUNTIME_CALL_SEQUENCEMEMORY_H

#include "lariat/Runtime/KV/KVPool.h"
#include "lariat/Runtime/KV/PrefixKey.h"
#include "lariat/Runtime/Memory/States.h"

namespace lariat::runtime {

class SequenceMemory {
public:
  SequenceMemory(size_t numCaches, size_t numStates) : caches(numCaches), states(numStates) {}

  PhasedTokens getSettled() const { return {settled, numPrompt}; }

  int64_t number = 0; ///< of the sequences of the model
  std::vector<SequenceCache> caches;
  std::vector<SequenceState> states;
  int64_t length = 0;
  std::string failure;          ///< of a call that broke off; empty: none
  std::optional<PrefixKey> key; ///< none: its entries are for itself only
  std::vector<int64_t> settled; ///< tokens of the first rows, which have all their entries
  int64_t numPrompt = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_CALL_SEQUENCEMEMORY_H
