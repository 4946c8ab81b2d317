// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SHA-256 by libcrypto's EVP interface. A failure of any call, such as a configuration without the algorithm, is kept
// and leaves no digest.

#include "lariat/Artefact/Sha256.h"

#include <openssl/evp.h>

using namespace lariat;

struct Sha256::Context {
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  bool ok = digest && EVP_DigestInit_ex(digest, EVP_sha256(), /*engine=*/nullptr) == 1;

  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context(std::make_unique<Context>()) {}
Sha256::Sha256(Sha256 &&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  context->ok = context->ok && EVP_DigestUpdate(context->digest, bytes.data(), bytes.size()) == 1;
}

std::optional<std::string> Sha256::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  context->ok = context->ok && EVP_DigestFinal_ex(context->digest, digest, &size) == 1 && size == 32;
  if (!context->ok)
    return std::nullopt;
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : std::span(digest, size)) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<std::string> lariat::computeSha256(std::span<const std::byte> bytes) {
  Sha256 sum;
  sum.update(bytes);
  return sum.finish();
}
