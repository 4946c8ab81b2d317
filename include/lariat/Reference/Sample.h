// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Choosing a token from logits.

#ifndef LARIAT_REFERENCE_SAMPLE_H
#define LARIAT_REFERENCE_SAMPLE_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>

namespace lariat::reference {

/// Temperature 0 takes the largest logit, the lower id on ties. Otherwise softmax(logits / temperature) is sampled with
/// noise that depends on seed and position alone. Nothing if a logit is not a number.
std::optional<int64_t> chooseToken(llvm::ArrayRef<float> logits, double temperature, uint64_t seed, int64_t position);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_SAMPLE_H
