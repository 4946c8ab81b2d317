// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How deep IR text nests, from its brackets and aliases alone. Text that is no IR at all may pass: the parser refuses
// it.

#include "lariat/Support/Error.h"
#include "lariat/Support/Guard.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace lariat;

namespace {

/// Goes through the text once.
class NestingScanner {
public:
  explicit NestingScanner(llvm::StringRef text) : text(text) {}

  /// The first place that is too deep, or inside a number that is too long; npos if there is none.
  size_t findFault();
  bool isTooDeep() const { return deepest > kMaxNesting; }

private:
  void skipString();
  void skipComment();
  void skipWord();
  /// `#name` or `!name`: defines an alias where `=` follows at the start of a line, else stands for what it is.
  void readAlias();
  void open(int64_t levels) { deepest = std::max(deepest, depth + levels); }
  void endDefinition();
  bool isAt(llvm::StringRef word) const { return text.substr(place).starts_with(word); }

  llvm::StringRef text;
  size_t place = 0;
  int64_t depth = 0, deepest = 0; ///< deepest: of the definition that is being read
  int64_t numSigns = 0;           ///< minus signs in a row
  llvm::StringRef defined;        ///< the alias it defines
  llvm::StringMap<int64_t> aliases;
};

} // namespace

void NestingScanner::skipString() {
  for (++place; place < text.size() && text[place] != '"' && text[place] != '\n'; ++place)
    if (text[place] == '\\')
      ++place;
}

void NestingScanner::skipComment() {
  if (isAt("// -----")) // the next module of a split file
    depth = 0;
  place = std::min(text.find('\n', place), text.size());
}

void NestingScanner::endDefinition() {
  if (!defined.empty())
    aliases[defined] = deepest;
  defined = {};
  deepest = 0;
}

void NestingScanner::readAlias() {
  bool startsLine = place == 0 || text[place - 1] == '\n';
  size_t end = place + 1;
  while (end < text.size() && (llvm::isAlnum(text[end]) || llvm::StringRef("_$.").contains(text[end])))
    ++end;
  llvm::StringRef name = text.slice(place, end);
  place = end - 1;
  if (startsLine && depth == 0 && text.substr(end).ltrim(" \t").starts_with("=")) {
    endDefinition();
    defined = name;
    return;
  }
  if (auto known = aliases.find(name); known != aliases.end())
    open(known->second + 1);
}

void NestingScanner::skipWord() {
  while (place + 1 < text.size() && llvm::isAlnum(text[place + 1]))
    ++place;
}

size_t NestingScanner::findFault() {
  for (; place < text.size(); ++place) {
    size_t start = place;
    if (text[place] != '-' && !llvm::isSpace(text[place]))
      numSigns = 0;
    switch (text[place]) {
    case '"':
      skipString();
      break;
    case '/':
      if (isAt("//"))
        skipComment();
      break;
    case '#':
    case '!':
      readAlias();
      break;
    case '-':
      if (isAt("->"))
        ++place;
      else
        open(++numSigns);
      break;
    case '<':
    case '>':
      if (place + 1 < text.size() && text[place + 1] == '=') {
        ++place;
        break;
      }
      [[fallthrough]];
    default:
      if (llvm::StringRef("([{<").contains(text[place])) {
        ++depth;
        open(0);
      } else if (llvm::StringRef(")]}>").contains(text[place])) {
        depth = std::max<int64_t>(depth - 1, 0);
      } else if (llvm::isAlnum(text[place])) {
        skipWord();
        if (llvm::isDigit(text[start]) && place - start >= static_cast<size_t>(kMaxDigits))
          return start;
      }
    }
    if (isTooDeep())
      return std::min(place, text.size() - 1);
    if (depth == 0 && place < text.size() && text[place] == '%')
      endDefinition();
  }
  return llvm::StringRef::npos;
}

llvm::Error lariat::verifyNesting(llvm::StringRef text, llvm::StringRef name) {
  if (text.starts_with("ML\xefR"))
    return llvm::Error::success();
  NestingScanner scanner(text);
  size_t place = scanner.findFault();
  if (place == llvm::StringRef::npos)
    return llvm::Error::success();
  llvm::StringRef before = text.take_front(place);
  size_t line = before.count('\n') + 1, column = place - (before.rfind('\n') + 1) + 1;
  std::string at = (name + ":" + llvm::Twine(line) + ":" + llvm::Twine(column) + ": ").str();
  return scanner.isTooDeep() ? makeError(at + "nested deeper than " + llvm::Twine(kMaxNesting))
                             : makeError(at + "a number has more than " + llvm::Twine(kMaxDigits) + " digits");
}
