// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads fields of JSON objects with their types checked.

#include "ManifestFields.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace lariat::manifest;
using nlohmann::json;

static const json kNothing;

/// A value as a message shows it, cut where it is long.
static std::string show(const json &value) {
  if (value.is_null())
    return "nothing";
  if (value.is_structured())
    return value.is_array() ? "a list" : "an object";
  std::string text = value.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  return text.size() > 40 ? text.substr(0, 37) + "..." : text;
}

Reader::Reader(const json &value, std::string place, std::string &problem)
    : value(value), place(std::move(place)), problem(problem) {
  require(value.is_object(), "expected an object, found ", show(value));
}

const json &Reader::get(const char *key) {
  if (std::ranges::find(known, key) == known.end())
    known.emplace_back(key);
  if (!value.is_object())
    return kNothing;
  auto it = value.find(key);
  return it == value.end() ? kNothing : *it;
}

std::vector<std::string> Reader::listKeys() const {
  std::vector<std::string> keys;
  if (value.is_object())
    for (auto it = value.begin(); it != value.end(); ++it)
      keys.push_back(it.key());
  return keys;
}

void Reader::verifyKeys() {
  for (const std::string &key : listKeys())
    require(std::ranges::find(known, key) != known.end(), "'", key, "' is no key of this version");
}

void Reader::failKind(const char *key, std::string_view expected, const json &found) {
  require(false, "'", key, "': expected ", expected, ", found ", show(found));
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

int64_t Reader::readInteger(const char *key, const json &found, int64_t low, int64_t high) {
  constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  bool fits = found.is_number_unsigned() ? found.get<uint64_t>() <= most : found.is_number_integer();
  if (fits)
    if (auto number = found.get<int64_t>(); number >= low && number <= high)
      return number;
  require(false, "'", key, "': expected an integer from ", low, " to ", high, ", found ", show(found));
  return low;
}

void Reader::integer(const char *key, int64_t &result, int64_t low, int64_t high) {
  result = readInteger(key, get(key), low, high);
}

void Reader::optionalInteger(const char *key, std::optional<int64_t> &result, int64_t low, int64_t high) {
  if (has(key))
    result = readInteger(key, get(key), low, high);
}

void Reader::derived(const char *key, int64_t expected) {
  const json &found = get(key);
  if (found != expected)
    failKind(key, std::to_string(expected) + ", as other keys say", found);
}

void Reader::integers(const char *key, std::vector<int64_t> &results, int64_t low, int64_t high) {
  const json &found = get(key);
  if (!found.is_array())
    return failKind(key, "a list", found);
  for (const json &item : found)
    results.push_back(readInteger(key, item, low, high));
}

void Reader::number(const char *key, double &result) {
  const json &found = get(key);
  if (!found.is_number() || !std::isfinite(found.get<double>()))
    return failKind(key, "a finite number", found);
  result = found.get<double>();
}

void Reader::optionalNumber(const char *key, std::optional<double> &result) {
  if (has(key))
    number(key, result.emplace());
}

void Reader::text(const char *key, std::string &result) {
  const json &found = get(key);
  if (!found.is_string())
    return failKind(key, "a string", found);
  result = found.get<std::string>();
}

void Reader::optionalText(const char *key, std::optional<std::string> &result) {
  if (has(key))
    text(key, result.emplace());
}

void Reader::texts(const char *key, std::vector<std::string> &results) {
  const json &found = get(key);
  if (!found.is_array())
    return failKind(key, "a list", found);
  for (const json &item : found) {
    if (!item.is_string())
      return failKind(key, "strings", item);
    results.push_back(item.get<std::string>());
  }
}

void Reader::flag(const char *key, bool &result) {
  const json &found = get(key);
  if (!found.is_boolean())
    return failKind(key, "true or false", found);
  result = found.get<bool>();
}

//===----------------------------------------------------------------------===//
// Objects
//===----------------------------------------------------------------------===//

size_t Reader::countItems(const char *key) {
  const json &found = get(key);
  if (found.is_array())
    return found.size();
  failKind(key, "a list", found);
  return 0;
}

Reader Reader::enterItem(const char *key, size_t index) {
  return Reader(get(key)[index], place + ": '" + key + "[" + std::to_string(index) + "]'", problem);
}
