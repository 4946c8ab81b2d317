// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes over the dialect `lariat`; dialects/Lariat/LariatPasses.td describes each.

#ifndef LARIAT_DIALECT_LARIAT_TRANSFORMS_PASSES_H
#define LARIAT_DIALECT_LARIAT_TRANSFORMS_PASSES_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
namespace arith {
class ArithDialect;
}
namespace linalg {
class LinalgDialect;
}
namespace math {
class MathDialect;
}
namespace scf {
class SCFDialect;
}
namespace tensor {
class TensorDialect;
}
} // namespace mlir

namespace lariat {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_TRANSFORMS_PASSES_H
