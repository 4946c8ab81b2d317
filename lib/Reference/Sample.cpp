// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy choice and sampling. The noise of a position is a hash of seed and position, never of a place in a batch or of
// what was drawn before, so a sequence gives the same tokens in any company.

#include "lariat/Reference/Sample.h"

#include <cmath>

using namespace lariat::reference;

/// The finaliser of splitmix64.
static uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// In [0, 1).
static double drawUniform(uint64_t seed, int64_t position) {
  return static_cast<double>(mix(mix(seed) ^ static_cast<uint64_t>(position)) >> 11) * 0x1p-53;
}

std::optional<int64_t> lariat::reference::chooseToken(llvm::ArrayRef<float> logits, double temperature, uint64_t seed,
                                                      int64_t position) {
  int64_t best = 0;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (std::isnan(logits[id]))
      return std::nullopt;
    if (logits[id] > logits[best])
      best = static_cast<int64_t>(id);
  }
  if (temperature <= 0 || !std::isfinite(logits[best]))
    return best;
  double total = 0;
  for (float logit : logits)
    total += std::exp((double(logit) - double(logits[best])) / temperature);
  double wanted = drawUniform(seed, position) * total, sum = 0;
  int64_t chosen = best;
  for (size_t id = 0; id < logits.size(); ++id) {
    double weight = std::exp((double(logits[id]) - double(logits[best])) / temperature);
    sum += weight;
    if (weight > 0)
      chosen = static_cast<int64_t>(id);
    if (sum > wanted)
      break;
  }
  return chosen;
}
