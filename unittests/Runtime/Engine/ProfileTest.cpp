// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Profiles of the counting model, whose rows take known steps: odd tokens one step at a threshold below 1, others as
// many as asked for, and a row that exits gets an entry in each later slot.

#include "lariat/Runtime/Engine/Engine.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

using namespace lariat::runtime;

namespace {

constexpr int64_t kLoops = 3;

std::shared_ptr<Model> openModel() {
  Expected<std::unique_ptr<Model>> model =
      Model::open(std::string(LARIAT_ARTEFACTS) + "/counting.lariat", {.threads = 2});
  EXPECT_TRUE(model) << (model ? "" : model.text());
  return model ? std::move(*model) : nullptr;
}

EngineRequest makeRequest(std::vector<int64_t> prompt, int64_t count) {
  return {.prompt = std::move(prompt),
          .loops = kLoops,
          .threshold = 0.5F,
          .maxNewTokens = count,
          .sampling = {},
          .endTokens = {}};
}

/// What a profile has to say of the rows of requests.
struct Expectation {
  std::vector<int64_t> rows = std::vector<int64_t>(kLoops), filled = std::vector<int64_t>(kLoops);
  std::vector<int64_t> generated, prompt;

  void add(int64_t token, bool isGenerated) {
    int64_t steps = token % 2 == 1 ? 1 : kLoops;
    for (int64_t depth = 0; depth < kLoops; ++depth)
      ++(depth < steps ? rows : filled)[depth];
    std::vector<int64_t> &counts = isGenerated ? generated : prompt;
    counts.resize(std::max<size_t>(counts.size(), steps + 1));
    ++counts[steps];
  }
};

/// Runs requests to their end; expected is what their tokens say. The last token of a request never becomes a row.
EngineProfile runAll(const std::shared_ptr<Model> &model, EngineOptions options,
                     const std::vector<EngineRequest> &requests, Expectation &expected) {
  options.keepsProfile = true;
  Expected<std::unique_ptr<Engine>> engine = Engine::create(model, std::move(options));
  EXPECT_TRUE(engine);
  std::map<int64_t, std::vector<int64_t>> tokens;
  for (const EngineRequest &request : requests) {
    (*engine)->submit(request);
    for (int64_t token : request.prompt)
      expected.add(token, /*isGenerated=*/false);
  }
  while ((*engine)->getNumUnfinished() > 0) {
    (*engine)->tick();
    for (const EngineToken &token : (*engine)->getTokens())
      tokens[token.request].push_back(token.choice.token);
  }
  for (const auto &[number, found] : tokens)
    for (size_t index = 0; index + 1 < found.size(); ++index)
      expected.add(found[index], /*isGenerated=*/true);
  return *(*engine)->getProfile();
}

std::vector<EngineRequest> makeRequests() {
  return {makeRequest({1, 2, 3, 4, 5, 6, 7}, 9), makeRequest({2, 2}, 4), makeRequest({9}, 12), makeRequest({0, 1}, 7)};
}

template <typename Get>
auto list(const std::vector<DepthProfile> &depths, Get get) {
  std::vector<int64_t> values;
  for (const DepthProfile &depth : depths)
    values.push_back(depth.*get);
  return values;
}

} // namespace

TEST(Profile, RowsByDepthAreThoseThatTheirStepsSay) {
  for (int64_t maxRows : {1, 3, 64}) {
    SCOPED_TRACE(maxRows);
    Expectation expected;
    EngineProfile profile = runAll(openModel(), {.maxRows = maxRows, .loop = LoopRun::Steps, .prefixCache = false},
                                   makeRequests(), expected);
    EXPECT_EQ(list(profile.depths, &DepthProfile::rows), expected.rows);
    EXPECT_EQ(list(profile.depths, &DepthProfile::filledRows), expected.filled);
    EXPECT_EQ(profile.steps.generated, expected.generated);
    EXPECT_EQ(profile.steps.prompt, expected.prompt);
    EXPECT_EQ(profile.tokens, 9 + 4 + 12 + 7);
  }
}

TEST(Profile, ACallOfAllStepsCountsItsRowsAtEachDepth) {
  Expectation expected;
  EngineProfile profile = runAll(openModel(), {}, {makeRequest({1, 2, 3}, 6)}, expected);
  EXPECT_EQ(profile.functions[static_cast<size_t>(CalledFunction::Core)].calls, 0);
  EXPECT_EQ(profile.functions[static_cast<size_t>(CalledFunction::Whole)].rows, 3 + 5);
  EXPECT_EQ(list(profile.depths, &DepthProfile::rows), expected.rows);
  EXPECT_EQ(profile.steps.generated, expected.generated);
  for (const DepthProfile &depth : profile.depths)
    EXPECT_EQ(depth.seconds, 0);
}

TEST(Profile, SecondsOfDepthsAreThoseOfCalls) {
  Expectation expected;
  EngineProfile profile =
      runAll(openModel(), {.maxRows = 4, .loop = LoopRun::Steps, .prefixCache = false}, makeRequests(), expected);
  double core = 0, fill = 0, all = 0;
  for (const DepthProfile &depth : profile.depths) {
    core += depth.seconds;
    fill += depth.fillSeconds;
  }
  for (const FunctionProfile &function : profile.functions)
    all += function.seconds;
  EXPECT_GT(core, 0);
  EXPECT_NEAR(core, profile.functions[static_cast<size_t>(CalledFunction::Core)].seconds, 1e-9);
  EXPECT_NEAR(fill, profile.functions[static_cast<size_t>(CalledFunction::Fill)].seconds, 1e-9);
  EXPECT_LE(all, profile.seconds);
}

