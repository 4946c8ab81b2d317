// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Requests that begin with rows of others: how many rows that spares, that nothing else changes, and who must not.

#include "EngineCases.h"

#include <algorithm>

using namespace lariat::runtime;

namespace {

/// Rows that entered the loop, by whatever function.
int64_t countComputed(const Engine &engine) { return engine.getCounts().prelude.rows + engine.getCounts().whole.rows; }

/// Small tokens, so that sums stay below those with a meaning.
std::vector<int64_t> makePrompt(int64_t count, int64_t last = 0) {
  std::vector<int64_t> prompt(count);
  for (int64_t position = 0; position < count; ++position)
    prompt[position] = position % 3 == 0;
  prompt.back() = last;
  return prompt;
}

/// The tokens of one and more.
std::vector<int64_t> extend(std::vector<int64_t> prompt, const std::vector<int64_t> &more) {
  prompt.insert(prompt.end(), more.begin(), more.end());
  return prompt;
}

int64_t countPages(const std::shared_ptr<Model> &model) {
  return model->getMemoryUse().pageBytes / model->getManifest().caches[0].getPageBytes();
}

} // namespace

TEST(SharedRows, ALaterRequestComputesOnlyWhatIsNew) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest first = makeRequest(makePrompt(100), 5), second = makeRequest(extend(makePrompt(90), {2, 2, 1}), 5);
  engine->submit(first);
  EXPECT_EQ(runAll(*engine)[0], runAlone(model, first));
  EXPECT_EQ(countComputed(*engine), 104);
  engine->submit(second);
  EXPECT_EQ(runAll(*engine)[1], runAlone(model, second));
  EXPECT_EQ(engine->getCounts().reusedRows, 90);
  EXPECT_EQ(countComputed(*engine), 104 + 93 - 90 + 4);
}

TEST(SharedRows, TheLastRowOfAPromptAlwaysRuns) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  for (int64_t number : {0, 1}) {
    engine->submit(makeRequest(makePrompt(80), 1));
    EXPECT_EQ(runAll(*engine)[number], runAlone(model, makeRequest(makePrompt(80), 1)));
  }
  EXPECT_EQ(countComputed(*engine), 80 + 1);
}

TEST(SharedRows, RequestsThatComeTogetherComputeACommonStartOnce) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model, {.maxRows = 40});
  std::vector<EngineRequest> requests;
  for (int64_t number = 0; number < 4; ++number)
    requests.push_back(makeRequest(extend(makePrompt(130), {number, 1}), 3));
  engine->submit(requests);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  for (const auto &[number, outcome] : outcomes)
    EXPECT_EQ(outcome, runAlone(model, requests[number])) << "request " << number;
  EXPECT_EQ(countComputed(*engine), 130 + 4 * (2 + 2));
}

TEST(SharedRows, ARequestWhoseSourceIsCancelledComputesTheRest) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model, {.maxRows = 40});
  EngineRequest request = makeRequest(makePrompt(150), 3);
  int64_t first = engine->submit(request);
  engine->submit(request);
  for (int64_t step = 0; step < 3; ++step)
    engine->tick(); // 40 rows are through
  EXPECT_TRUE(engine->cancel(first).ok());
  EXPECT_EQ(runAll(*engine)[1], runAlone(model, request));
  EXPECT_EQ(countComputed(*engine), 150 + 2);
}

TEST(SharedRows, WhateverDecidesEntriesMustBeTheSame) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest request = makeRequest(makePrompt(70), 2);
  engine->submit(request);
  runAll(*engine);
  EngineRequest threshold = request, loops = request, prefix = request;
  threshold.threshold = 0.5F;
  loops.loops = 2;
  prefix.prefix = 4;
  for (const EngineRequest &other : {threshold, loops, prefix}) {
    int64_t number = engine->submit(other);
    EXPECT_EQ(runAll(*engine)[number], runAlone(model, other));
  }
  EXPECT_EQ(engine->getCounts().reusedRows, 0);
  std::unique_ptr<Engine> propagates = createEngine(model, {.missing = "propagate"});
  propagates->submit(request);
  runAll(*propagates);
  EXPECT_EQ(propagates->getCounts().reusedRows, 0);
  // An engine that does the same may use what another one has.
  std::unique_ptr<Engine> same = createEngine(model);
  same->submit(request);
  runAll(*same);
  EXPECT_EQ(same->getCounts().reusedRows, 69);
}

