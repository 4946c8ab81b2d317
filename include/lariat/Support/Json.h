// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JSON that comes from outside: what LLVM's parser takes, minus duplicate keys and nesting that would exhaust the
// stack. Files may begin with a byte order mark and hold Python's NaN and Infinity, which are read as null.

#ifndef LARIAT_SUPPORT_JSON_H
#define LARIAT_SUPPORT_JSON_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace lariat {

/// Deepest nesting of arrays and objects accepted.
inline constexpr unsigned kMaxJsonNesting = 64;

/// What some editors put before UTF-8 text.
inline constexpr llvm::StringLiteral kByteOrderMark = "\xef\xbb\xbf";

/// Whether `content` stands for a file that git-lfs has not filled in, and the error for it.
bool isLfsPointer(llvm::StringRef content);
llvm::Error makeLfsError(llvm::StringRef path);

/// Parses `text`; errors name the byte or the key, not the file.
llvm::Expected<llvm::json::Value> parseJson(llvm::StringRef text);

/// The same for a file; errors name it. `maxBytes` bounds what is read.
llvm::Expected<llvm::json::Value> parseJsonFile(llvm::StringRef path, uint64_t maxBytes = uint64_t(1) << 28);

} // namespace lariat

#endif // LARIAT_SUPPORT_JSON_H
