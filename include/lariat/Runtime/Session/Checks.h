// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. What a request may ask of a model; one sentence where it asks for too much, the same as on the
// reference path.

#ifndef LARIAT_RUNTIME_SESSION_CHECKS_H
#define LARIAT_RUNTIME_SESSION_CHECKS_H

#include "lariat/Runtime/Session/Facts.h"
#include "lariat/Runtime/Session/Request.h"

namespace lariat::runtime {

Status verifyScore(const SessionFacts &facts, const ScoreRequest &request);
Status verifyEncode(const SessionFacts &facts, const Request &request);
Status verifyGenerate(const SessionFacts &facts, const GenerateRequest &request);

/// Loop steps of a request: what it asks for, else the default, with or without an exit. `usesLoops`: the function takes
/// a number of loop steps.
Expected<int64_t> resolveLoops(const SessionFacts &facts, const Request &request, bool usesLoops);

/// The threshold: the request's, else the declared one, else `never`.
Expected<float> resolveThreshold(const SessionFacts &facts, const Request &request);

/// Whether the mode for missing entries, where one is given, is a choice.
Status verifyMissing(const SessionFacts &facts, const Request &request);

/// Whether rows may draft which run at most `loops` loop steps; success where none is asked to.
Status verifySpeculation(const SessionFacts &facts, const GenerateRequest &request, int64_t loops);
/// Whether rows may run one by one, where the order of the model at so many loop steps asks for it.
Status verifyOrder(const SessionFacts &facts, const Request &request, const std::string &mode, int64_t loops);

/// One state per sequence, of `width` columns; no columns: the model takes none.
Status verifyInitialState(const ScoreRequest &request, int64_t width);

/// Per sequence the number of rows that each depth keeps, nothing where the request says nothing; `numDepths` are those
/// that the model's router has.
Expected<std::vector<std::vector<int32_t>>> resolveCapacity(const ScoreRequest &request, int64_t numDepths);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_CHECKS_H