TEST(SharedRows, RequestsWhoseLoopStepsAreBoundShareNothing) {
  std::shared_ptr<Model> model = openModel();
  auto policy = std::make_shared<BaselinePolicy>(Order::Oldest, Baseline{});
  std::unique_ptr<Engine> engine = createEngine(model, {.policy = policy});
  for (int64_t number : {0, 1}) {
    policy->submit(*engine, {makeRequest(makePrompt(70), 2)}, /*bounds=*/{1});
    EXPECT_EQ(runAll(*engine)[number].steps, (std::vector<int32_t>{1, 1}));
  }
  engine->submit(makeRequest(makePrompt(70), 2));
  EXPECT_EQ(runAll(*engine)[2], runAlone(model, makeRequest(makePrompt(70), 2)));
  EXPECT_EQ(engine->getCounts().reusedRows, 0);
}

TEST(SharedRows, ABidirectionalPrefixIsSharedWhole) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest request = makeRequest(makePrompt(20), 2), other = makeRequest(makePrompt(10, 3), 2),
                longer = makeRequest(extend(makePrompt(20), {2}), 2);
  for (EngineRequest *one : {&request, &other, &longer}) {
    one->prefix = 12;
    int64_t number = engine->submit(*one);
    EXPECT_EQ(runAll(*engine)[number], runAlone(model, *one));
  }
  EXPECT_EQ(engine->getCounts().reusedRows, 20);
}

TEST(SharedRows, AGeneratedTokenIsNotOneOfAPrompt) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  std::vector<int64_t> prompt = makePrompt(30);
  engine->submit(makeRequest(prompt, 6));
  std::vector<int64_t> answer = runAll(*engine)[0].tokens;
  EngineRequest next = makeRequest(extend(extend(prompt, answer), {1}), 3);
  engine->submit(next);
  EXPECT_EQ(runAll(*engine)[1], runAlone(model, next));
  EXPECT_EQ(engine->getCounts().reusedRows, 30);
}

TEST(SharedRows, RowsOfARequestThatFailedAreNotUsed) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  for (int64_t number : {0, 1}) {
    engine->submit(makeRequest(makePrompt(10, kNotANumber), 3));
    EXPECT_EQ(runAll(*engine)[number].finish, Finish::Failed);
  }
  EXPECT_EQ(engine->getCounts().reusedRows, 0);
  EXPECT_EQ(countPages(model), 0);
}

TEST(SharedRows, SwitchedOffNothingIsHeld) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model, {.prefixCache = false});
  for (int64_t number : {0, 1}) {
    engine->submit(makeRequest(makePrompt(100), 2));
    runAll(*engine);
    EXPECT_EQ(countPages(model), 0) << "after request " << number;
  }
  EXPECT_EQ(engine->getCounts().reusedRows, 0);
}

TEST(SharedRows, PagesOfThoseThatEndedGoBeforeAnybodyIsPreempted) {
  // A request takes a page of each of three slots, and a copy of each where it begins in the middle of a page.
  std::shared_ptr<Model> alone = openModel(), model = openWithPages(13);
  std::unique_ptr<Engine> engine = createEngine(model);
  std::map<int64_t, Outcome> outcomes;
  for (int64_t token = 0; token < 6; ++token) {
    std::vector<int64_t> prompt(20, token);
    engine->submit(makeRequest(prompt, 2));
    for (const auto &[number, outcome] : runAll(*engine))
      EXPECT_EQ(outcome, runAlone(alone, makeRequest(prompt, 2)));
    EXPECT_EQ(countPages(model), std::min<int64_t>(3 * (token + 1), 12));
  }
  EXPECT_EQ(engine->getCounts().preemptions, 0);
  // The last three stay, those before do not.
  for (int64_t token : {5, 4, 3}) {
    int64_t before = engine->getCounts().reusedRows;
    engine->submit(makeRequest(std::vector<int64_t>(20, token), 2));
    runAll(*engine);
    EXPECT_EQ(engine->getCounts().reusedRows, before + 19) << "token " << token;
  }
  int64_t before = engine->getCounts().reusedRows;
  engine->submit(makeRequest(std::vector<int64_t>(20, 2), 2));
  runAll(*engine);
  EXPECT_EQ(engine->getCounts().reusedRows, before);
  engine->clearPrefixes();
  EXPECT_EQ(countPages(model), 0);
}

