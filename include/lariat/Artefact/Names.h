// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The words of enumerations in manifests: a table beside each enumeration, which writer and reader use.

#ifndef LARIAT_ARTEFACT_NAMES_H
#define LARIAT_ARTEFACT_NAMES_H

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::abi {

template <typename Enum>
struct NamedValue {
  Enum value;
  std::string_view name;
};

/// All values of an enumeration with their names; specialised beside each that stands in a manifest.
template <typename Enum>
inline constexpr std::array<NamedValue<Enum>, 0> kNames{};

template <typename Enum>
constexpr std::string_view getName(Enum value) {
  for (const NamedValue<Enum> &entry : kNames<Enum>)
    if (entry.value == value)
      return entry.name;
  return {};
}

/// The value with a name; nothing where none has it.
template <typename Enum>
constexpr std::optional<Enum> findNamed(std::string_view name) {
  for (const NamedValue<Enum> &entry : kNames<Enum>)
    if (entry.name == name)
      return entry.value;
  return std::nullopt;
}

/// "free, atomic or sequential", for messages.
template <typename Enum>
std::string listNames() {
  std::string list;
  for (size_t i = 0; i < kNames<Enum>.size(); ++i)
    list.append(i == 0 ? "" : i + 1 == kNames<Enum>.size() ? " or " : ", ").append(kNames<Enum>[i].name);
  return list;
}

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_NAMES_H
