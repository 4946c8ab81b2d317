// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Schedules as JSON. What is written and what is read is named once: each structure lists its numbers, each plan its
// lists. Empty lists and what is as ever are left out.

#include "lariat/Runtime/Engine/Schedule.h"

#include "lariat/Artefact/Sha256.h"
#include "lariat/Runtime/Engine/Engine.h"

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <tuple>

using namespace lariat;
using namespace lariat::runtime;
using nlohmann::json;

static constexpr int64_t kVersion = 1;
static constexpr std::array<std::string_view, kNumCalledFunctions> kFunctions{"prelude", "core", "fill", "coda",
                                                                              "forward"};
static constexpr std::array<std::string_view, 3> kRemedies{"take_back_drafts", "preempt", "fail"};
static constexpr std::array<std::string_view, 4> kEnds{"done", "lacks_pages", "cancelled", "failed"};

//===----------------------------------------------------------------------===//
// What there is
//===----------------------------------------------------------------------===//

static auto listNumbers(int64_t &number) { return std::tie(number); }
static auto listNumbers(ScheduledRow &row) { return std::tie(row.sequence, row.position, row.depth); }
static auto listNumbers(RowChunk &chunk) {
  return std::tie(chunk.sequence, chunk.position, chunk.count, chunk.isAtomic);
}
static auto listNumbers(PlannedStart &start) { return std::tie(start.request, start.sharedRows); }
static auto listNumbers(PlannedWait &wait) { return std::tie(wait.request, wait.source, wait.rows); }
static auto listNumbers(DraftLimit &limit) { return std::tie(limit.request, limit.most); }

