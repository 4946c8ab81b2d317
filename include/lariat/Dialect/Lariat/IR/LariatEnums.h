// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Enumerations of the dialect `lariat`, and what artefacts call those that stand in manifests. Their numbers agree:
// lib/Compiler/AbiAgreement.cpp proves it.

#ifndef LARIAT_DIALECT_LARIAT_IR_LARIATENUMS_H
#define LARIAT_DIALECT_LARIAT_IR_LARIATENUMS_H

#include "lariat/Artefact/Modes.h"
#include "lariat/Artefact/SlotRule.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseMapInfo.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>

#include "lariat/Dialect/Lariat/LariatEnums.h.inc"

namespace lariat {

inline abi::RowOrder toArtefact(RowOrder order) { return static_cast<abi::RowOrder>(order); }
inline RowOrder fromArtefact(abi::RowOrder order) { return static_cast<RowOrder>(order); }
inline abi::MissingMode toArtefact(MissingMode mode) { return static_cast<abi::MissingMode>(mode); }

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_IR_LARIATENUMS_H
