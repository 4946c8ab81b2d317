// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Requests on the counting model, whose next token is the sum of the tokens so far.

#include "lariat/Runtime/Session/Session.h"
#include "../Generations.h"
#include "lariat/Requests/Checks.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace lariat::requests;
using namespace lariat::runtime;

static constexpr int64_t kVocab = 320;

static std::unique_ptr<Session> open(const char *name = "counting", SessionOptions options = {.open = {.threads = 2}}) {
  Expected<std::unique_ptr<Session>> session =
      Session::open(std::string(LARIAT_ARTEFACTS) + "/" + name + ".lariat", options);
  EXPECT_TRUE(session) << (session ? "" : session.text());
  return session ? std::move(*session) : nullptr;
}

/// The most likely token of each row.
static std::vector<int64_t> best(const SequenceScores &score) {
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < score.logits.numRows; ++row) {
    const float *line = score.logits.data() + row * score.logits.numColumns;
    ids.push_back(std::max_element(line, line + score.logits.numColumns) - line);
  }
  return ids;
}

static std::vector<int64_t> sums(const std::vector<int64_t> &ids) {
  std::vector<int64_t> result(ids.size());
  std::partial_sum(ids.begin(), ids.end(), result.begin());
  for (int64_t &sum : result)
    sum %= kVocab;
  return result;
}

/// Everything that a score consists of.
static std::string show(const std::vector<SequenceScores> &scores) {
  std::string text;
  for (const SequenceScores &score : scores) {
    text.append(reinterpret_cast<const char *>(score.logits.data()),
                score.logits.numRows * score.logits.numColumns * sizeof(float));
    for (int32_t steps : score.steps)
      text += std::to_string(steps) + " ";
    for (const CacheCount &cache : score.caches)
      for (const SlotCount &slot : cache.slots)
        text += std::to_string(slot.computed) + "+" + std::to_string(slot.filled) + " ";
  }
  return text;
}

static ScoreRequest scoreRequest(std::vector<std::vector<int64_t>> sequences) {
  ScoreRequest request;
  request.sequences = std::move(sequences);
  return request;
}

static GenerateRequest generateRequest(std::vector<std::vector<int64_t>> sequences, int64_t count) {
  GenerateRequest request;
  request.sequences = std::move(sequences);
  request.maxNewTokens = count;
  return request;
}

static std::string scoreError(Session &session, const ScoreRequest &request) {
  Expected<std::vector<SequenceScores>> scores = session.score(request);
  return scores ? "" : scores.text();
}

TEST(Session, ScoresRaggedBatches) {
  std::unique_ptr<Session> session = open();
  std::vector<int64_t> longer(150, 3);
  Expected<std::vector<SequenceScores>> scores = session->score(scoreRequest({{1, 2, 3}, {7}, longer}));
  ASSERT_TRUE(scores) << scores.text();
  EXPECT_EQ(best((*scores)[0]), (std::vector<int64_t>{1, 3, 6}));
  EXPECT_EQ(best((*scores)[1]), (std::vector<int64_t>{7}));
  EXPECT_EQ(best((*scores)[2]), sums(longer));
  EXPECT_EQ((*scores)[0].steps, (std::vector<int32_t>{3, 3, 3}));
  ASSERT_EQ((*scores)[2].caches.size(), 1u);
  ASSERT_EQ((*scores)[2].caches[0].slots.size(), 3u);
  EXPECT_EQ((*scores)[2].caches[0].slots[2].computed, 150);
  EXPECT_EQ(session->getModel().getMemoryUse().pageBytes, 0);
}

