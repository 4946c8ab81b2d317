// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy choice and sampling.

#include "lariat/Reference/Sample.h"

#include "lariat/Artefact/Noise.h"

#include <cmath>

using namespace lariat;
using namespace lariat::reference;

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
