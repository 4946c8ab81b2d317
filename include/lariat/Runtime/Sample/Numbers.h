// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Numbers in messages.

#ifndef LARIAT_RUNTIME_SAMPLE_NUMBERS_H
#define LARIAT_RUNTIME_SAMPLE_NUMBERS_H

#include <charconv>
#include <string>

namespace lariat::runtime {

/// The shortest text that reads back as `value`.
inline std::string formatNumber(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SAMPLE_NUMBERS_H
