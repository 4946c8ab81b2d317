// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SHA-256 by OpenSSL's libcrypto, in the form that manifests write it.

#include "Sha256.h"

#include <openssl/evp.h>

using namespace lariat::runtime;

Expected<std::string> lariat::runtime::computeSha256(std::span<const std::byte> bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), /*engine=*/nullptr) != 1 || size != 32)
    return makeError("libcrypto cannot compute SHA-256");
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : std::span(digest, size)) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}
