// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The facts of a module that decide about requests.

#ifndef LARIAT_REFERENCE_FACTS_H
#define LARIAT_REFERENCE_FACTS_H

#include "lariat/Compiler/ModelFacts.h"
#include "lariat/Requests/Facts.h"
#include "lariat/Runtime/Base/Status.h"

namespace lariat::reference {

requests::RequestFacts describeRequests(const ModelFacts &facts);

/// The sentence of a Status that failed.
llvm::Error toError(runtime::Error error);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_FACTS_H
