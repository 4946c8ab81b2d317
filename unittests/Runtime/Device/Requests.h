// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Answers to requests as text, to be compared.

#ifndef LARIAT_UNITTESTS_RUNTIME_DEVICE_REQUESTS_H
#define LARIAT_UNITTESTS_RUNTIME_DEVICE_REQUESTS_H

#include "../Generations.h"

#include "lariat/Requests/Checks.h"
#include "lariat/Runtime/Session/Session.h"

#include <string>

namespace lariat::runtime {

inline std::string show(const FloatArray &array) {
  return {reinterpret_cast<const char *>(array.data()), array.numRows * array.numColumns * sizeof(float)};
}

/// Everything that a score consists of, or why there is none.
inline std::string show(Expected<std::vector<SequenceScores>> scores) {
  if (!scores)
    return scores.text();
  std::string text;
  for (const SequenceScores &score : *scores) {
    text += show(score.logits) + show(score.hidden);
    for (int32_t steps : score.steps)
      text += std::to_string(steps) + " ";
    for (const CacheCount &cache : score.caches)
      for (const SlotCount &slot : cache.slots)
        text += std::to_string(slot.computed) + "+" + std::to_string(slot.filled) + " ";
  }
  return text;
}

/// Everything that a generation consists of, or why it ended.
inline std::string generate(Session &session, const requests::GenerateRequest &request) {
  std::vector<SequenceTokens> results;
  if (std::string error = runGeneration(session, request, results); !error.empty())
    return error;
  std::string text;
  for (const SequenceTokens &result : results) {
    for (size_t index = 0; index < result.tokens.size(); ++index)
      text += std::to_string(result.tokens[index]) + "/" + std::to_string(result.steps[index]) + " ";
    text += "| ";
  }
  return text;
}

} // namespace lariat::runtime

#endif // LARIAT_UNITTESTS_RUNTIME_DEVICE_REQUESTS_H
