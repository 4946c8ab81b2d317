// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether results of a module depend on how a prompt is cut into calls, beyond what its policies declare.

#ifndef LARIAT_COMPILER_CUTDEPENDENCE_H
#define LARIAT_COMPILER_CUTDEPENDENCE_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace lariat {

/// Why results depend on cuts, as the end of a sentence; empty where they do not. It errs on the side of a reason.
///
/// A row sees what rows of earlier calls left when they were done, and of rows of its own call what they have appended
/// by then. That is the same if every append of a call whose entry an attend may show runs before the attend.
std::string findCutDependence(mlir::ModuleOp module);

} // namespace lariat

#endif // LARIAT_COMPILER_CUTDEPENDENCE_H
