// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// x86: bits of cpuid, and of xgetbv for the registers that a feature needs. Other machines: what their base
// architecture promises. A feature that is not in the table is one that this machine does not have.

#include "lariat/Runtime/Base/Features.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace lariat::runtime;

#if defined(__x86_64__)

namespace {

enum Register { Eax, Ebx, Ecx, Edx };
enum Registers { Any, Ymm, Zmm, Tiles }; // that the operating system has to keep

struct Feature {
  const char *name;
  unsigned leaf, subleaf;
  Register place;
  unsigned bit;
  Registers needs;
};

constexpr Feature kFeatures[] = {
    {"sse4.1", 1, 0, Ecx, 19, Any},
    {"sse4.2", 1, 0, Ecx, 20, Any},
    {"popcnt", 1, 0, Ecx, 23, Any},
    {"avx", 1, 0, Ecx, 28, Ymm},
    {"f16c", 1, 0, Ecx, 29, Ymm},
    {"fma", 1, 0, Ecx, 12, Ymm},
    {"bmi", 7, 0, Ebx, 3, Any},
    {"avx2", 7, 0, Ebx, 5, Ymm},
    {"bmi2", 7, 0, Ebx, 8, Any},
    {"avx512f", 7, 0, Ebx, 16, Zmm},
    {"avx512dq", 7, 0, Ebx, 17, Zmm},
    {"avx512ifma", 7, 0, Ebx, 21, Zmm},
    {"avx512cd", 7, 0, Ebx, 28, Zmm},
    {"avx512bw", 7, 0, Ebx, 30, Zmm},
    {"avx512vl", 7, 0, Ebx, 31, Zmm},
    {"avx512vbmi", 7, 0, Ecx, 1, Zmm},
    {"avx512vbmi2", 7, 0, Ecx, 6, Zmm},
    {"avx512vnni", 7, 0, Ecx, 11, Zmm},
    {"avx512bitalg", 7, 0, Ecx, 12, Zmm},
    {"avx512vpopcntdq", 7, 0, Ecx, 14, Zmm},
    {"avx512fp16", 7, 0, Edx, 23, Zmm},
    {"amx-bf16", 7, 0, Edx, 22, Tiles},
    {"amx-tile", 7, 0, Edx, 24, Tiles},
    {"amx-int8", 7, 0, Edx, 25, Tiles},
    {"avxvnni", 7, 1, Eax, 4, Ymm},
    {"avx512bf16", 7, 1, Eax, 5, Zmm},
    {"lzcnt", 0x80000001, 0, Ecx, 5, Any},
};

} // namespace

/// Bits of XCR0: which registers the operating system saves. 0 where it does not say.
static unsigned long long readSavedRegisters() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
    return 0;
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
}

static bool isThere(const Feature &feature, unsigned long long saved) {
  constexpr unsigned long long masks[] = {0, 0x6, 0xe6, 0x60006};
  unsigned long long mask = masks[feature.needs];
  unsigned words[4] = {};
  return (saved & mask) == mask &&
         __get_cpuid_count(feature.leaf, feature.subleaf, &words[Eax], &words[Ebx], &words[Ecx], &words[Edx]) &&
         (words[feature.place] & (1u << feature.bit));
}

static std::vector<std::string> detect() {
  std::vector<std::string> names;
  unsigned long long saved = readSavedRegisters();
  for (const Feature &feature : kFeatures)
    if (isThere(feature, saved))
      names.emplace_back(feature.name);
  return names;
}

#elif defined(__aarch64__)

static std::vector<std::string> detect() { return {"neon"}; }

#else

static std::vector<std::string> detect() { return {}; }

#endif

const std::vector<std::string> &lariat::runtime::getMachineFeatures() {
  static const std::vector<std::string> features = detect();
  return features;
}

bool lariat::runtime::machineHas(std::string_view feature) {
  const std::vector<std::string> &features = getMachineFeatures();
  return std::ranges::find(features, feature) != features.end();
}
