// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two loops whose speed is a limit of the machine: f32 fused multiply-add in registers, and reading memory. Each
// exists once per ISA; `isa` picks among those that this processor runs.

#ifndef LARIAT_BENCH_LIMITS_KERNELS_H
#define LARIAT_BENCH_LIMITS_KERNELS_H

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lariat::limits {

/// Runs `numRounds` rounds of independent multiply-add chains and returns their sum, so that the work is not dropped.
using FmaLoop = float (*)(int64_t numRounds);

/// Reads every byte of `part` once in `numStreams` (1 or 4) interleaved runs and returns a mix of all of them.
using ReadLoop = uint64_t (*)(const char *part, size_t numBytes, int numStreams);

/// The loops of one ISA.
struct Kernels {
  std::string_view isa;
  FmaLoop fma;
  /// Floating-point operations of one round.
  int64_t flopsPerRound;
  ReadLoop read;
};

/// What this processor runs, widest vectors first; never empty.
std::vector<Kernels> availableKernels();

/// Parts given to `ReadLoop` start at and span multiples of this.
inline constexpr size_t kReadUnitBytes = 4096;

// --- one definition per ISA, in Fma.cpp and Read.cpp ---
#if defined(__x86_64__)
float fmaAvx512(int64_t numRounds);
float fmaAvx2(int64_t numRounds);
uint64_t readAvx512(const char *part, size_t numBytes, int numStreams);
uint64_t readAvx2(const char *part, size_t numBytes, int numStreams);
#endif
float fmaPortable(int64_t numRounds);
uint64_t readPortable(const char *part, size_t numBytes, int numStreams);

/// Accumulators of each multiply-add loop: enough for a latency of 4 cycles on 2 pipes, few enough for the registers.
inline constexpr int kChainsAvx512 = 24, kChainsAvx2 = 12, kChainsPortable = 12;
inline constexpr int kLanesAvx512 = 16, kLanesAvx2 = 8, kLanesPortable = 4;

} // namespace lariat::limits

#endif // LARIAT_BENCH_LIMITS_KERNELS_H
