// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The engine on the counting model: every request gets what it gets alone, whatever happens beside it, and all pages
// come back.

#include "EngineCases.h"

#include <random>
#include <thread>

using namespace lariat::runtime;

namespace {

/// Random requests from a seed; prompts are of small tokens, so that sums stay below the special ones for a while.
std::vector<EngineRequest> drawRequests(std::mt19937_64 &random, int64_t count) {
  auto draw = [&](int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random); };
  std::vector<EngineRequest> requests;
  for (int64_t number = 0; number < count; ++number) {
    std::vector<int64_t> prompt(draw(1, 20));
    for (int64_t &token : prompt)
      token = draw(0, 3);
    EngineRequest request = makeRequest(std::move(prompt), draw(1, 9), draw(0, 1) ? 0.5F : 1.0F);
    request.sampling = {.temperature = draw(0, 1) ? 0.8 : 0.0, .seed = static_cast<uint64_t>(number)};
    request.loops = draw(1, 3);
    if (request.loops > 1 && draw(0, 1))
      request = speculate(request, draw(1, request.loops - 1), draw(0, 3) ? std::optional(draw(1, 5)) : std::nullopt);
    if (draw(0, 1))
      request.sampling.repetitionPenalty = 1.3;
    if (draw(0, 3) == 0)
      request.endTokens = {draw(0, 40), draw(0, 40), draw(0, 40)};
    requests.push_back(std::move(request));
  }
  return requests;
}

} // namespace

TEST(Engine, EveryScheduleGivesWhatARequestGetsAlone) {
  std::shared_ptr<Model> model = openModel();
  int64_t numDrafted = 0, numAccepted = 0;
  for (int64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto draw = [&](int64_t least, int64_t most) {
      return std::uniform_int_distribution<int64_t>(least, most)(random);
    };
    std::vector<EngineRequest> requests = drawRequests(random, draw(1, 9));
    EngineOptions options{.maxRows = draw(1, 16), .chunkRows = draw(1, 8), .order = static_cast<Order>(draw(0, 2))};
    options = varyLoop(options, draw(0, 7));
    // A small pool makes requests give their pages back; 12 pages are enough for the longest one.
    std::shared_ptr<Model> small = draw(0, 1) ? model : openModel(12 * model->getManifest().caches[0].getPageBytes());
    std::unique_ptr<Engine> engine = createEngine(small, options);
    // A request that has all its tokens may give up what it owes where others lack pages; errors name the sequence.
    auto strip = [&](Outcome outcome) {
      if (small != model)
        outcome.use.clear();
      outcome.error = outcome.error.empty() ? "" : "failed";
      return outcome;
    };
    std::map<int64_t, Outcome> outcomes;
    for (size_t next = 0; next < requests.size() || engine->getNumUnfinished() > 0;) {
      while (next < requests.size() && draw(0, 1))
        engine->submit(requests[next++]);
      engine->tick();
      collect(*engine, outcomes);
    }
    for (size_t number = 0; number < requests.size(); ++number)
      EXPECT_EQ(strip(outcomes[static_cast<int64_t>(number)]), strip(runAlone(model, requests[number])))
          << "request " << number;
    engine->clearPrefixes();
    EXPECT_EQ(small->getMemoryUse().pageBytes, 0);
    numDrafted += engine->getCounts().drafted;
    numAccepted += engine->getCounts().accepted;
  }
  EXPECT_GT(numAccepted, 50);
  EXPECT_GT(numDrafted - numAccepted, 50);
}

TEST(Engine, RequestsGiveTheirPagesBackWhereOthersNeedThem) {
  std::shared_ptr<Model> model = openModel();
  std::shared_ptr<Model> small = openModel(6 * model->getManifest().caches[0].getPageBytes());
  std::unique_ptr<Engine> engine = createEngine(small);
  std::vector<EngineRequest> requests;
  for (int64_t number = 0; number < 5; ++number)
    requests.push_back(makeRequest(std::vector<int64_t>(40, 2), 60, 1));
  for (const EngineRequest &request : requests)
    engine->submit(request);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_GT(engine->getCounts().preemptions, 0);
  for (const auto &[number, outcome] : outcomes)
    EXPECT_EQ(outcome, runAlone(model, requests[number])) << "request " << number;
  EXPECT_LE(engine->getCounts().peakPageBytes, small->getMemoryUse().limitBytes);
  engine->clearPrefixes();
  EXPECT_EQ(small->getMemoryUse().pageBytes, 0);
}

