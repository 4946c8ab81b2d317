// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adds up. Ticks go into records of `ticksPerRecord` ticks; when the list is full, neighbours are merged and records
// get twice as many, so that a profile of any length has between half and all of kMaxRecords.

#include "lariat/Runtime/Engine/Profile.h"

#include <algorithm>
#include <utility>

using namespace lariat;
using namespace lariat::runtime;

/// Counts `count` more at an index that the list may not have yet.
static void addAt(std::vector<int64_t> &counts, int64_t index, int64_t count) {
  if (index >= static_cast<int64_t>(counts.size()))
    counts.resize(index + 1);
  counts[index] += count;
}

static bool isPrompt(const Row &row) { return !(row.flags & abi::kGenerated); }

static void merge(TickRecord &into, const TickRecord &from) {
  into.ticks += from.ticks;
  into.seconds += from.seconds;
  for (size_t called = 0; called < kNumCalledFunctions; ++called)
    into.rows[called] += from.rows[called];
  for (size_t depth = 0; depth < from.depths.size(); ++depth)
    addAt(into.depths, static_cast<int64_t>(depth), from.depths[depth]);
  into.promptRows += from.promptRows;
  into.tokens += from.tokens;
  into.running = std::max(into.running, from.running);
  into.waiting = std::max(into.waiting, from.waiting);
  into.liveBytes = std::max(into.liveBytes, from.liveBytes);
  into.pageBytes = std::max(into.pageBytes, from.pageBytes);
}

/// Halves a list of an even number of records.
static void mergeNeighbours(std::vector<TickRecord> &records) {
  for (size_t index = 0; index < records.size() / 2; ++index) {
    TickRecord merged = std::move(records[2 * index]);
    merge(merged, records[2 * index + 1]);
    records[index] = std::move(merged);
  }
  records.resize(records.size() / 2);
}

//===----------------------------------------------------------------------===//
// Calls and rows
//===----------------------------------------------------------------------===//

DepthProfile &Profiler::at(int64_t depth) {
  if (depth >= static_cast<int64_t>(profile.depths.size()))
    profile.depths.resize(depth + 1);
  return profile.depths[depth];
}

void Profiler::addCall(CalledFunction called, std::span<const Row> rows, double seconds, const LaunchCounts &launches) {
  auto numRows = static_cast<int64_t>(rows.size()), numPrompt = std::ranges::count_if(rows, isPrompt);
  FunctionProfile &function = profile.functions[static_cast<size_t>(called)];
  ++function.calls;
  function.rows += numRows;
  function.promptRows += numPrompt;
  function.seconds += seconds;
  function.launches.regions += launches.regions;
  function.launches.barriers += launches.barriers;
  tick.rows[static_cast<size_t>(called)] += numRows;
  if (called == CalledFunction::Prelude || called == CalledFunction::Whole)
    tick.promptRows += numPrompt;
  double share = seconds / static_cast<double>(numRows);
  for (const Row &row : rows) {
    if (called == CalledFunction::Core) {
      at(row.depth).seconds += share;
    } else if (called == CalledFunction::Fill) {
      ++at(row.depth).filledRows;
      at(row.depth).fillSeconds += share;
    }
  }
}

void Profiler::addStep(const Row &row, bool isStoringKV) {
  if (isStoringKV)
    ++at(row.depth).filledRows;
  else
    addRow(row.depth, isPrompt(row));
}

void Profiler::addRow(int64_t depth, bool isOfPrompt) {
  ++at(depth).rows;
  at(depth).promptRows += isOfPrompt;
  addAt(tick.depths, depth, 1);
}

void Profiler::addResult(const Row &row, int64_t steps, CalledFunction called) {
  addAt(isPrompt(row) ? profile.steps.prompt : profile.steps.generated, steps, 1);
  for (int64_t depth = 0; called == CalledFunction::Whole && depth < steps; ++depth)
    addRow(depth, isPrompt(row));
}

//===----------------------------------------------------------------------===//
// Caches and ticks
//===----------------------------------------------------------------------===//

void Profiler::addUse(const std::vector<CacheUse> &use, int64_t running, int64_t waiting) {
  tick.running = running;
  tick.waiting = waiting;
  profile.caches.resize(use.size());
  tick.liveBytes = tick.pageBytes = 0;
  for (size_t index = 0; index < use.size(); ++index) {
    CacheProfile &cache = profile.caches[index];
    cache.slots.resize(std::max(cache.slots.size(), use[index].slots.size()));
    for (size_t number = 0; number < use[index].slots.size(); ++number) {
      const SlotUse &now = use[index].slots[number];
      SlotProfile &slot = cache.slots[number];
      slot.peakEntries = std::max(slot.peakEntries, now.computed + now.filled);
      slot.peakPages = std::max(slot.peakPages, now.pages);
    }
    cache.peakLiveBytes = std::max(cache.peakLiveBytes, use[index].liveBytes);
    cache.peakPageBytes = std::max(cache.peakPageBytes, use[index].pageBytes);
    tick.liveBytes += use[index].liveBytes;
    tick.pageBytes += use[index].pageBytes;
  }
}

void Profiler::endTick(double seconds, int64_t tokens) {
  TickRecord record = std::exchange(tick, {});
  if (std::ranges::all_of(record.rows, [](int64_t rows) { return rows == 0; }))
    return;
  record.ticks = 1;
  record.seconds = seconds;
  record.tokens = tokens;
  ++profile.ticks;
  profile.seconds += seconds;
  profile.tokens += tokens;
  merge(open, record);
  if (open.ticks < profile.ticksPerRecord)
    return;
  profile.records.push_back(std::exchange(open, {}));
  if (profile.records.size() == EngineProfile::kMaxRecords) {
    mergeNeighbours(profile.records);
    profile.ticksPerRecord *= 2;
  }
}

EngineProfile Profiler::getProfile(const std::vector<CacheUse> &use) const {
  EngineProfile result = profile;
  if (open.ticks > 0)
    result.records.push_back(open);
  result.caches.resize(std::max(result.caches.size(), use.size()));
  for (size_t index = 0; index < use.size(); ++index) {
    CacheProfile &cache = result.caches[index];
    cache.slots.resize(std::max(cache.slots.size(), use[index].slots.size()));
    for (size_t number = 0; number < use[index].slots.size(); ++number)
      cache.slots[number].now = use[index].slots[number];
    cache.liveBytes = use[index].liveBytes;
    cache.pageBytes = use[index].pageBytes;
  }
  return result;
}
