// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Reads fields of a JSON object with their types checked. The first thing wrong is kept in a Status that all
// readers of one text share; what is read after it is empty.

#ifndef LARIAT_LIB_RUNTIME_LOAD_JSONREADER_H
#define LARIAT_LIB_RUNTIME_LOAD_JSONREADER_H

#include "lariat/Runtime/Base/Status.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lariat::runtime {

class JsonReader {
public:
  /// `place` names the object in messages. `value` need not be an object: then that is what is wrong.
  JsonReader(const nlohmann::json &value, std::string place, Status &status);

  /// An integer from `low` to `high`.
  int64_t integer(const char *key, int64_t low, int64_t high) const;
  /// The same; nothing where the key is absent or null.
  std::optional<int64_t> optionalInteger(const char *key, int64_t low, int64_t high) const;
  /// A finite number.
  double number(const char *key) const;
  std::string string(const char *key) const;
  std::optional<std::string> optionalString(const char *key) const;
  std::vector<std::string> strings(const char *key) const;
  bool boolean(const char *key) const;
  JsonReader object(const char *key) const;
  /// The objects of a list, an empty list where the key is absent and `required` is not set.
  std::vector<JsonReader> objects(const char *key, bool required = true) const;
  /// Name and value of all fields.
  std::vector<std::pair<std::string, JsonReader>> fields() const;

  bool has(const char *key) const;
  const std::string &getPlace() const { return place; }
  void fail(Error error) const;

private:
  const nlohmann::json &get(const char *key) const;
  void failKind(const char *key, const char *expected, const nlohmann::json &found) const;

  const nlohmann::json &value;
  std::string place;
  Status &status;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_LOAD_JSONREADER_H