TEST(Engine, ARequestLongerThanThePoolFailsAlone) {
  std::shared_ptr<Model> model = openModel();
  std::shared_ptr<Model> small = openModel(3 * model->getManifest().caches[0].getPageBytes());
  std::unique_ptr<Engine> engine = createEngine(small);
  engine->submit(makeRequest({1, 2, 3}, 5));
  engine->submit(makeRequest(std::vector<int64_t>(200, 1), 5));
  engine->submit(makeRequest({4}, 5));
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0], runAlone(model, makeRequest({1, 2, 3}, 5)));
  EXPECT_EQ(outcomes[1].finish, Finish::Failed);
  EXPECT_NE(outcomes[1].error.find("more pages"), std::string::npos) << outcomes[1].error;
  EXPECT_EQ(outcomes[2], runAlone(model, makeRequest({4}, 5)));
  engine->clearPrefixes();
  EXPECT_EQ(small->getMemoryUse().pageBytes, 0);
}

TEST(Engine, RowsFollowEachOtherThroughTheLoopWhereDraftsAreRight) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest request = speculate(makeRequest({4}, 6), /*steps=*/1, /*drafts=*/2);
  engine->submit(request);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0], runAlone(model, request));
  // Three steps for the first token, one for each that follows. The last token is not drafted.
  EXPECT_EQ(engine->getCounts().ticks, 3 + 5);
  EXPECT_EQ(engine->getCounts().core.rows, 3 * 6);
  EXPECT_EQ(engine->getCounts().drafted, 5);
  EXPECT_EQ(engine->getCounts().accepted, 5);
}

TEST(Engine, AWrongDraftIsTakenBackWithTheRowsBehindIt) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest request = speculate(makeRequest({2}, 4), /*steps=*/1, /*drafts=*/2);
  engine->submit(request);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0].tokens, (std::vector<int64_t>{2, 4, 8, 16}));
  EXPECT_EQ(outcomes[0], runAlone(model, request));
  // 2 drafts 3, and 2 again drafts 5; each takes all its steps before the right token enters. 4 drafts 8.
  EXPECT_EQ(engine->getCounts().ticks, 3 + 3 + 3 + 1);
  EXPECT_EQ(engine->getCounts().accepted, 1);
  engine->clearPrefixes();
  EXPECT_EQ(model->getMemoryUse().pageBytes, 0);
}

TEST(Engine, ATokenThatEndsARequestHasNoRowWhereItIsDrafted) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  EngineRequest request = speculate(makeRequest({4}, 9), /*steps=*/1, /*drafts=*/5);
  request.endTokens = {16};
  engine->submit(request);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0].tokens, (std::vector<int64_t>{4, 8, 16}));
  EXPECT_EQ(outcomes[0].finish, Finish::Eos);
  EXPECT_EQ(outcomes[0], runAlone(model, request));
  EXPECT_EQ(engine->getCounts().core.rows, 3 * 3);
}

TEST(Engine, DraftsTakeNoPagesThatARequestNeeds) {
  std::shared_ptr<Model> model = openModel();
  // 63 rows of the prompt and that of the first token, a 2, fill a page of each slot. It drafts a 5, whose row has no
  // place; the 4 that comes instead ends the request.
  EngineRequest request = speculate(makeRequest(std::vector<int64_t>(63, 0), 9), /*steps=*/1, /*drafts=*/4);
  request.prompt[0] = 2;
  request.endTokens = {4};
  std::shared_ptr<Model> small = openModel(3 * model->getManifest().caches[0].getPageBytes());
  std::unique_ptr<Engine> engine = createEngine(small);
  engine->submit(request);
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0], runAlone(model, request));
  EXPECT_EQ(outcomes[0].finish, Finish::Eos) << outcomes[0].error;
  EXPECT_GT(engine->getCounts().drafted, 0);
  EXPECT_EQ(engine->getCounts().preemptions, 0);
}

TEST(Engine, LogitsThatAreNoNumbersFailTheirRequestOnly) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  engine->submit(makeRequest({1, 2}, 20));
  engine->submit(makeRequest({kNotANumber}, 20));
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  EXPECT_EQ(outcomes[0], runAlone(model, makeRequest({1, 2}, 20)));
  EXPECT_EQ(outcomes[1].finish, Finish::Failed);
  EXPECT_EQ(outcomes[1].error, "the logits of position 0 of sequence 1 are not numbers");
}

