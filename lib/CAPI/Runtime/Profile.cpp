// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Profiles of include/lariat-c/Runtime.h as JSON. docs/profile.md lists the fields; whoever changes what one means
// raises kProfileVersion.

#include "Options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace lariat;
using namespace lariat::runtime_c;

using Json = nlohmann::ordered_json;

static constexpr int64_t kProfileVersion = 1;

/// Names of functions in the order of runtime::CalledFunction.
static constexpr const char *kFunctionNames[runtime::kNumCalledFunctions] = {"prelude", "core", "fill", "coda",
                                                                             "whole"};

static Json describeFunctions(const runtime::EngineProfile &profile) {
  Json functions;
  for (size_t called = 0; called < runtime::kNumCalledFunctions; ++called) {
    const runtime::FunctionProfile &function = profile.functions[called];
    functions[kFunctionNames[called]] = {{"calls", function.calls},
                                         {"rows", function.rows},
                                         {"prompt_rows", function.promptRows},
                                         {"seconds", function.seconds},
                                         {"regions", function.launches.regions},
                                         {"barriers", function.launches.barriers}};
  }
  return functions;
}

static int64_t getCount(const std::vector<int64_t> &counts, size_t index) {
  return index < counts.size() ? counts[index] : 0;
}

static Json describeDepths(const runtime::EngineProfile &profile) {
  Json depths = Json::array();
  for (size_t depth = 0; depth < profile.depths.size(); ++depth) {
    const runtime::DepthProfile &one = profile.depths[depth];
    int64_t exits = getCount(profile.steps.generated, depth + 1) + getCount(profile.steps.prompt, depth + 1);
    depths.push_back({{"rows", one.rows},
                      {"prompt_rows", one.promptRows},
                      {"exits", exits},
                      {"filled_rows", one.filledRows},
                      {"seconds", one.seconds},
                      {"fill_seconds", one.fillSeconds}});
  }
  return depths;
}

static Json describeCache(const runtime::CacheProfile &profile, const runtime::Cache &cache) {
  Json slots = Json::array();
  for (const runtime::SlotProfile &slot : profile.slots)
    slots.push_back({{"computed", slot.now.computed},
                     {"filled", slot.now.filled},
                     {"pages", slot.now.pages},
                     {"entries_peak", slot.peakEntries},
                     {"pages_peak", slot.peakPages}});
  return {{"name", cache.name},
          {"looped", cache.looped},
          {"bytes_per_entry", cache.getEntryBytes()},
          {"bytes_per_page", cache.getPageBytes()},
          {"slots", std::move(slots)},
          {"live_bytes", profile.liveBytes},
          {"page_bytes", profile.pageBytes},
          {"live_bytes_peak", profile.peakLiveBytes},
          {"page_bytes_peak", profile.peakPageBytes}};
}

static Json describeRecord(const runtime::TickRecord &record) {
  Json rows;
  for (size_t called = 0; called < runtime::kNumCalledFunctions; ++called)
    rows[kFunctionNames[called]] = record.rows[called];
  return {{"ticks", record.ticks},         {"seconds", record.seconds},        {"rows", std::move(rows)},
          {"depths", record.depths},       {"prompt_rows", record.promptRows}, {"tokens", record.tokens},
          {"running", record.running},     {"waiting", record.waiting},        {"live_bytes", record.liveBytes},
          {"page_bytes", record.pageBytes}};
}

std::string runtime_c::describeProfile(const std::optional<runtime::EngineProfile> &profile,
                                       const runtime::Session &session) {
  if (!profile)
    throw Failure{LARIAT_STATUS_MISUSE, "no profile is kept: 'profile' was 0"};
  Json caches = Json::array(), records = Json::array();
  std::vector<runtime::Cache> known = session.getModel().getManifest().getAllCaches();
  for (size_t index = 0; index < std::min(profile->caches.size(), known.size()); ++index)
    caches.push_back(describeCache(profile->caches[index], known[index]));
  for (const runtime::TickRecord &record : profile->records)
    records.push_back(describeRecord(record));
  Json json{{"version", kProfileVersion},
            {"isa", profile->isa},
            {"threads", profile->numThreads},
            {"max_rows", profile->maxRows},
            {"ticks", profile->ticks},
            {"seconds", profile->seconds},
            {"tokens", profile->tokens},
            {"preemptions", profile->preemptions},
            {"functions", describeFunctions(*profile)},
            {"depths", describeDepths(*profile)},
            {"steps", {{"generated", profile->steps.generated}, {"prompt", profile->steps.prompt}}},
            {"caches", std::move(caches)},
            {"occupancy", {{"ticks_per_record", profile->ticksPerRecord}, {"records", std::move(records)}}}};
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}
