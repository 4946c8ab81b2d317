// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's parser recurses without a limit and keeps the last of two equal keys. Both are caught by a scan over brackets
// and strings before it runs. The scan trusts nothing: text that is no JSON at all is left to the parser to refuse.

#include "lariat/Support/Json.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace lariat;

namespace {

/// Walks over brackets and strings.
class Scan {
public:
  explicit Scan(StringRef text) : text(text) {}
  Error run();

private:
  /// The raw string that starts at the quote `at`, which moves behind it; text without a closing quote ends it.
  StringRef takeString();
  /// Whether the next character that is no space is a colon, so that the string before it is a key.
  bool isKey() const;
  Error enterKey(StringRef raw);

  StringRef text;
  size_t at = 0;
  SmallVector<StringSet<>> keys; ///< of each open bracket
};

} // namespace

StringRef Scan::takeString() {
  size_t begin = at++;
  while (at < text.size() && text[at] != '"')
    at += text[at] == '\\' ? 2 : 1;
  at = std::min(at + 1, text.size());
  return text.substr(begin, at - begin);
}

bool Scan::isKey() const { return text.substr(at).ltrim(" \t\r\n").starts_with(":"); }

Error Scan::enterKey(StringRef raw) {
  Expected<json::Value> key = json::parse(raw);
  if (!key) {
    consumeError(key.takeError());
    return Error::success();
  }
  std::optional<StringRef> name = key->getAsString();
  if (name && !keys.empty() && !keys.back().insert(*name).second)
    return makeError("key '" + *name + "' is there twice");
  return Error::success();
}

Error Scan::run() {
  while (at < text.size()) {
    char c = text[at];
    if (c == '"') {
      StringRef raw = takeString();
      if (isKey())
        if (Error error = enterKey(raw))
          return error;
      continue;
    }
    ++at;
    if (c == '{' || c == '[') {
      if (keys.size() == lariat::kMaxJsonNesting)
        return makeError("brackets are nested more than " + Twine(lariat::kMaxJsonNesting) + " deep at byte " +
                         Twine(at - 1));
      keys.emplace_back();
    } else if ((c == '}' || c == ']') && !keys.empty()) {
      keys.pop_back();
    }
  }
  return Error::success();
}

Expected<json::Value> lariat::parseJson(StringRef text) {
  if (Error error = Scan(text).run())
    return std::move(error);
  return json::parse(text);
}

/// Python writes and reads numbers that JSON does not have: outside of strings they become null.
static std::string replaceNonNumbers(StringRef text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    StringRef rest = text.substr(at);
    size_t length = 1;
    if (rest.front() == '"') {
      while (length < rest.size() && rest[length] != '"')
        length += rest[length] == '\\' ? 2 : 1;
      length = std::min(length + 1, rest.size());
    } else if (StringRef number = rest;
               number.consume_front("NaN") || number.consume_front("Infinity") || number.consume_front("-Infinity")) {
      result += "null";
      at += rest.size() - number.size();
      continue;
    }
    result += rest.take_front(length);
    at += length;
  }
  return result;
}

bool lariat::isLfsPointer(StringRef content) { return content.starts_with("version https://git-lfs"); }

Error lariat::makeLfsError(StringRef path) {
  return makeError(path +
                   " is a git-lfs pointer, not the file itself: 'git lfs pull' in the checkpoint's clone fetches it");
}

Expected<json::Value> lariat::parseJsonFile(StringRef path, uint64_t maxBytes) {
  uint64_t size = 0;
  if (std::error_code code = sys::fs::file_size(path, size))
    return makeError("cannot read " + path + ": " + code.message());
  if (size > maxBytes)
    return makeError(path + " has " + Twine(size) + " bytes, expected at most " + Twine(maxBytes));
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("cannot read " + path + ": " + buffer.getError().message());
  StringRef text = (*buffer)->getBuffer();
  if (isLfsPointer(text))
    return makeLfsError(path);
  text.consume_front(kByteOrderMark);
  Expected<json::Value> value = parseJson(text);
  if (!value && (text.contains("NaN") || text.contains("Infinity"))) {
    consumeError(value.takeError());
    value = parseJson(replaceNonNumbers(text));
  }
  if (!value)
    return makeError(path + " is not valid JSON: " + toString(value.takeError()));
  return value;
}
