// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tokens are compared one by one; nothing is hashed.

#include "lariat/Runtime/KV/PrefixKey.h"

#include <algorithm>

using namespace lariat::runtime;

int64_t lariat::runtime::countCommonRows(const PhasedTokens &one, const PhasedTokens &other) {
  int64_t count = std::ranges::mismatch(one.tokens, other.tokens).in1 - one.tokens.begin();
  return one.numPrompt == other.numPrompt ? count : std::min({count, one.numPrompt, other.numPrompt});
}

int64_t lariat::runtime::countSparedRows(const PrefixKey &key, const PhasedTokens &request,
                                         const PhasedTokens &sequence) {
  int64_t count = std::min(countCommonRows(request, sequence), static_cast<int64_t>(request.tokens.size()) - 1);
  return count < key.prefix ? 0 : count;
}
