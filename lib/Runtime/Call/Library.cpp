// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of the C library for compiled code, which has no undefined symbols. The list below has its own order; a
// function is found by its name, and names are compared with those of the ABI when this file is compiled.

#include "ModelState.h"

#include <array>
#include <cstring>
#include <math.h>
#include <string_view>

using namespace lariat;

// Each by its name of f64, with how many arguments it takes; its name of f32 has an f behind it.
#define LARIAT_MATH_FUNCTIONS(UNARY, BINARY, TERNARY)                                                                  \
  UNARY(acos)                                                                                                          \
  UNARY(acosh)                                                                                                         \
  UNARY(asin)                                                                                                          \
  UNARY(asinh)                                                                                                         \
  UNARY(atan)                                                                                                          \
  UNARY(atanh)                                                                                                         \
  UNARY(cbrt)                                                                                                          \
  UNARY(ceil)                                                                                                          \
  UNARY(cos)                                                                                                           \
  UNARY(cosh)                                                                                                          \
  UNARY(erf)                                                                                                           \
  UNARY(erfc)                                                                                                          \
  UNARY(exp)                                                                                                           \
  UNARY(exp2)                                                                                                          \
  UNARY(expm1)                                                                                                         \
  UNARY(floor)                                                                                                         \
  UNARY(log)                                                                                                           \
  UNARY(log10)                                                                                                         \
  UNARY(log1p)                                                                                                         \
  UNARY(log2)                                                                                                          \
  UNARY(round)                                                                                                         \
  UNARY(roundeven)                                                                                                     \
  UNARY(sin)                                                                                                           \
  UNARY(sinh)                                                                                                          \
  UNARY(sqrt)                                                                                                          \
  UNARY(tan)                                                                                                           \
  UNARY(tanh)                                                                                                          \
  UNARY(trunc)                                                                                                         \
  BINARY(atan2)                                                                                                        \
  BINARY(fmod)                                                                                                         \
  BINARY(pow)                                                                                                          \
  TERNARY(fma)

#define LARIAT_NAMES(function) #function "f", #function,
static constexpr std::string_view kNames[] = {"memcpy", "memmove", "memset",
                                              LARIAT_MATH_FUNCTIONS(LARIAT_NAMES, LARIAT_NAMES, LARIAT_NAMES)};

static constexpr size_t kNumFunctions = std::size(kNames);

/// Place of a name in the list, or its size.
static constexpr size_t find(std::string_view name) {
  size_t index = 0;
  while (index < kNumFunctions && kNames[index] != name)
    ++index;
  return index;
}

static constexpr bool areSameNames() {
  for (const char *name : abi::kLibraryFunctions)
    if (find(name) == kNumFunctions)
      return false;
  return std::size(abi::kLibraryFunctions) == kNumFunctions;
}
static_assert(areSameNames(), "abi::kLibraryFunctions and the list above have the same names");

// <cmath> adds overloads to some of them: the cast says which is meant.
template <typename T>
using Unary = T (*)(T);
template <typename T>
using Binary = T (*)(T, T);
template <typename T>
using Ternary = T (*)(T, T, T);

#define LARIAT_ADDRESS(kind, type, function) reinterpret_cast<void *>(static_cast<kind<type>>(&::function)),
#define LARIAT_UNARY(function) LARIAT_ADDRESS(Unary, float, function##f) LARIAT_ADDRESS(Unary, double, function)
#define LARIAT_BINARY(function) LARIAT_ADDRESS(Binary, float, function##f) LARIAT_ADDRESS(Binary, double, function)
#define LARIAT_TERNARY(function) LARIAT_ADDRESS(Ternary, float, function##f) LARIAT_ADDRESS(Ternary, double, function)

void *const *runtime::getLibrary() {
  static const std::array<void *, kNumFunctions> library = [] {
    void *const addresses[] = {reinterpret_cast<void *>(&std::memcpy), reinterpret_cast<void *>(&std::memmove),
                               reinterpret_cast<void *>(&std::memset),
                               LARIAT_MATH_FUNCTIONS(LARIAT_UNARY, LARIAT_BINARY, LARIAT_TERNARY)};
    static_assert(std::size(addresses) == kNumFunctions);
    std::array<void *, kNumFunctions> result{};
    for (size_t index = 0; index < kNumFunctions; ++index)
      result[index] = addresses[find(abi::kLibraryFunctions[index])];
    return result;
  }();
  return library.data();
}
