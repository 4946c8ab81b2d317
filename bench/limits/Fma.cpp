// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Peak of f32 fused multiply-add: independent chains that stay in registers, so that only the pipes are measured. A
// chain has a fixed point near 1 and therefore neither overflows nor becomes denormal. The factor is hidden from the
// compiler, or it drops a chain that starts at its fixed point; the chains are not, or they would go through memory.

#include "Kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lariat::limits {

namespace {

constexpr float kTerm = 0.001f;

/// Four lanes as the compiler has them on any machine: one NEON or SSE register.
using Quad = float __attribute__((vector_size(16)));

} // namespace

/// 0.999, which no compiler can see.
static float hiddenFactor() {
  volatile float factor = 0.999f;
  return factor;
}

#if defined(__x86_64__)

static float sumOf(const float *lanes, int numLanes) {
  float sum = 0;
  for (int lane = 0; lane < numLanes; ++lane)
    sum += lanes[lane];
  return sum;
}

__attribute__((target("avx512f"))) float fmaAvx512(int64_t numRounds) {
  __m512 chain[kChainsAvx512];
  for (int at = 0; at < kChainsAvx512; ++at)
    chain[at] = _mm512_set1_ps(1.0f + static_cast<float>(at));
  const __m512 factor = _mm512_set1_ps(hiddenFactor()), term = _mm512_set1_ps(kTerm);
  for (int64_t round = 0; round < numRounds; ++round) {
#pragma GCC unroll 24
    for (int at = 0; at < kChainsAvx512; ++at)
      chain[at] = _mm512_fmadd_ps(chain[at], factor, term);
  }
  for (int at = 1; at < kChainsAvx512; ++at)
    chain[0] = _mm512_add_ps(chain[0], chain[at]);
  float lanes[kLanesAvx512];
  _mm512_storeu_ps(lanes, chain[0]);
  return sumOf(lanes, kLanesAvx512);
}

__attribute__((target("avx2,fma"))) float fmaAvx2(int64_t numRounds) {
  __m256 chain[kChainsAvx2];
  for (int at = 0; at < kChainsAvx2; ++at)
    chain[at] = _mm256_set1_ps(1.0f + static_cast<float>(at));
  const __m256 factor = _mm256_set1_ps(hiddenFactor()), term = _mm256_set1_ps(kTerm);
  for (int64_t round = 0; round < numRounds; ++round) {
#pragma GCC unroll 12
    for (int at = 0; at < kChainsAvx2; ++at)
      chain[at] = _mm256_fmadd_ps(chain[at], factor, term);
  }
  for (int at = 1; at < kChainsAvx2; ++at)
    chain[0] = _mm256_add_ps(chain[0], chain[at]);
  float lanes[kLanesAvx2];
  _mm256_storeu_ps(lanes, chain[0]);
  return sumOf(lanes, kLanesAvx2);
}

#endif

float fmaPortable(int64_t numRounds) {
  Quad chain[kChainsPortable];
  for (int at = 0; at < kChainsPortable; ++at)
    chain[at] = Quad{} + (1.0f + static_cast<float>(at));
  const float factor = hiddenFactor();
  for (int64_t round = 0; round < numRounds; ++round) {
#pragma GCC unroll 12
    for (int at = 0; at < kChainsPortable; ++at)
      chain[at] = chain[at] * factor + kTerm; // contracted where the machine has the instruction
  }
  for (int at = 1; at < kChainsPortable; ++at)
    chain[0] += chain[at];
  return chain[0][0] + chain[0][1] + chain[0][2] + chain[0][3];
}

} // namespace lariat::limits
