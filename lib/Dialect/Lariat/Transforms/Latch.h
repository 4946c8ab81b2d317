// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to this library. Loops whose rows run on after their results are settled.

#ifndef LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_LATCH_H
#define LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_LATCH_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"

namespace lariat {

/// The carried bit that settles what is used of a loop: where it is set at the start of a step, the step leaves it and
/// each final value that anything uses as they are. Nothing where the loop has none, stops rows, has a fill region or
/// its steps are used. `missing = compute` makes such a loop, a model may have written one.
std::optional<unsigned> findLatch(RecurOp loop);

} // namespace lariat

#endif // LARIAT_LIB_DIALECT_LARIAT_TRANSFORMS_LATCH_H
