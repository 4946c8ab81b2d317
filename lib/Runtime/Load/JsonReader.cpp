// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Messages have the form "PLACE: 'KEY': expected an integer from 1 to 9, found 12".

#include "JsonReader.h"

#include <cmath>
#include <limits>

using namespace lariat::runtime;
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

JsonReader::JsonReader(const json &value, std::string place, Status &status)
    : value(value), place(std::move(place)), status(status) {
  if (!value.is_object())
    fail(makeError(this->place, ": expected an object, found ", show(value)));
}

void JsonReader::fail(Error error) const {
  if (status.ok())
    status = std::move(error);
}

void JsonReader::failKind(const char *key, const char *expected, const json &found) const {
  fail(makeError(place, ": '", key, "': expected ", expected, ", found ", show(found)));
}

const json &JsonReader::get(const char *key) const {
  if (!value.is_object())
    return kNothing;
  auto it = value.find(key);
  return it == value.end() ? kNothing : *it;
}

bool JsonReader::has(const char *key) const { return !get(key).is_null(); }

int64_t JsonReader::integer(const char *key, int64_t low, int64_t high) const {
  const json &found = get(key);
  constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  bool fits = found.is_number_unsigned() ? found.get<uint64_t>() <= most : found.is_number_integer();
  if (fits)
    if (auto number = found.get<int64_t>(); number >= low && number <= high)
      return number;
  fail(makeError(place, ": '", key, "': expected an integer from ", low, " to ", high, ", found ", show(found)));
  return low;
}

std::optional<int64_t> JsonReader::optionalInteger(const char *key, int64_t low, int64_t high) const {
  return has(key) ? std::optional(integer(key, low, high)) : std::nullopt;
}

double JsonReader::number(const char *key) const {
  const json &found = get(key);
  if (found.is_number() && std::isfinite(found.get<double>()))
    return found.get<double>();
  failKind(key, "a finite number", found);
  return 0;
}

std::string JsonReader::string(const char *key) const {
  const json &found = get(key);
  if (found.is_string())
    return found.get<std::string>();
  failKind(key, "a string", found);
  return {};
}

std::optional<std::string> JsonReader::optionalString(const char *key) const {
  return has(key) ? std::optional(string(key)) : std::nullopt;
}

std::vector<std::string> JsonReader::strings(const char *key) const {
  std::vector<std::string> result;
  const json &found = get(key);
  if (!found.is_array())
    failKind(key, "a list", found);
  else
    for (const json &item : found) {
      if (item.is_string())
        result.push_back(item.get<std::string>());
      else
        failKind(key, "strings", item);
    }
  return result;
}

bool JsonReader::boolean(const char *key) const {
  const json &found = get(key);
  if (found.is_boolean())
    return found.get<bool>();
  failKind(key, "true or false", found);
  return false;
}

JsonReader JsonReader::object(const char *key) const { return JsonReader(get(key), place + ": '" + key + "'", status); }

std::vector<JsonReader> JsonReader::objects(const char *key, bool required) const {
  std::vector<JsonReader> result;
  const json &found = get(key);
  if (found.is_array())
    for (const json &item : found)
      result.emplace_back(item, place + ": '" + key + "[" + std::to_string(result.size()) + "]'", status);
  else if (required || !found.is_null())
    failKind(key, "a list", found);
  return result;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::fields() const {
  std::vector<std::pair<std::string, JsonReader>> result;
  if (value.is_object())
    for (auto it = value.begin(); it != value.end(); ++it)
      result.emplace_back(it.key(), JsonReader(it.value(), place + ": '" + it.key() + "'", status));
  return result;
}
