// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of options: names, types by those of the members, defaults that the members have, ranges.

#include "lariat/Requests/Options.h"

#include "lariat/Requests/Numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

using namespace lariat::requests;
using lariat::runtime::makeError;
using lariat::runtime::Status;
using nlohmann::json;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

namespace {

/// How values of a member's type are read and written: `read` is false for JSON of another type.
template <typename T>
struct Type;

template <>
struct Type<int64_t> {
  static constexpr std::string_view name = "an integer";
  static bool read(const json &value, int64_t &result) {
    constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > most))
      return false;
    result = value.get<int64_t>();
    return true;
  }
  static json write(int64_t value) { return value; }
};

template <>
struct Type<uint64_t> {
  static constexpr std::string_view name = "a non-negative integer";
  static bool read(const json &value, uint64_t &result) {
    if (value.is_number_unsigned())
      result = value.get<uint64_t>();
    return value.is_number_unsigned();
  }
  static json write(uint64_t value) { return value; }
};

template <>
struct Type<double> {
  static constexpr std::string_view name = "a number";
  static bool read(const json &value, double &result) {
    if (value.is_number())
      result = value.get<double>();
    return value.is_number() && std::isfinite(result);
  }
  static json write(double value) { return value; }
};

template <>
struct Type<bool> {
  static constexpr std::string_view name = "true or false";
  static bool read(const json &value, bool &result) {
    if (value.is_boolean())
      result = value.get<bool>();
    return value.is_boolean();
  }
  static json write(bool value) { return value; }
};

template <>
struct Type<std::string> {
  static constexpr std::string_view name = "a string";
  static bool read(const json &value, std::string &result) {
    if (value.is_string())
      result = value.get<std::string>();
    return value.is_string();
  }
  static json write(const std::string &value) { return value; }
};

template <>
struct Type<Form> {
  static constexpr std::string_view name = "false, \"lockstep\" or \"staggered\"";
  static bool read(const json &value, Form &result) {
    result = value == "lockstep" ? Form::Lockstep : value == "staggered" ? Form::Staggered : Form::Forward;
    return result != Form::Forward || value == false;
  }
  static json write(Form value) {
    return value == Form::Lockstep ? json("lockstep") : value == Form::Staggered ? json("staggered") : json(false);
  }
};

/// Reads two values.
template <typename A, typename B>
bool readPair(const json &value, A &first, B &second) {
  return value.is_array() && value.size() == 2 && Type<A>::read(value[0], first) && Type<B>::read(value[1], second);
}

template <>
struct Type<Share> {
  static constexpr std::string_view list = "a list of pairs of integers";
  static bool read(const json &value, Share &share) { return readPair(value, share.numerator, share.denominator); }
  static json write(const Share &share) { return {share.numerator, share.denominator}; }
};

template <>
struct Type<LogitBias> {
  static constexpr std::string_view list = "a list of pairs of an integer and a number";
  static bool read(const json &value, LogitBias &entry) { return readPair(value, entry.token, entry.bias); }
  static json write(const LogitBias &entry) { return {entry.token, entry.bias}; }
};

template <typename T>
constexpr std::string_view kListName = Type<T>::list;
template <>
constexpr std::string_view kListName<int64_t> = "a list of integers";

template <typename T>
struct Type<std::vector<T>> {
  static constexpr std::string_view name = kListName<T>;
  static bool read(const json &value, std::vector<T> &result) {
    result.clear();
    return value.is_array() &&
           std::ranges::all_of(value, [&](const json &entry) { return Type<T>::read(entry, result.emplace_back()); });
  }
  static json write(const std::vector<T> &values) {
    json list = json::array();
    for (const T &value : values)
      list.push_back(Type<T>::write(value));
    return list;
  }
};

template <typename T>
struct Type<std::optional<T>> {
  static constexpr std::string_view name = Type<T>::name;
  static bool read(const json &value, std::optional<T> &result) { return Type<T>::read(value, result.emplace()); }
  static json write(const std::optional<T> &value) { return value ? Type<T>::write(*value) : json(); }
};

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