TEST(Session, TheCutChangesNothing) {
  ScoreRequest request = scoreRequest({{1, 2, 3, 4, 5, 6, 7}, {9, 8}, {5, 5, 5, 5, 5}});
  request.threshold = 0.5;
  std::unique_ptr<Session> whole = open();
  std::string expected = show(*whole->score(request));
  for (int64_t maxRows : {1, 2, 3, 100})
    EXPECT_EQ(show(*open("counting", {.open = {.threads = 2}, .maxRows = maxRows})->score(request)), expected);
  for (int64_t chunk : {1, 2, 3, 100}) {
    request.chunk = chunk;
    EXPECT_EQ(show(*whole->score(request)), expected);
  }
  request.chunk.reset();
  for (Form form : {Form::Lockstep, Form::Staggered}) {
    request.form = form;
    EXPECT_EQ(show(*whole->score(request)), expected);
    request.chunk = 2;
    EXPECT_EQ(show(*whole->score(request)), expected);
    request.chunk.reset();
  }
}

TEST(Session, LoopsAndThreshold) {
  std::unique_ptr<Session> session = open();
  ScoreRequest request = scoreRequest({{1, 2}});
  request.loops = 2;
  request.threshold = 0.0;
  Expected<std::vector<SequenceScores>> scores = session->score(request);
  ASSERT_TRUE(scores);
  EXPECT_EQ((*scores)[0].steps, (std::vector<int32_t>{1, 2}));
  const std::vector<SlotCount> &slots = (*scores)[0].caches[0].slots;
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(slots[1].computed, 1);
  EXPECT_EQ(slots[1].filled, 1);
  request.threshold = 1.0;
  EXPECT_EQ((*session->score(request))[0].steps, (std::vector<int32_t>{2, 2}));
}

TEST(Session, ADeclaredThresholdIsTheDefault) {
  RequestFacts facts;
  facts.loops = {.defaultSteps = 3, .minSteps = 1, .maxSteps = 8, .stepsWithExit = 8};
  auto resolve = [&](std::optional<double> given, bool noExit = false) {
    Request request;
    request.threshold = given;
    request.noExit = noExit;
    return std::pair(*resolveThreshold(facts, request), *resolveLoops(facts, request));
  };
  facts.exit = ExitRule{"rule", /*never=*/1, /*low=*/0, /*high=*/1, /*declared=*/std::nullopt};
  EXPECT_EQ(resolve(std::nullopt), std::pair(1.0F, int64_t(3)));
  facts.exit->declared = 0.25;
  EXPECT_EQ(resolve(std::nullopt), std::pair(0.25F, int64_t(8)));
  EXPECT_EQ(resolve(0.5), std::pair(0.5F, int64_t(8)));
  EXPECT_EQ(resolve(std::nullopt, /*noExit=*/true), std::pair(1.0F, int64_t(3)));
  facts.exit->declared = 1;
  EXPECT_EQ(resolve(std::nullopt), std::pair(1.0F, int64_t(3)));
  Request both;
  both.threshold = 0.5;
  both.noExit = true;
  EXPECT_EQ(resolveThreshold(facts, both).text(),
            "an exit threshold is given, and exits are switched off: expected one of both");
}

TEST(Session, PrefixRowsSeeEachOther) {
  std::unique_ptr<Session> session = open("counting", {.open = {.threads = 1}, .maxRows = 1});
  ScoreRequest request = scoreRequest({{1, 2, 4, 8}});
  request.prefix = 3;
  EXPECT_EQ(best((*session->score(request))[0]), (std::vector<int64_t>{7, 7, 7, 15}));
}

TEST(Session, InitialState) {
  std::unique_ptr<Session> session = open();
  std::vector<float> state{10, 0, 0, 20};
  ScoreRequest request = scoreRequest({{1, 2}});
  request.initialState = {{state.data(), 2, 2}};
  for (Form form : {Form::Forward, Form::Lockstep}) {
    request.form = form;
    EXPECT_EQ(best((*session->score(request))[0]), (std::vector<int64_t>{11, 43}));
  }
  request.initialState = {{state.data(), 1, 2}};
  EXPECT_EQ(scoreError(*session, request), "the initial state of sequence 0 has shape [1, 2], expected [2, 2]");
}

