// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// States before the loop, from a file.

#ifndef LARIAT_REFERENCE_INITIALSTATE_H
#define LARIAT_REFERENCE_INITIALSTATE_H

#include "lariat/Reference/Call.h"
#include "lariat/Requests/Request.h"

namespace lariat::reference {

/// Reads `state.I` for each sequence, or the only tensor where there is one sequence; `width` columns, 0 where the
/// model takes no state.
llvm::Expected<std::vector<HostTensor>> readInitialState(const requests::Request &request, llvm::StringRef path,
                                                         int64_t width);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_INITIALSTATE_H