template <typename Visitor>
static void forLists(TickPlan &plan, Visitor visit) {
  visit("received", plan.mail.received);
  visit("cancelled", plan.mail.cancelled);
  visit("starts", plan.starts);
  visit("waits", plan.waits);
  visit("chunks", plan.chunks);
  visit("forward", plan.whole);
  visit("prelude", plan.prelude);
  visit("fill", plan.fill);
  visit("core", plan.core);
  visit("drafts", plan.drafts);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

template <typename T>
static json writeList(std::vector<T> list) {
  json items = json::array();
  for (T &one : list) {
    json numbers = json::array();
    std::apply([&](auto &...number) { (numbers.push_back(static_cast<int64_t>(number)), ...); }, listNumbers(one));
    items.push_back(std::move(numbers));
  }
  return items;
}

static json writePlan(RecordedPlan recorded) {
  json plan = json::object();
  if (recorded.plan.mail.clearsPrefixes)
    plan["clears_prefixes"] = true;
  if (recorded.plan.continuesTick)
    plan["continues_tick"] = true;
  if (recorded.endsAtStarts)
    plan["ends_at_starts"] = true;
  if (const std::optional<Remedy> &remedy = recorded.plan.remedy)
    plan["remedy"] = {
        {"kind", kRemedies[static_cast<size_t>(remedy->kind)]}, {"request", remedy->request}, {"why", remedy->why}};
  forLists(recorded.plan, [&](const char *name, const auto &list) {
    if (!list.empty())
      plan[name] = writeList(list);
  });
  for (const RecordedCall &call : recorded.calls)
    plan["calls"].push_back({{"function", kFunctions[static_cast<size_t>(call.called)]},
                             {"rows", writeList(call.rows)},
                             {"end", kEnds[static_cast<size_t>(call.end.kind)]},
                             {"why", call.end.why}});
  return plan;
}

std::string Schedule::write() const {
  json text{{"version", kVersion},       {"model", model},       {"mode", mode},
            {"splits_loop", splitsLoop}, {"requests", requests}, {"plans", json::array()}};
  if (missing)
    text["missing"] = *missing;
  for (const RecordedPlan &plan : plans)
    text["plans"].push_back(writePlan(plan));
  return text.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

/// The fields of one object. The first thing wrong is kept; what is read after it is left as it was.
class FieldReader {
public:
  FieldReader(const json &object, std::string place, std::string &problem)
      : object(object), place(std::move(place)), problem(problem) {
    if (!object.is_object())
      fail("is not an object");
  }
  /// Says so where a field was not read.
  ~FieldReader() {
    if (problem.empty() && numRead != object.size())
      fail("has fields that are not known");
  }
  FieldReader(const FieldReader &) = delete;
  FieldReader &operator=(const FieldReader &) = delete;

  void fail(const std::string &what) {
    if (problem.empty())
      problem = place + " " + what;
  }
  /// Null where there is none, or something was wrong before.
  const json *find(const char *name, bool isRequired) {
    if (!problem.empty())
      return nullptr;
    auto it = object.find(name);
    if (it != object.end()) {
      ++numRead;
      return &*it;
    }
    if (isRequired)
      fail(std::string("has no field '") + name + "'");
    return nullptr;
  }
  void failKind(const char *name, const char *expected) {
    fail(std::string("has a field '") + name + "' that is not " + expected);
  }

  void read(const char *name, bool &value) {
    if (const json *found = find(name, /*isRequired=*/false))
      found->is_boolean() ? void(value = found->get<bool>()) : failKind(name, "true or false");
  }
  void read(const char *name, std::string &value) {
    if (const json *found = find(name, /*isRequired=*/true))
      found->is_string() ? void(value = found->get<std::string>()) : failKind(name, "a text");
  }
  void read(const char *name, int64_t &value) {
    if (const json *found = find(name, /*isRequired=*/true))
      if (!readNumber(*found, value))
        failKind(name, "a whole number");
  }
  /// One of some words, by its number.
  template <typename T, size_t N>
  void read(const char *name, T &value, const std::array<std::string_view, N> &words) {
    std::string word;
    read(name, word);
    auto it = std::ranges::find(words, word);
    if (it == words.end())
      return failKind(name, "a word that is known");
    value = static_cast<T>(it - words.begin());
  }
  /// Lists of numbers, as many in each as `listNumbers` has.
  template <typename T>
  void read(const char *name, std::vector<T> &list, bool isRequired = false) {
    const json *found = find(name, isRequired);
    if (!found)
      return;
    bool fits = found->is_array();
    for (size_t index = 0; fits && index < found->size(); ++index)
      fits = readNumbers((*found)[index], list.emplace_back());
    if (!fits)
      failKind(name, "a list of lists of whole numbers");
  }

private:
  static bool readNumber(const json &found, int64_t &value) {
    if (!found.is_number_integer() || (found.is_number_unsigned() && found.get<uint64_t>() > uint64_t(INT64_MAX)))
      return false;
    value = found.get<int64_t>();
    return true;
  }
  static bool readNumber(const json &found, bool &value) {
    int64_t number = -1;
    bool fits = readNumber(found, number) && (number == 0 || number == 1);
    value = number == 1;
    return fits;
  }
  template <typename T>
  static bool readNumbers(const json &found, T &one) {
    auto numbers = listNumbers(one);
    if (!found.is_array() || found.size() != std::tuple_size_v<decltype(numbers)>)
      return false;
    size_t next = 0;
    return std::apply([&](auto &...number) { return (readNumber(found[next++], number) && ...); }, numbers);
  }

  const json &object;
  std::string place;
  std::string &problem;
  size_t numRead = 0;
};

} // namespace

static void readCalls(const json &list, const std::string &place, RecordedPlan &recorded, std::string &problem) {
  for (const json &item : list) {
    FieldReader fields(item, "a call of " + place, problem);
    RecordedCall &call = recorded.calls.emplace_back();
    fields.read("function", call.called, kFunctions);
    fields.read("rows", call.rows, /*isRequired=*/true);
    fields.read("end", call.end.kind, kEnds);
    fields.read("why", call.end.why);
  }
}

static RecordedPlan readPlan(const json &item, const std::string &place, std::string &problem) {
  RecordedPlan recorded;
  FieldReader fields(item, place, problem);
  fields.read("clears_prefixes", recorded.plan.mail.clearsPrefixes);
  fields.read("continues_tick", recorded.plan.continuesTick);
  fields.read("ends_at_starts", recorded.endsAtStarts);
  if (const json *found = fields.find("remedy", /*isRequired=*/false)) {
    FieldReader inner(*found, "the remedy of " + place, problem);
    Remedy &remedy = recorded.plan.remedy.emplace();
    inner.read("kind", remedy.kind, kRemedies);
    inner.read("request", remedy.request);
    inner.read("why", remedy.why);
  }
  forLists(recorded.plan, [&](const char *name, auto &list) { fields.read(name, list); });
  if (const json *found = fields.find("calls", /*isRequired=*/false))
    found->is_array() ? readCalls(*found, place, recorded, problem) : fields.failKind("calls", "a list");
  return recorded;
}

Expected<Schedule> Schedule::read(std::string_view text) {
  json parsed = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded())
    return makeError("the schedule is not JSON");
  Schedule schedule;
  std::string problem;
  {
    FieldReader fields(parsed, "the schedule", problem);
    int64_t version = 0;
    fields.read("version", version);
    if (problem.empty() && version != kVersion)
      fields.fail("has version " + std::to_string(version) + ", expected " + std::to_string(kVersion));
    fields.read("model", schedule.model);
    fields.read("mode", schedule.mode);
    if (parsed.contains("missing"))
      fields.read("missing", schedule.missing.emplace());
    fields.read("splits_loop", schedule.splitsLoop);
    if (const json *found = fields.find("requests", /*isRequired=*/true)) {
      bool fits = found->is_array() && std::ranges::all_of(*found, [](const json &one) { return one.is_string(); });
      fits ? void(schedule.requests = found->get<std::vector<std::string>>())
           : fields.failKind("requests", "a list of texts");
    }
    const json *found = fields.find("plans", /*isRequired=*/true);
    if (found && !found->is_array())
      fields.failKind("plans", "a list");
    for (size_t index = 0; problem.empty() && found && index < found->size(); ++index)
      schedule.plans.push_back(
          readPlan((*found)[index], "plan " + std::to_string(index) + " of the schedule", problem));
  }
  if (!problem.empty())
    return makeError(problem);
  return schedule;
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

std::string lariat::runtime::digestRequest(const EngineRequest &request, std::span<const int64_t> stepBounds) {
  Sha256 hash;
  auto add = [&](auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>)
      hash.update(std::to_string(std::bit_cast<uint64_t>(static_cast<double>(value))) + " ");
    else
      hash.update(std::to_string(static_cast<int64_t>(value)) + " ");
  };
  auto addAll = [&](std::span<const int64_t> values) {
    add(values.size());
    for (int64_t value : values)
      add(value);
  };
  const requests::SamplingOptions &sampling = request.sampling;
  addAll(request.prompt);
  addAll(request.endTokens);
  addAll(stepBounds);
  for (int64_t value :
       {request.loops, static_cast<int64_t>(request.promptOrder), static_cast<int64_t>(request.generatedOrder),
        request.prefix, request.maxNewTokens, request.draftSteps, request.drafts.value_or(-1), sampling.topK,
        sampling.numLogprobs.value_or(-1), sampling.minNewTokens, static_cast<int64_t>(sampling.seed)})
    add(value);
  for (double value : {static_cast<double>(request.threshold), sampling.temperature, sampling.topP, sampling.minP,
                       sampling.repetitionPenalty, sampling.presencePenalty, sampling.frequencyPenalty})
    add(value);
  for (const requests::LogitBias &bias : sampling.bias) {
    add(bias.token);
    add(bias.bias);
  }
  return hash.finish().value_or("");
}
