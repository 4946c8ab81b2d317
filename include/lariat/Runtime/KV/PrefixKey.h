// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. When two sequences have the same entries: under equal keys, in rows at the start with equal tokens and
// phases. Only models of free order have that: what a row computes depends on the rows before it and on nothing else.

#ifndef LARIAT_RUNTIME_KV_PREFIXKEY_H
#define LARIAT_RUNTIME_KV_PREFIXKEY_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace lariat::runtime {

/// What entries depend on beside rows. Loops start from zeros, so there is no seed of an initial state among it.
struct PrefixKey {
  std::string model; ///< Manifest::digest, which covers code, weights, KV policies and the exit rule
  std::string isa;   ///< whose code runs: bits may differ between ISAs
  std::string mode;
  std::optional<std::string> missing; ///< none: as declared
  int64_t loops = 1;
  float threshold = 0;
  int64_t prefix = 0; ///< rows at the start that see each other in both directions

  bool operator==(const PrefixKey &) const = default;
};

/// Rows of a sequence: tokens by position, those from `numPrompt` on generated.
struct PhasedTokens {
  std::span<const int64_t> tokens;
  int64_t numPrompt = 0;
};

/// Rows at the start of both with the same tokens and phases.
int64_t countCommonRows(const PhasedTokens &one, const PhasedTokens &other);

/// Rows of a request that are the same in a sequence under the same key. The last row of a request is none of them: its
/// logits are wanted. Neither are rows of a bidirectional prefix, unless all of it is the same.
int64_t countSparedRows(const PrefixKey &key, const PhasedTokens &request, const PhasedTokens &sequence);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_KV_PREFIXKEY_H
