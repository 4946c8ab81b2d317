// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. A request that waits or runs, as all parts of the engine see it.

#ifndef LARIAT_LIB_RUNTIME_ENGINE_REQUESTSTATE_H
#define LARIAT_LIB_RUNTIME_ENGINE_REQUESTSTATE_H

#include "lariat/Runtime/Engine/Engine.h"

#include <algorithm>

namespace lariat::runtime {

struct Engine::RequestState {
  RequestState(int64_t number, EngineRequest asked, std::optional<PrefixKey> key, std::vector<int64_t> stepBounds)
      : number(number), request(std::move(asked)), stepBounds(std::move(stepBounds)),
        sampler(request.sampling, request.endTokens), tokens(request.prompt), key(std::move(key)) {
    sampler.addPrompt(request.prompt);
  }

  int64_t number, started = 0;
  EngineRequest request;
  std::vector<int64_t> stepBounds; ///< EnginePolicy::getStepBounds
  Sampler sampler;
  std::vector<int64_t> tokens; ///< of the prompt, then generated
  int64_t numDrafted = 0;      ///< of the tokens, the last ones: not verified yet
  Acceptance acceptance;
  int64_t next = 0; ///< position of the first row that has not been added to the scheduler
  std::unique_ptr<Sequence> sequence;
  std::optional<PrefixKey> key; ///< none: it shares no rows
  int64_t awaited = -1;         ///< request that is about to have `awaitedRows` in common with it
  int64_t awaitedRows = 0;
  std::vector<int64_t> seats;         ///< of its rows in the scheduler
  size_t numDone = 0;                 ///< the first ones, whose @coda has run
  Finish ending = Finish::Unfinished; ///< it has all tokens, and rows that still have entries to store
  Finish finish = Finish::Unfinished;

  PhasedTokens getRows() const { return {tokens, static_cast<int64_t>(request.prompt.size())}; }
  /// Rows that have left the scheduler with all their entries.
  int64_t getNumSettled() const { return next - static_cast<int64_t>(seats.size()); }
  /// Where a row at a position is among its seats.
  size_t getPlace(int64_t position) const { return static_cast<size_t>(position - getNumSettled()); }
  /// What a row at a position has to wait for.
  RowOrder getOrder(int64_t position) const {
    return position < static_cast<int64_t>(request.prompt.size()) ? request.promptOrder : request.generatedOrder;
  }
  /// Verified tokens.
  int64_t getNumGenerated() const { return static_cast<int64_t>(tokens.size() - request.prompt.size()) - numDrafted; }
  /// Whether a row at a position has run all the loop steps that a measurement gives it.
  bool isBound(int64_t position, int64_t steps) const {
    return !stepBounds.empty() && steps >= stepBounds[position % static_cast<int64_t>(stepBounds.size())];
  }
  bool isEnd(int64_t token) const { return sampler.isEnd(token); }
  int64_t getFlags(int64_t position) const {
    return (position < request.prefix ? abi::kPrefix : 0) |
           (position >= static_cast<int64_t>(request.prompt.size()) ? abi::kGenerated : 0) |
           (position + 1 + numDrafted >= static_cast<int64_t>(tokens.size()) ? abi::kWanted : 0);
  }
};

/// A request that runs, or that a plan starts.
struct Engine::ActiveRequest {
  const RequestState *one = nullptr;
  int64_t numSettled = 0;

  int64_t getNumber() const { return one->number; }
};

/// Whether a row has left the loop.
inline bool isOut(const FlightRow &row) {
  return row.progress == RowProgress::StoringKV || row.progress == RowProgress::Settled;
}

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_ENGINE_REQUESTSTATE_H