TEST(SharedRows, ARequestThatWasPreemptedGetsBackWhatIsLeftOfItsPages) {
  std::vector<EngineRequest> requests;
  for (int64_t number = 0; number < 3; ++number)
    requests.push_back(makeRequest(extend({number}, makePrompt(125)), 40)); // they have nothing in common
  std::shared_ptr<Model> alone = openModel();
  int64_t computed[2];
  for (bool shares : {false, true}) {
    std::shared_ptr<Model> model = openWithPages(21); // of 27
    std::unique_ptr<Engine> engine = createEngine(model, {.prefixCache = shares});
    for (const EngineRequest &request : requests)
      engine->submit(request);
    std::map<int64_t, Outcome> outcomes = runAll(*engine);
    for (const auto &[number, outcome] : outcomes)
      EXPECT_EQ(outcome, runAlone(alone, requests[number])) << "request " << number;
    EXPECT_EQ(engine->getCounts().preemptions, 1);
    EXPECT_EQ(engine->getCounts().reusedRows, shares ? 64 : 0); // its later pages went to the others
    computed[shares] = countComputed(*engine);
  }
  EXPECT_EQ(computed[1], computed[0] - 64);
}

TEST(SharedRows, EveryScheduleGivesWhatARequestGetsAlone) {
  std::shared_ptr<Model> unlimited = openModel();
  for (int64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<EngineRequest> requests = drawRequests(random);
    EngineOptions options{.missing = random.draw(0, 1) ? std::optional<std::string>("propagate") : std::nullopt,
                          .maxRows = random.draw(1, 60),
                          .chunkRows = random.draw(1, 40),
                          .order = static_cast<Order>(random.draw(0, 2))};
    options = varyLoop(options, random.draw(0, 7));
    std::shared_ptr<Model> model = random.draw(0, 1) ? unlimited : openWithPages(random.draw(12, 20));
    std::unique_ptr<Engine> engine = createEngine(model, options);
    std::map<int64_t, Outcome> outcomes;
    for (size_t next = 0; next < requests.size() || engine->getNumUnfinished() > 0;) {
      while (next < requests.size() && random.draw(0, 2) == 0)
        engine->submit(requests[next++]);
      if (next > 0 && random.draw(0, 30) == 0)
        EXPECT_TRUE(engine->cancel(random.draw(0, static_cast<int64_t>(next) - 1)).ok());
      engine->tick();
      collect(*engine, outcomes);
    }
    for (size_t number = 0; number < requests.size(); ++number) {
      Outcome found = outcomes[static_cast<int64_t>(number)], alone = runAlone(unlimited, requests[number], options);
      if (found.finish == Finish::Stopped) {
        ASSERT_LE(found.tokens.size(), alone.tokens.size());
        alone.tokens.resize(found.tokens.size());
        alone.steps.resize(found.steps.size());
        EXPECT_EQ(std::pair(found.tokens, found.steps), std::pair(alone.tokens, alone.steps)) << "request " << number;
      } else {
        EXPECT_EQ(found, alone) << "request " << number;
      }
    }
    if (model != unlimited)
      EXPECT_LE(engine->getCounts().peakPageBytes, model->getMemoryUse().limitBytes);
    engine->clearPrefixes();
    EXPECT_EQ(countPages(model), 0);
    EXPECT_EQ(model->getMemoryUse().liveBytes, 0);
  }
}