/// Calls that an option is one of, and whether the reference path lacks it.
enum Calls : unsigned { kScore = 1, kGenerate = 2, kFastOnly = 4 };

struct Option {
  std::string_view name;
  unsigned calls;
  std::string_view type;
  bool (*read)(const json &value, Request &request);
  json (*write)(const Request &request);
};

template <typename Object, typename Class, typename Member>
auto &select(Object &object, Member Class::*member) {
  return object.*member;
}
template <typename Object, typename Class, typename Member, typename... Rest>
auto &select(Object &object, Member Class::*member, Rest... rest) {
  return select(object.*member, rest...);
}

template <typename Class, typename Member>
Class getClass(Member Class::*);

/// An option that is a member of a kind of request, or of one of its members.
template <auto first, auto... rest>
constexpr Option option(std::string_view name, unsigned calls) {
  using Kind = decltype(getClass(first));
  using Value = std::remove_reference_t<decltype(select(std::declval<Kind &>(), first, rest...))>;
  return {name, calls, Type<Value>::name,
          [](const json &value, Request &request) {
            return Type<Value>::read(value, select(static_cast<Kind &>(request), first, rest...));
          },
          [](const Request &request) {
            return Type<Value>::write(select(static_cast<const Kind &>(request), first, rest...));
          }};
}

/// The exit threshold: a number, or "off", which is a member of its own.
bool readThreshold(const json &value, Request &request) {
  request.noExit = value == "off";
  return request.noExit || Type<std::optional<double>>::read(value, request.threshold);
}

constexpr auto kSampling = &GenerateRequest::sampling;
constexpr unsigned kBoth = kScore | kGenerate, kFast = kGenerate | kFastOnly;

constexpr Option kOptions[] = {
    option<&Request::loops>("loops", kBoth),
    {"exit_threshold", kBoth, "a number or \"off\"", readThreshold, [](const Request &) { return json(); }},
    option<&Request::missing>("missing", kBoth),
    option<&Request::prefix>("prefix", kBoth),
    option<&ScoreRequest::mode>("mode", kScore),
    option<&ScoreRequest::chunk>("chunk", kScore),
    option<&ScoreRequest::capacity>("capacity", kScore),
    option<&ScoreRequest::form>("derived", kScore),
    option<&GenerateRequest::maxNewTokens>("max_new_tokens", kGenerate),
    option<&GenerateRequest::ignoreEos>("ignore_eos", kGenerate),
    option<&GenerateRequest::stopTokens>("stop_tokens", kGenerate),
    option<&GenerateRequest::keepsProfile>("profile", kGenerate),
    option<&GenerateRequest::speculate>("speculate", kFast),
    option<&GenerateRequest::drafts>("drafts", kFast),
    option<kSampling, &SamplingOptions::repetitionPenalty>("repetition_penalty", kFast),
    option<kSampling, &SamplingOptions::presencePenalty>("presence_penalty", kFast),
    option<kSampling, &SamplingOptions::frequencyPenalty>("frequency_penalty", kFast),
    option<kSampling, &SamplingOptions::bias>("bias", kFast),
    option<kSampling, &SamplingOptions::minNewTokens>("min_new_tokens", kFast),
    option<kSampling, &SamplingOptions::temperature>("temperature", kGenerate),
    option<kSampling, &SamplingOptions::topK>("top_k", kFast),
    option<kSampling, &SamplingOptions::topP>("top_p", kFast),
    option<kSampling, &SamplingOptions::minP>("min_p", kFast),
    option<kSampling, &SamplingOptions::seed>("seed", kGenerate),
    option<kSampling, &SamplingOptions::numLogprobs>("logprobs", kFast),
};

} // namespace

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

static Status verifyRange(const char *name, double value, double low, double high) {
  if (value >= low && value <= high)
    return Status::success();
  return makeError(name, " is ", formatNumber(value), ", expected ", formatNumber(low), " to ", formatNumber(high));
}

static Status verifyFinite(const char *name, double value) {
  return std::isfinite(value) ? Status::success() : makeError(name, " is ", formatNumber(value), ", expected a number");
}

