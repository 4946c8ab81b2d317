// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. SHA-256 by OpenSSL's libcrypto.

#ifndef LARIAT_LIB_RUNTIME_LOAD_SHA256_H
#define LARIAT_LIB_RUNTIME_LOAD_SHA256_H

#include "lariat/Runtime/Base/Status.h"

#include <cstddef>
#include <span>
#include <string>

namespace lariat::runtime {

/// Digest as 64 lower-case hex digits.
Expected<std::string> computeSha256(std::span<const std::byte> bytes);

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_LOAD_SHA256_H
