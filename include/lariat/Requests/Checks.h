// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a request may ask of a model; one sentence where it asks for too much.

#ifndef LARIAT_REQUESTS_CHECKS_H
#define LARIAT_REQUESTS_CHECKS_H

#include "lariat/Requests/Facts.h"
#include "lariat/Requests/Request.h"
#include "lariat/Runtime/Base/Status.h"

namespace lariat::requests {

using runtime::Expected;
using runtime::Status;

Status verifyScore(const RequestFacts &facts, const ScoreRequest &request);
Status verifyEncode(const RequestFacts &facts, const Request &request);
Status verifyGenerate(const RequestFacts &facts, const GenerateRequest &request);

/// What a request asks of all its rows.
struct RowSettings {
  std::string mode;                   ///< "score" or "generate"
  std::optional<std::string> missing; ///< none: as declared
  int64_t loops = 1;
  float threshold = 0;
  bool mayExit = false;
};

/// What a request asks of its rows, with what the model declares where it asks for nothing; an error where the model does
/// not take it, or its order at so many loop steps does not.
Expected<RowSettings> resolveSettings(const RequestFacts &facts, const Request &request, const std::string &mode);

/// Loop steps of a request: what it asks for, else the default, with or without an exit.
Expected<int64_t> resolveLoops(const RequestFacts &facts, const Request &request);
/// The threshold: the request's, else the declared one, else `never`.
Expected<float> resolveThreshold(const RequestFacts &facts, const Request &request);

/// Whether the mode for missing entries, where one is given, is a choice.
Status verifyMissing(const RequestFacts &facts, const std::optional<std::string> &missing);

/// Whether rows may draft which run at most `loops` loop steps; success where none is asked to.
Status verifySpeculation(const RequestFacts &facts, const GenerateRequest &request, int64_t loops);

/// One state per sequence, of the width that the model takes.
Status verifyInitialState(const RequestFacts &facts, const ScoreRequest &request);

/// Per sequence the number of rows that each depth keeps, nothing where the request says nothing.
Expected<std::vector<std::vector<int32_t>>> resolveCapacity(const RequestFacts &facts, const ScoreRequest &request);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_CHECKS_H
