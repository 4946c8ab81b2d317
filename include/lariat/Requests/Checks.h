// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks of requests against a model. Errors are one sentence with what was found and what is expected.

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

/// Settings that hold for all rows of a request.
struct RowSettings {
  std::string mode;                   ///< "score" or "generate"
  std::optional<std::string> missing; ///< none: as declared
  int64_t loops = 1;
  float threshold = 0;
  bool mayExit = false;
};

/// The settings of a request, with what the model declares where it asks for nothing. An error where the model, or its
/// order of rows at so many loop steps, does not take them.
Expected<RowSettings> resolveSettings(const RequestFacts &facts, const Request &request, const std::string &mode);

/// Loop steps of a request: the number it asks for, else the default, with or without an exit.
Expected<int64_t> resolveLoops(const RequestFacts &facts, const Request &request);
/// The threshold: the request's, else the declared one, else `never`.
Expected<float> resolveThreshold(const RequestFacts &facts, const Request &request);

/// An error unless `missing` is none or one of the modes that a caller may pick.
Status verifyMissing(const RequestFacts &facts, const std::optional<std::string> &missing);

/// An error where a request asks rows that run at most `loops` loop steps to draft, and the model does not allow it.
Status verifySpeculation(const RequestFacts &facts, const GenerateRequest &request, int64_t loops);

/// An error unless there is one initial state per sequence, of the width that the model takes, or none at all.
Status verifyInitialState(const RequestFacts &facts, const ScoreRequest &request);

/// The number of rows that each depth keeps, [sequence][depth]; empty where the request does not say.
Expected<std::vector<std::vector<int32_t>>> resolveCapacity(const RequestFacts &facts, const ScoreRequest &request);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_CHECKS_H
