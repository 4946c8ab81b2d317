// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialects a model may use, and what the pipelines need of them.

#ifndef LARIAT_COMPILER_DIALECTS_H
#define LARIAT_COMPILER_DIALECTS_H

#include "mlir/IR/DialectRegistry.h"

namespace lariat {

/// Registers `lariat` and the upstream dialects that models and pipelines use, with their interfaces.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace lariat

#endif // LARIAT_COMPILER_DIALECTS_H