TEST(Profile, RecordsAddUpToTheCountsAndStayFew) {
  std::vector<EngineRequest> requests(3, makeRequest({2, 1}, 1500));
  Expectation expected;
  EngineProfile profile =
      runAll(openModel(), {.maxRows = 2, .loop = LoopRun::Steps, .prefixCache = false}, requests, expected);
  ASSERT_GT(profile.ticks, static_cast<int64_t>(EngineProfile::kMaxRecords));
  EXPECT_LE(profile.records.size(), EngineProfile::kMaxRecords);
  EXPECT_GE(profile.records.size(), EngineProfile::kMaxRecords / 2);
  TickRecord sum;
  sum.depths.resize(kLoops);
  for (const TickRecord &record : profile.records) {
    EXPECT_EQ(record.ticks, &record == &profile.records.back() ? record.ticks : profile.ticksPerRecord);
    EXPECT_LE(record.running, 3);
    EXPECT_LE(record.rows[static_cast<size_t>(CalledFunction::Core)], 2 * record.ticks);
    sum.ticks += record.ticks;
    sum.seconds += record.seconds;
    sum.tokens += record.tokens;
    sum.promptRows += record.promptRows;
    for (size_t called = 0; called < kNumCalledFunctions; ++called)
      sum.rows[called] += record.rows[called];
    for (size_t depth = 0; depth < record.depths.size(); ++depth)
      sum.depths[depth] += record.depths[depth];
  }
  EXPECT_EQ(sum.ticks, profile.ticks);
  EXPECT_NEAR(sum.seconds, profile.seconds, 1e-6);
  EXPECT_EQ(sum.tokens, 4500);
  EXPECT_EQ(sum.promptRows, 6);
  EXPECT_EQ(sum.depths, expected.rows);
  for (size_t called = 0; called < kNumCalledFunctions; ++called)
    EXPECT_EQ(sum.rows[called], profile.functions[called].rows);
}

TEST(Profile, CachesHoldWhatSequencesSay) {
  std::shared_ptr<Model> model = openModel();
  Expected<std::unique_ptr<Engine>> engine =
      Engine::create(model, {.maxRows = 5, .prefixCache = false, .keepsProfile = true});
  ASSERT_TRUE(engine);
  for (const EngineRequest &request : makeRequests())
    (*engine)->submit(request);
  int64_t peakLive = 0;
  while ((*engine)->getNumUnfinished() > 0) {
    (*engine)->tick();
    EngineProfile profile = *(*engine)->getProfile();
    MemoryUse use = model->getMemoryUse();
    ASSERT_EQ(profile.caches.size(), 1U);
    const CacheProfile &cache = profile.caches[0];
    EXPECT_EQ(cache.liveBytes, use.liveBytes);
    EXPECT_EQ(cache.pageBytes, use.pageBytes);
    int64_t entries = 0, pages = 0;
    for (const SlotProfile &slot : cache.slots) {
      entries += slot.now.computed + slot.now.filled;
      pages += slot.now.pages;
    }
    const Cache &facts = model->getManifest().caches[0];
    EXPECT_EQ(entries * facts.getEntryBytes(), use.liveBytes);
    EXPECT_EQ(pages * facts.getPageBytes(), use.pageBytes);
    peakLive = std::max(peakLive, use.liveBytes);
    EXPECT_GE(cache.peakLiveBytes, peakLive);
  }
  EXPECT_EQ((*engine)->getProfile()->caches[0].liveBytes, 0);
}

TEST(Profile, TheMostOfARequestAloneIsWhatItLeaves) {
  std::shared_ptr<Model> model = openModel();
  Expected<std::unique_ptr<Engine>> engine = Engine::create(model, {.loop = LoopRun::Steps, .keepsProfile = true});
  ASSERT_TRUE(engine);
  (*engine)->submit(makeRequest({1, 2, 3}, 80));
  std::vector<CacheUse> left;
  while ((*engine)->getNumUnfinished() > 0) {
    (*engine)->tick();
    for (const EngineEnd &end : (*engine)->getEnds())
      left = end.use;
  }
  EngineProfile profile = *(*engine)->getProfile();
  ASSERT_EQ(left.size(), 1U);
  ASSERT_EQ(profile.caches[0].slots.size(), left[0].slots.size());
  for (size_t slot = 0; slot < left[0].slots.size(); ++slot) {
    const SlotUse &use = left[0].slots[slot];
    EXPECT_EQ(profile.caches[0].slots[slot].peakEntries, use.computed + use.filled);
    EXPECT_EQ(profile.caches[0].slots[slot].peakPages, use.pages);
  }
  EXPECT_EQ(profile.caches[0].peakLiveBytes, left[0].liveBytes);
}

TEST(Profile, NoneIsKeptUnlessAskedFor) {
  Expected<std::unique_ptr<Engine>> engine = Engine::create(openModel(), {});
  ASSERT_TRUE(engine);
  (*engine)->submit(makeRequest({1}, 2));
  (*engine)->tick();
  EXPECT_FALSE((*engine)->getProfile());
}

TEST(Profile, TicksThatRunNothingAreNotKept) {
  Expected<std::unique_ptr<Engine>> engine = Engine::create(openModel(), {.keepsProfile = true});
  ASSERT_TRUE(engine);
  for (int tick = 0; tick < 5; ++tick)
    (*engine)->tick();
  EXPECT_EQ((*engine)->getProfile()->ticks, 0);
  EXPECT_TRUE((*engine)->getProfile()->records.empty());
}