Status lariat::requests::verifySampling(const SamplingOptions &options, int64_t vocab) {
  if (!std::isfinite(options.temperature) || options.temperature < 0)
    return makeError("the temperature is ", formatNumber(options.temperature), ", expected 0 or more");
  if (options.minNewTokens < 0)
    return makeError("min_new_tokens is ", options.minNewTokens, ", expected 0 or more");
  if (options.topK < 0)
    return makeError("top_k is ", options.topK, ", expected 0 or more");
  if (Status status = verifyRange("top_p", options.topP, 0, 1))
    return status;
  if (Status status = verifyRange("min_p", options.minP, 0, 1))
    return status;
  if (!std::isfinite(options.repetitionPenalty) || options.repetitionPenalty <= 0)
    return makeError("the repetition_penalty is ", formatNumber(options.repetitionPenalty), ", expected more than 0");
  if (Status status = verifyFinite("the presence_penalty", options.presencePenalty))
    return status;
  if (Status status = verifyFinite("the frequency_penalty", options.frequencyPenalty))
    return status;
  for (const LogitBias &entry : options.bias) {
    if (entry.token < 0 || entry.token >= vocab)
      return makeError("a logit bias is given for token ", entry.token, ", expected 0 to ", vocab - 1);
    if (Status status = verifyFinite("a logit bias", entry.bias))
      return status;
  }
  if (options.numLogprobs && (*options.numLogprobs < 0 || *options.numLogprobs > vocab))
    return makeError("logprobs is ", *options.numLogprobs, ", expected 0 to ", vocab);
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Reading and describing
//===----------------------------------------------------------------------===//

static Status readAll(std::string_view text, unsigned calls, Request &request,
                      std::span<const std::string_view> others) {
  json object = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!object.is_object())
    return makeError("the options of the request are not a JSON object");
  for (const Option &option : kOptions) {
    auto it = (option.calls & calls) != 0 ? object.find(option.name) : object.end();
    if (it != object.end() && !it->is_null() && !option.read(*it, request))
      return makeError("'", option.name, "' of the request is not ", option.type);
  }
  for (const auto &[key, value] : object.items()) {
    bool isOption = std::ranges::any_of(
        kOptions, [&](const Option &option) { return (option.calls & calls) != 0 && option.name == key; });
    if (!isOption && std::ranges::find(others, key) == others.end())
      return makeError("the request has the unknown key '", key, "'");
  }
  return Status::success();
}

Status lariat::requests::readOptions(std::string_view text, ScoreRequest &request,
                                     std::span<const std::string_view> others) {
  return readAll(text, kScore, request, others);
}

Status lariat::requests::readOptions(std::string_view text, GenerateRequest &request,
                                     std::span<const std::string_view> others) {
  return readAll(text, kGenerate, request, others);
}

Status lariat::requests::verifyReference(const GenerateRequest &request) {
  const GenerateRequest defaults;
  std::string names;
  for (const Option &option : kOptions)
    if ((option.calls & kFastOnly) != 0 && option.write(request) != option.write(defaults))
      names.append(names.empty() ? "" : ", ").append(option.name);
  if (!names.empty())
    return makeError(names, " cannot be used: the reference path samples by temperature alone");
  if (request.keepsProfile)
    return makeError("the reference path has no engine, so there is no profile");
  return Status::success();
}

std::string lariat::requests::describeOptions() {
  const ScoreRequest score;
  const GenerateRequest generate;
  json options = json::array();
  for (const Option &option : kOptions) {
    json calls = json::array();
    if (option.calls & kScore)
      calls.push_back("score");
    if (option.calls & kGenerate)
      calls.push_back("generate");
    const Request &defaults = option.calls & kScore ? static_cast<const Request &>(score) : generate;
    options.push_back({{"name", option.name},
                       {"calls", calls},
                       {"type", option.type},
                       {"fast_only", (option.calls & kFastOnly) != 0},
                       {"default", option.write(defaults)}});
  }
  return options.dump();
}
