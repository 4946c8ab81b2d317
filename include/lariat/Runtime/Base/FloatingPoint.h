// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The floating-point mode of the calling thread: a host program may have asked for subnormal
// numbers to be flushed or for another rounding, which would change results of compiled code.

#ifndef LARIAT_RUNTIME_BASE_FLOATINGPOINT_H
#define LARIAT_RUNTIME_BASE_FLOATINGPOINT_H

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lariat::runtime {

/// The mode in the machine's own encoding.
using FloatingPointMode = uint64_t;

#if defined(__x86_64__)

/// Round to nearest, no flushing, no exceptions that trap.
inline constexpr FloatingPointMode kDefaultFloatingPoint = 0x1f80;
inline FloatingPointMode readFloatingPoint() { return _mm_getcsr(); }
inline void writeFloatingPoint(FloatingPointMode mode) { _mm_setcsr(static_cast<unsigned>(mode)); }

#elif defined(__aarch64__)

inline constexpr FloatingPointMode kDefaultFloatingPoint = 0;
inline FloatingPointMode readFloatingPoint() {
  FloatingPointMode mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void writeFloatingPoint(FloatingPointMode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }

#else

inline constexpr FloatingPointMode kDefaultFloatingPoint = 0;
inline FloatingPointMode readFloatingPoint() { return 0; }
inline void writeFloatingPoint(FloatingPointMode) {}

#endif

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_FLOATINGPOINT_H