TEST(Session, RequestsThatAreRefused) {
  std::unique_ptr<Session> session = open();
  auto refused = [&](auto change) {
    ScoreRequest request = scoreRequest({{1, 2}});
    change(request);
    return scoreError(*session, request);
  };
  EXPECT_EQ(refused([](ScoreRequest &r) { r.sequences.clear(); }), "the batch has no sequences, expected at least one");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.sequences.emplace_back(); }),
            "sequence 1 has no tokens, expected at least one");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.sequences[0][1] = 320; }),
            "token 1 of sequence 0 is 320, expected 0 to 319");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.sequences[0].resize(257); }),
            "sequence 0 has 257 tokens, but the context of the model is 256");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.loops = 5; }), "5 loop steps are asked for, but the model takes 1 to 4");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.threshold = 1.5; }),
            "the exit threshold is 1.5, but the rule 'odd-token' takes 0 to 1");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.missing = "skip"; }),
            "the missing mode 'skip' is not one the model allows: copy_last, propagate");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.missing = "propagate"; }), "");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.prefix = -1; }), "the prefix is -1, expected 0 or more");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.chunk = 0; }), "the chunk is 0 rows, expected at least 1");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.mode = "x"; }), "'mode' of the request is 'x', expected score or generate");
  EXPECT_EQ(refused([](ScoreRequest &r) { r.wantsStop = [] { return true; }; }), "the request was stopped");
  Request request;
  request.sequences = {{1}};
  EXPECT_EQ(session->encode(request).text(), "the model is a decoder, which answers score and generate, not encode");
  EXPECT_EQ(refused([](ScoreRequest &) {}), "");
}

TEST(Session, Encodes) {
  std::unique_ptr<Session> session = open("encoder", {.open = {.threads = 1}, .maxRows = 2});
  Request request;
  request.sequences = {{1, 2, 3}, {5}};
  Expected<std::vector<SequenceScores>> scores = session->encode(request);
  ASSERT_TRUE(scores) << scores.text();
  const FloatArray &hidden = (*scores)[0].hidden;
  EXPECT_EQ(std::vector<float>(hidden.data(), hidden.data() + 9), (std::vector<float>{1, 0, 6, 2, 1, 6, 3, 2, 6}));
  EXPECT_EQ((*scores)[1].hidden.data()[2], 5);
  EXPECT_EQ((*scores)[0].logits.numColumns, 0);
  EXPECT_EQ(session->score(scoreRequest({{1}})).text(), "the model is an encoder, which answers encode, not score");
}

TEST(Session, Generates) {
  std::vector<std::vector<int64_t>> prompts{{1, 2, 3, 4, 5}, {100}};
  for (int64_t maxRows : {1, 3, 512}) {
    std::unique_ptr<Session> session = open("counting", {.open = {.threads = 2}, .maxRows = maxRows});
    std::vector<SequenceTokens> results;
    ASSERT_EQ(runGeneration(*session, generateRequest(prompts, 6), results), "");
    EXPECT_EQ(results[0].tokens, (std::vector<int64_t>{15, 30, 60, 120, 240, 160}));
    EXPECT_EQ(results[1].tokens, (std::vector<int64_t>{100, 200, 80, 160, 0, 0}));
    EXPECT_EQ(results[0].finish, Finish::Length);
    EXPECT_EQ(results[0].caches[0].slots[2].computed, 10);
    EXPECT_EQ(session->getModel().getMemoryUse().pageBytes, 0);
  }
}

TEST(Session, NothingIsHeldOnceTheLastPromptHasStarted) {
  std::unique_ptr<Session> session = open();
  std::vector<int64_t> prompt(100, 1);
  Expected<std::unique_ptr<Generation>> generation = session->generate(generateRequest({prompt, prompt}, 3));
  ASSERT_TRUE(generation) << generation.text();
  while (!(*generation)->next()->empty())
    continue;
  EXPECT_EQ((*generation)->getResults()[0].tokens, (*generation)->getResults()[1].tokens);
  EXPECT_EQ(session->getModel().getMemoryUse().pageBytes, 0);
}

