// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Requests and answers as JSON, one a line.

#ifndef LARIAT_REFERENCE_PROTOCOL_H
#define LARIAT_REFERENCE_PROTOCOL_H

#include "lariat/Reference/Session.h"

namespace lariat::reference {

/// Writes one line of an answer.
using LineCallback = llvm::function_ref<void(llvm::json::Value)>;

/// Answers one request line: any number of lines of a stream, then {"ok": true, ...} or {"error": "one sentence"}.
///   {"call": "info"}
///   {"call": "score", "sequences": [[ids]], "output": "path", "initial_state": "path", OPTIONS}
///   {"call": "encode", "sequences", "output"}
///   {"call": "generate", "sequences", OPTIONS}
/// OPTIONS are those of lariat/Requests/Options.h. Tokens are chosen by temperature and seed alone.
void answerLine(Session &session, llvm::StringRef line, LineCallback write);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_PROTOCOL_H
