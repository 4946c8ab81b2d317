// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How IR that fails is made smaller, beyond leaving ops out.

#ifndef LARIAT_TOOLS_REDUCTIONPATTERNS_H
#define LARIAT_TOOLS_REDUCTIONPATTERNS_H

#include "mlir/IR/DialectRegistry.h"

namespace lariat {

/// Adds the patterns to the dialect `lariat`, for MLIR's reduction passes. They keep IR valid, not what it computes.
void registerReductionPatterns(mlir::DialectRegistry &registry);

} // namespace lariat

#endif // LARIAT_TOOLS_REDUCTIONPATTERNS_H
