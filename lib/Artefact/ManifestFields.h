// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Three ways to go through the fields of a JSON object: a Reader sets them, a Writer takes them, a Lister
// notes their keys. Each has the same members, so one description of a structure,
//   template <typename Fields> void describe(Fields &fields, State &state) { fields.integer("layers", state.layers,
//   ...); }
// serves all three. Absent and null are the same for members whose name begins with `optional`.

#ifndef LARIAT_LIB_ARTEFACT_MANIFESTFIELDS_H
#define LARIAT_LIB_ARTEFACT_MANIFESTFIELDS_H

#include "lariat/Artefact/Manifest.h"

#include <nlohmann/json.hpp>

namespace lariat::manifest {

//===----------------------------------------------------------------------===//
// Reader
//===----------------------------------------------------------------------===//

/// The first thing wrong is kept in a text that all readers of one manifest share; what is read after it means nothing.
/// Sentences have the form "PLACE: 'KEY': expected an integer from 1 to 9, found 12".
class Reader {
public:
  /// `place` names the object in messages. `value` need not be an object: then that is what is wrong.
  Reader(const nlohmann::json &value, std::string place, std::string &problem);

  void text(const char *key, std::string &value);
  void optionalText(const char *key, std::optional<std::string> &value);
  void texts(const char *key, std::vector<std::string> &values);
  void flag(const char *key, bool &value);
  void integer(const char *key, int64_t &value, int64_t low, int64_t high);
  void optionalInteger(const char *key, std::optional<int64_t> &value, int64_t low, int64_t high);
  /// A number that follows from other keys and stands there for people and other languages.
  void derived(const char *key, int64_t expected);
  void integers(const char *key, std::vector<int64_t> &values, int64_t low, int64_t high);
  void number(const char *key, double &value);
  void optionalNumber(const char *key, std::optional<double> &value);
  /// A value by its name in lariat/Artefact, and several.
  template <typename Enum>
  void named(const char *key, Enum &value) {
    value = readNamed<Enum>(key, get(key));
  }
  template <typename Enum>
  void allNamed(const char *key, std::vector<Enum> &values) {
    size_t count = countItems(key);
    for (size_t index = 0; index < count; ++index)
      values.push_back(readNamed<Enum>(key, get(key)[index]));
  }
  template <typename Enum>
  void optionalNamed(const char *key, std::optional<Enum> &value) {
    if (has(key))
      value = readNamed<Enum>(key, get(key));
  }

  template <typename T>
  void object(const char *key, T &value) {
    enter(key).read(value);
  }
  template <typename T>
  void optionalObject(const char *key, std::optional<T> &value) {
    if (has(key))
      enter(key).read(value.emplace());
  }
  template <typename T>
  void objects(const char *key, std::vector<T> &values) {
    size_t count = countItems(key);
    for (size_t index = 0; index < count; ++index)
      enterItem(key, index).read(values.emplace_back());
  }
  /// An object whose keys are data.
  template <typename T>
  void entries(const char *key, std::map<std::string, T> &values) {
    Reader inner = enter(key);
    for (const std::string &name : inner.listKeys())
      inner.enter(name.c_str()).read(values[name]);
  }
  /// The object itself, by its description; a key that this does not name is wrong.
  template <typename T>
  void read(T &value) {
    describe(*this, value);
    verifyKeys();
  }

  /// What must hold beside types and ranges; `...` makes the sentence.
  template <typename... Parts>
  void require(bool holds, const Parts &...parts) {
    if (!holds && problem.empty())
      ((problem += place + ": ") += ... += toText(parts));
  }
  bool failed() const { return !problem.empty(); }

private:
  static std::string toText(std::string_view text) { return std::string(text); }
  static std::string toText(int64_t number) { return std::to_string(number); }

  /// The value of a key, or null; notes that it is known.
  const nlohmann::json &get(const char *key);
  bool has(const char *key) { return !get(key).is_null(); }
  Reader enter(const char *key) { return Reader(get(key), place + ": '" + key + "'", problem); }
  Reader enterItem(const char *key, size_t index);
  size_t countItems(const char *key);
  std::vector<std::string> listKeys() const;
  int64_t readInteger(const char *key, const nlohmann::json &found, int64_t low, int64_t high);
  template <typename Enum>
  Enum readNamed(const char *key, const nlohmann::json &found) {
    std::optional<Enum> value;
    if (found.is_string())
      value = abi::findNamed<Enum>(found.get<std::string>());
    if (!value)
      failKind(key, abi::listNames<Enum>(), found);
    return value.value_or(Enum());
  }
  void failKind(const char *key, std::string_view expected, const nlohmann::json &found);
  void verifyKeys();

  const nlohmann::json &value;
  std::string place;
  std::string &problem;
  std::vector<std::string> known;
};

//===----------------------------------------------------------------------===//
// Writer
//===----------------------------------------------------------------------===//

/// Null stands for what an optional member does not have.
class Writer {
public:
  nlohmann::json take() { return std::move(value); }

