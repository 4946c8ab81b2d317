// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Errors as values: success, or one sentence that names the place, what was found and what was expected.
// Messages start in lower case and have no full stop. Nothing in the runtime throws on purpose.

#ifndef LARIAT_RUNTIME_BASE_STATUS_H
#define LARIAT_RUNTIME_BASE_STATUS_H

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace lariat::runtime {

/// What went wrong.
struct Error {
  std::string message;
  bool lacksPages = false; ///< of the KV pool; it may work once others gave theirs back
};

/// Success or an Error. False is success, so that `if (Status status = f()) return status;` hands an error on.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Error error) : message(std::move(error.message)), failed(true), noPages(error.lacksPages) {}

  static Status success() { return {}; }
  explicit operator bool() const { return failed; }
  bool ok() const { return !failed; }
  /// The sentence; empty for success.
  const std::string &text() const { return message; }
  bool lacksPages() const { return noPages; }
  Error takeError() { return Error{std::move(message), noPages}; }

private:
  std::string message;
  bool failed = false, noPages = false;
};

/// A value or an Error. True is a value, as for a pointer.
template <typename T>
class [[nodiscard]] Expected {
public:
  Expected(Error error) : content(std::move(error)) {}
  template <typename U>
    requires std::is_convertible_v<U &&, T>
  Expected(U &&value) : content(std::in_place_index<0>, std::forward<U>(value)) {}

  explicit operator bool() const { return content.index() == 0; }
  T &operator*() { return *std::get_if<0>(&content); }
  const T &operator*() const { return *std::get_if<0>(&content); }
  T *operator->() { return std::get_if<0>(&content); }
  const T *operator->() const { return std::get_if<0>(&content); }
  /// The sentence; only where there is no value.
  const std::string &text() const { return std::get_if<1>(&content)->message; }
  Error takeError() { return std::move(*std::get_if<1>(&content)); }

private:
  std::variant<T, Error> content;
};

namespace detail {
inline void appendPart(std::string &text, std::string_view part) { text.append(part); }
template <typename T>
  requires std::is_integral_v<T>
void appendPart(std::string &text, T number) {
  text += std::to_string(number);
}
} // namespace detail

/// An error whose sentence is made of strings and integers.
template <typename... Parts>
Error makeError(const Parts &...parts) {
  Error error;
  (detail::appendPart(error.message, parts), ...);
  return error;
}

/// makeError with what the system says about `number`, as in "cannot read a/b: No such file or directory".
Error makeSystemError(std::string_view doing, std::string_view place, int number);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_STATUS_H
