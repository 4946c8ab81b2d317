// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Read bandwidth: all bytes of a part, by vector loads that are joined by `or`. With one stream the addresses rise one
// by one; with four, four runs rise side by side, which keeps more of the memory system's queues busy. The better of
// the two is the limit: neither alone is, on every machine and at every size.

#include "Kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lariat::limits {

namespace {

/// Bytes read from one stream before the next one's turn.
constexpr size_t kRunBytes = 256;

using Words = uint64_t __attribute__((vector_size(16)));

} // namespace

#if defined(__x86_64__)

static uint64_t mixOf(const uint64_t *words, int numWords) {
  uint64_t mix = 0;
  for (int word = 0; word < numWords; ++word)
    mix |= words[word];
  return mix;
}

__attribute__((target("avx512f"))) uint64_t readAvx512(const char *part, size_t numBytes, int numStreams) {
  __m512i mix[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  const size_t streamBytes = numBytes / numStreams;
  for (size_t offset = 0; offset < streamBytes; offset += kRunBytes)
    for (int stream = 0; stream < numStreams; ++stream) {
      const char *from = part + stream * streamBytes + offset;
#pragma GCC unroll 4
      for (int at = 0; at < 4; ++at)
        mix[at] = _mm512_or_si512(mix[at], _mm512_loadu_si512(from + at * 64));
    }
  uint64_t words[8];
  _mm512_storeu_si512(words, _mm512_or_si512(_mm512_or_si512(mix[0], mix[1]), _mm512_or_si512(mix[2], mix[3])));
  return mixOf(words, 8);
}

__attribute__((target("avx2"))) uint64_t readAvx2(const char *part, size_t numBytes, int numStreams) {
  __m256i mix[8];
  for (__m256i &one : mix)
    one = _mm256_setzero_si256();
  const size_t streamBytes = numBytes / numStreams;
  for (size_t offset = 0; offset < streamBytes; offset += kRunBytes)
    for (int stream = 0; stream < numStreams; ++stream) {
      const char *from = part + stream * streamBytes + offset;
#pragma GCC unroll 8
      for (int at = 0; at < 8; ++at)
        mix[at] = _mm256_or_si256(mix[at], _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + at * 32)));
    }
  for (int at = 1; at < 8; ++at)
    mix[0] = _mm256_or_si256(mix[0], mix[at]);
  uint64_t words[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(words), mix[0]);
  return mixOf(words, 4);
}

#endif

uint64_t readPortable(const char *part, size_t numBytes, int numStreams) {
  Words mix[8] = {};
  const size_t streamBytes = numBytes / numStreams;
  for (size_t offset = 0; offset < streamBytes; offset += kRunBytes)
    for (int stream = 0; stream < numStreams; ++stream) {
      const char *from = part + stream * streamBytes + offset;
#pragma GCC unroll 16
      for (int at = 0; at < 16; ++at)
        mix[at % 8] |= *reinterpret_cast<const Words *>(from + at * 16);
    }
  for (int at = 1; at < 8; ++at)
    mix[0] |= mix[at];
  return mix[0][0] | mix[0][1];
}

std::vector<Kernels> availableKernels() {
  std::vector<Kernels> found;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    found.push_back({"avx512", fmaAvx512, int64_t{2} * kChainsAvx512 * kLanesAvx512, readAvx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    found.push_back({"avx2", fmaAvx2, int64_t{2} * kChainsAvx2 * kLanesAvx2, readAvx2});
#endif
  found.push_back({"portable", fmaPortable, int64_t{2} * kChainsPortable * kLanesPortable, readPortable});
  return found;
}

} // namespace lariat::limits
