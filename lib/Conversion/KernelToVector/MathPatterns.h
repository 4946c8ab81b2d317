// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: functions of math as arithmetic, the same for vectors and scalars.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_MATHPATTERNS_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_MATHPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace lariat::vectors {

/// exp and exp2 in about one unit in the last place; tanh, logarithms, erf and expm1 by upstream's polynomials; the
/// rest by calls of the C library, entry by entry. What CPUs have instructions for stays.
void populateMathPatterns(mlir::RewritePatternSet &patterns);

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_MATHPATTERNS_H