TEST(Session, TokensThatEndASequence) {
  std::unique_ptr<Session> session = open();
  std::vector<SequenceTokens> results;
  GenerateRequest request = generateRequest({{200, 57}, {1, 2}}, 4);
  ASSERT_EQ(runGeneration(*session, request, results), "");
  EXPECT_EQ(results[0].tokens, (std::vector<int64_t>{257}));
  EXPECT_EQ(results[0].finish, Finish::Eos);
  EXPECT_EQ(results[1].tokens, (std::vector<int64_t>{3, 6, 12, 24}));
  request.ignoreEos = true;
  request.stopTokens = {12};
  ASSERT_EQ(runGeneration(*session, request, results), "");
  EXPECT_EQ(results[0].tokens.size(), 4u);
  EXPECT_EQ(results[1].tokens, (std::vector<int64_t>{3, 6, 12}));
  request.maxNewTokens = 0;
  ASSERT_EQ(runGeneration(*session, request, results), "");
  EXPECT_TRUE(results[1].tokens.empty());
  EXPECT_EQ(results[1].finish, Finish::Length);
}

TEST(Session, ASequenceIsStopped) {
  std::unique_ptr<Session> session = open();
  Expected<std::unique_ptr<Generation>> generation = session->generate(generateRequest({{1}, {2}}, 3));
  ASSERT_TRUE(generation);
  EXPECT_EQ((*generation)->next()->size(), 2u);
  EXPECT_TRUE((*generation)->stop(0).ok());
  Expected<std::span<const NewToken>> tokens = (*generation)->next();
  ASSERT_EQ(tokens->size(), 1u);
  EXPECT_EQ((*tokens)[0].sequence, 1);
  EXPECT_EQ((*generation)->getResults()[0].finish, Finish::Stopped);
  EXPECT_FALSE((*generation)->stop(2).ok());
}

TEST(Session, LogitsThatAreNoNumbers) {
  std::unique_ptr<Session> session = open();
  for (int64_t token : {300, 301}) {
    std::vector<SequenceTokens> results;
    EXPECT_EQ(runGeneration(*session, generateRequest({{5}, {1, token}}, 3), results),
              "the logits of position 1 of sequence 1 are not numbers");
  }
  std::vector<SequenceTokens> results;
  EXPECT_EQ(runGeneration(*session, generateRequest({{5}}, 3), results), "");
}

TEST(Session, GenerationsMayInterleaveAndOutliveTheirSession) {
  std::unique_ptr<Session> session = open();
  Expected<std::unique_ptr<Generation>> first = session->generate(generateRequest({{1}}, 3));
  Expected<std::unique_ptr<Generation>> second = session->generate(generateRequest({{2}}, 3));
  EXPECT_EQ((*(*first)->next())[0].choice.token, 1);
  EXPECT_EQ((*(*second)->next())[0].choice.token, 2);
  EXPECT_EQ((*(*first)->next())[0].choice.token, 2);
  session.reset();
  (*second).reset();
  EXPECT_TRUE((*first)->next() || true); // an error or a token, no crash
}

TEST(Session, CloseEndsEverything) {
  std::unique_ptr<Session> session = open();
  Expected<std::unique_ptr<Generation>> generation = session->generate(generateRequest({{1}}, 3));
  EXPECT_TRUE((*generation)->next());
  session->close();
  session->close();
  EXPECT_NE((*generation)->next().text().find("is closed"), std::string::npos);
  EXPECT_NE(scoreError(*session, scoreRequest({{1}})).find("is closed"), std::string::npos);
  EXPECT_EQ((*generation)->getResults()[0].tokens.size(), 1u);
}

TEST(Session, AFullPoolHarmsNobodyElse) {
  // Three slots of one page each fit.
  std::unique_ptr<Session> session = open("counting", {.open = {.threads = 1, .kvBytes = 3 * 512}});
  std::string error = scoreError(*session, scoreRequest({{1}, {2}}));
  EXPECT_NE(error, "");
  EXPECT_EQ(scoreError(*session, scoreRequest({{1}})), "");
}
