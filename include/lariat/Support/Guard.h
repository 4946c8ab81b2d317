// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What keeps a tool from ending in a signal, whatever text it is given.

#ifndef LARIAT_SUPPORT_GUARD_H
#define LARIAT_SUPPORT_GUARD_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace lariat {

/// Deepest nesting of brackets, aliases counted, that IR text may have.
inline constexpr int64_t kMaxNesting = 1000;

/// Most digits of a number in IR text.
inline constexpr int64_t kMaxDigits = 4096;

/// Refuses IR text that nests deeper than kMaxNesting, with line and column: parsers, printers and passes of MLIR go
/// through nested types, attributes, regions and locations by recursion. A chain of signs counts as nesting. Refuses
/// also numbers of more than kMaxDigits digits, which take the parser minutes. Bytecode is left alone. `name` stands
/// before the place.
llvm::Error verifyNesting(llvm::StringRef text, llvm::StringRef name);

/// Runs `body` on a thread with a deep stack and returns its status. A fault of the program itself (memory, arithmetic,
/// abort) becomes a sentence on standard error and status 70. That is the last net, not a way to report errors.
int runGuarded(llvm::StringRef tool, llvm::function_ref<int()> body);

} // namespace lariat

#endif // LARIAT_SUPPORT_GUARD_H
