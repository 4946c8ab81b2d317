// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Messages with what the system says.

#include "lariat/Runtime/Base/Status.h"

#include <system_error>

using namespace lariat::runtime;

Error lariat::runtime::makeSystemError(std::string_view doing, std::string_view place, int number) {
  return makeError("cannot ", doing, " ", place, ": ", std::generic_category().message(number));
}
