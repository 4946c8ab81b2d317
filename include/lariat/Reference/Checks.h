// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a request may ask of a model; one sentence where it asks for too much.

#ifndef LARIAT_REFERENCE_CHECKS_H
#define LARIAT_REFERENCE_CHECKS_H

#include "lariat/Reference/Session.h"

namespace lariat::reference {

/// Sequences, ids, context (with `numNew` more rows), prefix.
llvm::Error verifySequences(const ModelFacts &facts, const Request &request, int64_t numNew);

/// Loop steps of a request: what it asks for, else the default, with or without an exit.
llvm::Expected<int64_t> resolveLoops(const ModelFacts &facts, const Request &request);

/// The threshold: the request's, else the declared one, else `never`.
llvm::Expected<float> resolveThreshold(const ModelFacts &facts, const Request &request);

/// The mode for missing entries, nothing for the declared one.
llvm::Expected<std::optional<MissingMode>> resolveMissing(const ModelFacts &facts, const Request &request);

/// Whether rows may run one by one, where the order of the model at so many loop steps asks for it.
llvm::Error verifyOrder(const ModelFacts &facts, const Request &request, RunMode mode, int64_t loops);

/// Reads `state.I` for each sequence, or the only tensor where there is one sequence.
llvm::Expected<std::vector<HostTensor>> readInitialState(const ModelFacts &facts, const Request &request,
                                                         llvm::StringRef path);

/// Per sequence the number of rows that each depth keeps, nothing where the request says nothing.
llvm::Expected<std::vector<std::vector<int32_t>>> resolveCapacity(const ModelFacts &facts, const ScoreRequest &request);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_CHECKS_H