TEST(Engine, TenThousandRandomCancellationsLeaveNothingBehind) {
  std::shared_ptr<Model> model = openModel(64 * openModel()->getManifest().caches[0].getPageBytes());
  std::unique_ptr<Engine> engine = createEngine(model, {.maxRows = 16});
  std::mt19937_64 random(5);
  auto draw = [&](int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random); };
  std::map<int64_t, Outcome> outcomes;
  int64_t numSubmitted = 0, numCancelled = 0;
  while (numCancelled < 10000) {
    for (int64_t more = draw(6); more > 0; --more)
      numSubmitted = engine->submit(speculate(makeRequest({draw(3), draw(3)}, 1 + draw(9), 0.5F), draw(2), 2)) + 1;
    for (int64_t more = draw(6); more > 0 && numSubmitted > 0; --more, ++numCancelled)
      EXPECT_TRUE(engine->cancel(draw(numSubmitted - 1)).ok());
    engine->tick();
    collect(*engine, outcomes);
  }
  while (engine->getNumUnfinished() > 0) {
    engine->tick();
    collect(*engine, outcomes);
  }
  EXPECT_EQ(static_cast<int64_t>(outcomes.size()), numSubmitted);
  for (const auto &[number, outcome] : outcomes)
    EXPECT_TRUE(outcome.finish == Finish::Length || outcome.finish == Finish::Stopped) << number;
  engine->clearPrefixes();
  EXPECT_EQ(model->getMemoryUse().pageBytes, 0);
}

TEST(Engine, APromptRunsInTheSegmentsOfItsOrder) {
  std::shared_ptr<Model> model = openModel();
  EngineRequest request = makeRequest({1, 2, 0, 1, 2, 0, 1, 2, 0}, 4);
  for (auto [order, calls] : {std::pair(RowOrder::Free, 3), {RowOrder::Atomic, 1}, {RowOrder::Sequential, 9}}) {
    std::unique_ptr<Engine> engine = createEngine(model, {.maxRows = 4});
    request.promptOrder = request.generatedOrder = order;
    engine->submit(request);
    std::map<int64_t, Outcome> outcomes;
    for (; outcomes.empty(); collect(*engine, outcomes))
      engine->tick();
    EXPECT_EQ(engine->getCounts().whole.calls, calls);
    EXPECT_EQ(engine->getCounts().whole.rows, 9);
  }
}

TEST(Engine, NothingIsAskedForNothingIsGiven) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  engine->tick();
  EXPECT_TRUE(engine->getTokens().empty());
  engine->submit(makeRequest({1}, 0));
  engine->tick();
  ASSERT_EQ(engine->getEnds().size(), 1U);
  EXPECT_EQ(engine->getEnds()[0].finish, Finish::Length);
  EXPECT_EQ(engine->getNumUnfinished(), 0);
}

TEST(Engine, AClosedModelFailsAllRequests) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model);
  engine->submit(makeRequest({1}, 100));
  engine->submit(makeRequest({2}, 100));
  engine->tick();
  model->close();
  std::map<int64_t, Outcome> outcomes = runAll(*engine);
  for (int64_t number : {0, 1}) {
    EXPECT_EQ(outcomes[number].finish, Finish::Failed);
    EXPECT_NE(outcomes[number].error.find("is closed"), std::string::npos) << outcomes[number].error;
  }
}

TEST(Engine, RequestsComeFromManyThreads) {
  std::shared_ptr<Model> model = openModel();
  std::unique_ptr<Engine> engine = createEngine(model, {.maxRows = 8});
  std::vector<std::thread> clients;
  for (int64_t client = 0; client < 4; ++client)
    clients.emplace_back([&, client] {
      for (int64_t number = 0; number < 25; ++number)
        if (int64_t request = engine->submit(makeRequest({client, number % 3}, 3)); number % 5 == 0)
          EXPECT_TRUE(engine->cancel(request).ok());
    });
  std::map<int64_t, Outcome> outcomes;
  while (outcomes.size() < 100 || engine->getNumUnfinished() > 0) {
    engine->tick();
    collect(*engine, outcomes);
  }
  for (std::thread &client : clients)
    client.join();
  EXPECT_EQ(outcomes.size(), 100U);
}