  void text(const char *key, const std::string &text) { value[key] = text; }
  void optionalText(const char *key, const std::optional<std::string> &text) { putOptional(key, text); }
  void texts(const char *key, const std::vector<std::string> &texts) { value[key] = texts; }
  void flag(const char *key, bool flag) { value[key] = flag; }
  void integer(const char *key, int64_t number, int64_t, int64_t) { value[key] = number; }
  void optionalInteger(const char *key, const std::optional<int64_t> &number, int64_t, int64_t) {
    putOptional(key, number);
  }
  void derived(const char *key, int64_t number) { value[key] = number; }
  void integers(const char *key, const std::vector<int64_t> &numbers, int64_t, int64_t) { value[key] = numbers; }
  void number(const char *key, double number) { value[key] = number; }
  void optionalNumber(const char *key, const std::optional<double> &number) { putOptional(key, number); }
  template <typename Enum>
  void named(const char *key, Enum named) {
    value[key] = abi::getName(named);
  }
  template <typename Enum>
  void allNamed(const char *key, const std::vector<Enum> &named) {
    value[key] = nlohmann::json::array();
    for (Enum one : named)
      value[key].push_back(abi::getName(one));
  }
  template <typename Enum>
  void optionalNamed(const char *key, const std::optional<Enum> &named) {
    value[key] = named ? nlohmann::json(abi::getName(*named)) : nlohmann::json(nullptr);
  }

  template <typename T>
  void object(const char *key, T &object) {
    value[key] = write(object);
  }
  template <typename T>
  void optionalObject(const char *key, std::optional<T> &object) {
    value[key] = object ? write(*object) : nlohmann::json(nullptr);
  }
  template <typename T>
  void objects(const char *key, std::vector<T> &objects) {
    value[key] = nlohmann::json::array();
    for (T &object : objects)
      value[key].push_back(write(object));
  }
  template <typename T>
  void entries(const char *key, std::map<std::string, T> &objects) {
    value[key] = nlohmann::json::object();
    for (auto &[name, object] : objects)
      value[key][name] = write(object);
  }
  template <typename T>
  static nlohmann::json write(T &object) {
    Writer writer;
    describe(writer, object);
    return writer.take();
  }

  template <typename... Parts>
  void require(bool, const Parts &...) {}

private:
  template <typename T>
  void putOptional(const char *key, const std::optional<T> &optional) {
    value[key] = optional ? nlohmann::json(*optional) : nlohmann::json(nullptr);
  }

  nlohmann::json value = nlohmann::json::object();
};

//===----------------------------------------------------------------------===//
// Lister
//===----------------------------------------------------------------------===//

class Lister {
public:
  Lister(std::string place, std::vector<Key> &keys) : place(std::move(place)), keys(keys) {}

  void text(const char *key, const std::string &) { add(key, "text"); }
  void optionalText(const char *key, const std::optional<std::string> &) { add(key, "text", true); }
  void texts(const char *key, const std::vector<std::string> &) { add(key, "texts"); }
  void flag(const char *key, bool) { add(key, "true or false"); }
  void integer(const char *key, int64_t, int64_t, int64_t) { add(key, "integer"); }
  void optionalInteger(const char *key, const std::optional<int64_t> &, int64_t, int64_t) { add(key, "integer", true); }
  void derived(const char *key, int64_t) { add(key, "integer"); }
  void integers(const char *key, const std::vector<int64_t> &, int64_t, int64_t) { add(key, "integers"); }
  void number(const char *key, double) { add(key, "number"); }
  void optionalNumber(const char *key, const std::optional<double> &) { add(key, "number", true); }
  template <typename Enum>
  void named(const char *key, Enum) {
    add(key, abi::listNames<Enum>());
  }
  template <typename Enum>
  void allNamed(const char *key, const std::vector<Enum> &) {
    add(key, "list of " + abi::listNames<Enum>());
  }
  template <typename Enum>
  void optionalNamed(const char *key, const std::optional<Enum> &) {
    add(key, abi::listNames<Enum>(), true);
  }

  template <typename T>
  void object(const char *key, T &object) {
    add(key, "object");
    list(place + key + ".", object);
  }
  template <typename T>
  void optionalObject(const char *key, std::optional<T> &) {
    add(key, "object", true);
    T object;
    list(place + key + ".", object);
  }
  template <typename T>
  void objects(const char *key, std::vector<T> &) {
    add(key, "objects");
    T object;
    list(place + key + "[].", object);
  }
  template <typename T>
  void entries(const char *key, std::map<std::string, T> &) {
    add(key, "object");
    T object;
    list(place + key + ".*.", object);
  }

  template <typename... Parts>
  void require(bool, const Parts &...) {}

private:
  void add(const char *key, std::string kind, bool isOptional = false) {
    keys.push_back({place + key, std::move(kind), isOptional});
  }
  template <typename T>
  void list(std::string inner, T &object) {
    Lister lister(std::move(inner), keys);
    describe(lister, object);
  }

  std::string place;
  std::vector<Key> &keys;
};

} // namespace lariat::manifest

#endif // LARIAT_LIB_ARTEFACT_MANIFESTFIELDS_H
