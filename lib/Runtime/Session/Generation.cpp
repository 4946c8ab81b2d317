// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A batch as requests of an engine; request i is sequence i.

#include "lariat/Runtime/Session/BatchRunner.h"
#include "lariat/Runtime/Session/Session.h"

using namespace lariat;
using namespace lariat::runtime;

void Generation::collect() {
  for (const EngineToken &token : engine->getTokens()) {
    SequenceTokens &result = results[token.request];
    result.tokens.push_back(token.choice.token);
    result.steps.push_back(token.steps);
    tokens.push_back({token.request, token.choice, token.steps});
  }
  if (!engine->hasWaiting())
    engine->clearPrefixes(); // no request is to come that could begin with them
  for (const EngineEnd &end : engine->getEnds()) {
    SequenceTokens &result = results[end.request];
    result.finish = end.finish;
    if (end.finish != Finish::Failed)
      result.caches = countCaches(end.use, facts, loops);
    else if (failure.empty())
      failure = end.error;
  }
}

Status Generation::stop(int64_t sequence) {
  if (sequence < 0 || sequence >= static_cast<int64_t>(results.size()))
    return makeError("sequence ", sequence, " is not one of the ", results.size(), " of the request");
  Status status = engine->cancel(sequence);
  engine->receiveRequests();
  collect();
  return status;
}

Expected<std::span<const NewToken>> Generation::next() {
  tokens.clear();
  while (tokens.empty() && failure.empty() && engine->getNumUnfinished() > 0) {
    if (!poll.ask())
      engine->tick(&poll);
    if (poll.isStopped()) {
      failure = kStoppedMessage;
      break;
    }
    collect();
  }
  if (!failure.empty())
    return makeError(failure);
  return std::span<const NewToken>(tokens);
}
