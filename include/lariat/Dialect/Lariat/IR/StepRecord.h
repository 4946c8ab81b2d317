// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `lariat.record`: which part of the seat record each result of @prelude is.

#ifndef LARIAT_DIALECT_LARIAT_IR_STEPRECORD_H
#define LARIAT_DIALECT_LARIAT_IR_STEPRECORD_H

#include "lariat/Artefact/StepRecord.h"
#include "mlir/IR/Operation.h"

#include <vector>

namespace lariat {

void setStepRecord(mlir::Operation *function, llvm::ArrayRef<abi::RecordPart> record);

/// Empty where a function has none.
std::vector<abi::RecordPart> getStepRecord(mlir::Operation *function);

/// Fails for an attribute that is no list of parts in their order.
mlir::LogicalResult verifyStepRecord(mlir::Operation *op, mlir::Attribute attr);

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_IR_STEPRECORD_H
