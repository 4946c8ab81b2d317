// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in messages.

#ifndef LARIAT_REQUESTS_NUMBERS_H
#define LARIAT_REQUESTS_NUMBERS_H

#include <charconv>
#include <string>

namespace lariat::requests {

/// The shortest text that reads back as `value`.
inline std::string formatNumber(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_NUMBERS_H
