// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The checksum of manifests: SHA-256 by OpenSSL's libcrypto, for compiler and runtime alike. It counts bits in 64 bits
// (LLVM's counts them in 32, which is wrong from 512 MiB on) and uses the processor's instructions.

#ifndef LARIAT_ARTEFACT_SHA256_H
#define LARIAT_ARTEFACT_SHA256_H

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lariat {

/// Hashes bytes that come in pieces.
class Sha256 {
public:
  Sha256();
  Sha256(Sha256 &&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes) { update(std::as_bytes(std::span(bytes))); }
  /// The digest as 64 lower-case hex digits; nothing where libcrypto failed at any point. Nothing may follow.
  std::optional<std::string> finish();

private:
  struct Context;
  std::unique_ptr<Context> context;
};

/// Digest of bytes in memory.
std::optional<std::string> computeSha256(std::span<const std::byte> bytes);

} // namespace lariat

#endif // LARIAT_ARTEFACT_SHA256_H
