// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generations that tests run to their end.

#ifndef LARIAT_UNITTESTS_RUNTIME_GENERATIONS_H
#define LARIAT_UNITTESTS_RUNTIME_GENERATIONS_H

#include "lariat/Runtime/Session/Session.h"

#include <string>
#include <vector>

namespace lariat::runtime {

/// Runs to the end; the message of a failure.
inline std::string runGeneration(Session &session, const requests::GenerateRequest &request,
                                 std::vector<SequenceTokens> &results) {
  Expected<std::unique_ptr<Generation>> generation = session.generate(request);
  if (!generation)
    return generation.text();
  for (;;) {
    Expected<std::span<const NewToken>> tokens = (*generation)->next();
    if (!tokens)
      return tokens.text();
    if (tokens->empty())
      break;
  }
  results = (*generation)->getResults();
  return {};
}

} // namespace lariat::runtime

#endif // LARIAT_UNITTESTS_RUNTIME_GENERATIONS_H
