// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The options of requests as callers give them: one JSON object, by the names of one table. The C interface, the
// protocol of the reference path and Python walk over it, so an option is a member of a request and a line of
// Options.cpp.

#ifndef LARIAT_REQUESTS_OPTIONS_H
#define LARIAT_REQUESTS_OPTIONS_H

#include "lariat/Requests/Request.h"
#include "lariat/Runtime/Base/Status.h"

#include <span>
#include <string_view>

namespace lariat::requests {

/// Sets what a JSON object in UTF-8 says. Null stands for the default. Refused: another type, and a key that is neither
/// an option of the kind of request nor one of `others`, which the caller reads.
runtime::Status readOptions(std::string_view text, ScoreRequest &request,
                            std::span<const std::string_view> others = {});
runtime::Status readOptions(std::string_view text, GenerateRequest &request,
                            std::span<const std::string_view> others = {});

/// One sentence where a request has what only the fast path does.
runtime::Status verifyReference(const GenerateRequest &request);

/// All options as JSON: [{"name", "calls": ["score", "generate"], "type", "default", "fast_only"}].
std::string describeOptions();

/// One sentence where an option is out of the range that it has for every model of so many tokens.
runtime::Status verifySampling(const SamplingOptions &options, int64_t vocab);

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_OPTIONS_H
