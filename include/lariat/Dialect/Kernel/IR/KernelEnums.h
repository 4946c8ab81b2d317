// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Enumerations of the dialect `kernel`, and what artefacts call those that stand in compiled code. Their numbers agree:
// lib/Compiler/AbiAgreement.cpp proves it.

#ifndef LARIAT_DIALECT_KERNEL_IR_KERNELENUMS_H
#define LARIAT_DIALECT_KERNEL_IR_KERNELENUMS_H

#include "lariat/Artefact/LookUp.h"
#include "lariat/Artefact/RowTable.h"
#include "lariat/Artefact/SlotRule.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseMapInfo.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>

#include "lariat/Dialect/Kernel/KernelEnums.h.inc"

namespace lariat::kernel {

inline abi::LookUp toArtefact(LookUpKind kind) { return static_cast<abi::LookUp>(kind); }
inline LookUpKind fromArtefact(abi::LookUp lookUp) { return static_cast<LookUpKind>(lookUp); }
inline abi::SlotRule::Kind toArtefact(SlotKind kind) { return static_cast<abi::SlotRule::Kind>(kind); }
inline SlotKind fromArtefact(abi::SlotRule::Kind kind) { return static_cast<SlotKind>(kind); }
inline abi::RowColumn toArtefact(FactKind kind) { return static_cast<abi::RowColumn>(kind); }

} // namespace lariat::kernel

#endif // LARIAT_DIALECT_KERNEL_IR_KERNELENUMS_H
