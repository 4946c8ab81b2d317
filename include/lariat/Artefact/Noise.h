// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The noise of sampling: a hash of seed and position, never of a place in a batch or of what was drawn before, so that
// a sequence gives the same tokens in any company, and on the reference path and in the runtime alike.

#ifndef LARIAT_ARTEFACT_NOISE_H
#define LARIAT_ARTEFACT_NOISE_H

#include <cstdint>

namespace lariat {

/// The finaliser of splitmix64.
inline uint64_t mixBits(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// In [0, 1).
inline double drawUniform(uint64_t seed, int64_t position) {
  return static_cast<double>(mixBits(mixBits(seed) ^ static_cast<uint64_t>(position)) >> 11) * 0x1p-53;
}

} // namespace lariat

#endif // LARIAT_ARTEFACT_NOISE_H
