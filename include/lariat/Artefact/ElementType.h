// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Types of elements in ports, caches and states. Manifests name them as MLIR prints them.

#ifndef LARIAT_ARTEFACT_ELEMENTTYPE_H
#define LARIAT_ARTEFACT_ELEMENTTYPE_H

#include "lariat/Artefact/Names.h"

#include <cstdint>

namespace lariat::abi {

enum class ElementType { F32, BF16, I32, Index, I1 };

template <>
inline constexpr std::array<NamedValue<ElementType>, 5> kNames<ElementType> = {{{ElementType::F32, "f32"},
                                                                                {ElementType::BF16, "bf16"},
                                                                                {ElementType::I32, "i32"},
                                                                                {ElementType::Index, "index"},
                                                                                {ElementType::I1, "i1"}}};

/// Bytes of an element in memory: i1 is a byte, index eight.
constexpr int64_t getElementBytes(ElementType type) {
  switch (type) {
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::BF16:
    return 2;
  case ElementType::Index:
    return 8;
  case ElementType::I1:
    return 1;
  }
  return 0;
}

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_ELEMENTTYPE_H
