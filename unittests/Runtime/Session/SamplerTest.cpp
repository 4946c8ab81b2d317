// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Choosing tokens: exact small cases, ties, edges, and shares over many positions.

#include "lariat/Runtime/Sample/Sampler.h"
#include "lariat/Requests/Options.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

using namespace lariat::requests;
using namespace lariat::runtime;

static constexpr float kInfinity = std::numeric_limits<float>::infinity();

static int64_t choose(const SamplingOptions &options, std::vector<float> logits, int64_t position = 0) {
  std::optional<Choice> choice = Sampler(options).choose(logits, position);
  return choice ? choice->token : -1;
}

/// How often each token is drawn at 4000 positions.
static std::map<int64_t, int64_t> count(const SamplingOptions &options, const std::vector<float> &logits) {
  std::map<int64_t, int64_t> counts;
  for (int64_t position = 0; position < 4000; ++position)
    ++counts[choose(options, logits, position)];
  return counts;
}

TEST(Sampler, GreedyTakesTheLowerIdOnTies) {
  EXPECT_EQ(choose({}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(choose({}, {-1, -kInfinity}), 0);
  EXPECT_EQ(choose({}, {7}), 0);
}

TEST(Sampler, LogitsThatAreNoDistribution) {
  for (double temperature : {0.0, 1.0}) {
    SamplingOptions options{.temperature = temperature};
    EXPECT_EQ(choose(options, {1, NAN, 2}), -1);
    EXPECT_EQ(choose(options, {1, kInfinity}), -1);
    EXPECT_EQ(choose(options, {-kInfinity, -kInfinity}), -1);
    EXPECT_EQ(choose(options, {}), -1);
  }
}

TEST(Sampler, TokensThatEndWaitForTheLeastLength) {
  std::vector<int64_t> prompt{5, 5};
  for (double temperature : {0.0, 0.01}) {
    Sampler sampler({.temperature = temperature, .minNewTokens = 2}, /*endTokens=*/{1, 1000});
    sampler.addPrompt(prompt);
    std::vector<int64_t> chosen;
    for (int64_t position : {1, 2, 3})
      chosen.push_back(sampler.choose(std::vector<float>{1, 9, 3}, position)->token);
    EXPECT_EQ(chosen, (std::vector<int64_t>{2, 2, 1}));
  }
}

TEST(Sampler, SharesFollowTheSoftmax) {
  std::vector<float> logits{std::log(1.0f), std::log(2.0f), std::log(5.0f), -kInfinity};
  std::map<int64_t, int64_t> counts = count({.temperature = 1}, logits);
  EXPECT_NEAR(static_cast<double>(counts[0]), 500, 80);
  EXPECT_NEAR(static_cast<double>(counts[1]), 1000, 110);
  EXPECT_NEAR(static_cast<double>(counts[2]), 2500, 130);
  EXPECT_EQ(counts.count(3), 0u);
}

TEST(Sampler, SeedAndPositionAloneDecide) {
  SamplingOptions options{.temperature = 1, .seed = 7};
  std::vector<float> logits(50, 0);
  Sampler first(options), second(options);
  for (int64_t position = 0; position < 20; ++position)
    EXPECT_EQ(first.choose(logits, position)->token, choose(options, logits, position));
  EXPECT_EQ(first.choose(logits, 3)->token, second.choose(logits, 3)->token);
  std::map<int64_t, int64_t> counts;
  for (uint64_t seed = 0; seed < 30; ++seed)
    ++counts[choose({.temperature = 1, .seed = seed}, logits)];
  EXPECT_GT(counts.size(), 10u);
}

TEST(Sampler, ALowTemperatureIsGreedy) {
  EXPECT_EQ(count({.temperature = 1e-300}, {1, 1.5, 1.25}), (std::map<int64_t, int64_t>{{1, 4000}}));
}

TEST(Sampler, TopK) {
  std::vector<float> logits{1, 1, 1, 0};
  EXPECT_EQ(count({.temperature = 1, .topK = 1}, logits).size(), 1u);
  EXPECT_EQ(choose({.temperature = 1, .topK = 1}, logits), 0); // the lower id on ties
  std::map<int64_t, int64_t> two = count({.temperature = 1, .topK = 2}, logits);
  EXPECT_EQ(two.size(), 2u);
  EXPECT_NEAR(static_cast<double>(two[1]), 2000, 150);
  EXPECT_EQ(count({.temperature = 1, .topK = 4}, logits), count({.temperature = 1}, logits));
  EXPECT_EQ(count({.temperature = 1, .topK = 99}, logits), count({.temperature = 1}, logits));
}

TEST(Sampler, TopP) {
  // Shares 1/2, 1/4, 1/8, 1/8.
  std::vector<float> logits{std::log(4.0f), std::log(2.0f), 0, 0};
  auto kept = [&](double p) { return count({.temperature = 1, .topP = p}, logits).size(); };
  EXPECT_EQ(kept(0), 1u);
  EXPECT_EQ(kept(0.49), 1u);
  EXPECT_EQ(kept(0.51), 2u);
  EXPECT_EQ(kept(0.74), 2u);
  EXPECT_EQ(kept(0.76), 3u);
  EXPECT_EQ(count({.temperature = 1, .topP = 1}, logits), count({.temperature = 1}, logits));
  // The lower id of a tie stays.
  EXPECT_EQ(count({.temperature = 1, .topP = 0.8}, logits).count(3), 0u);
}

TEST(Sampler, TopPIsOverWhatTopKLeft) {
  // Of 4, 2, 1, 1 the first two stay: shares 2/3 and 1/3.
  std::vector<float> logits{std::log(4.0f), std::log(2.0f), 0, 0};
  EXPECT_EQ(count({.temperature = 1, .topK = 2, .topP = 0.6}, logits).size(), 1u);
  EXPECT_EQ(count({.temperature = 1, .topK = 0, .topP = 0.6}, logits).size(), 2u);
}

TEST(Sampler, MinP) {
  std::vector<float> logits{std::log(4.0f), std::log(2.0f), 0, -1};
  EXPECT_EQ(count({.temperature = 1, .minP = 0}, logits), count({.temperature = 1}, logits));
  EXPECT_EQ(count({.temperature = 1, .minP = 1}, logits).size(), 1u);
  EXPECT_EQ(count({.temperature = 1, .minP = 0.4}, logits).size(), 2u);
  EXPECT_EQ(count({.temperature = 1, .minP = 0.2}, logits).size(), 3u);
}

TEST(Sampler, RepetitionPenaltyCountsThePrompt) {
  Sampler sampler({.repetitionPenalty = 2});
  sampler.addPrompt(std::vector<int64_t>{1});
  EXPECT_EQ(sampler.choose(std::vector<float>{2, 3, 0}, 0)->token, 0);    // 3 / 2
  EXPECT_EQ(sampler.choose(std::vector<float>{-3, -2, -9}, 0)->token, 0); // -2 * 2
  sampler.addGenerated(0);
  EXPECT_EQ(sampler.choose(std::vector<float>{2, 3, 1.2f}, 0)->token, 1);
}

TEST(Sampler, PresenceAndFrequencyPenaltiesCountWhatWasGenerated) {
  Sampler presence({.presencePenalty = 2}), frequency({.frequencyPenalty = 1});
  for (Sampler *sampler : {&presence, &frequency}) {
    sampler->addPrompt(std::vector<int64_t>{1, 1, 1});
    EXPECT_EQ(sampler->choose(std::vector<float>{2, 3, 0}, 0)->token, 1);
    sampler->addGenerated(1);
    sampler->addGenerated(1);
  }
  EXPECT_EQ(presence.choose(std::vector<float>{0.5, 3, 0}, 0)->token, 1);  // once, whatever the number
  EXPECT_EQ(frequency.choose(std::vector<float>{1.5, 3, 0}, 0)->token, 0); // 3 - 2
}

TEST(Sampler, ATokenThatIsTakenBackWasNeverThere) {
  SamplingOptions options{.repetitionPenalty = 2, .frequencyPenalty = 0.5};
  std::vector<float> logits{2, 1.5F, 1.6F};
  Sampler sampler(options), never(options);
  for (Sampler *one : {&sampler, &never}) {
    one->addPrompt(std::vector<int64_t>{0});
    one->addGenerated(1);
  }
  for (int64_t token : {0, 1, 2})
    sampler.addGenerated(token);
  EXPECT_EQ(sampler.choose(logits, 0)->token, 0);
  for (int64_t token : {0, 1, 2})
    sampler.removeGenerated(token);
  EXPECT_EQ(sampler.choose(logits, 0)->token, never.choose(logits, 0)->token);
  EXPECT_EQ(never.choose(logits, 0)->token, 2);
}

TEST(Sampler, BiasIsAddedAfterPenalties) {
  EXPECT_EQ(choose({.bias = {{2, 10}}}, {1, 2, 0}), 2);
  EXPECT_EQ(choose({.bias = {{1, -10}}}, {1, 2, 0}), 0);
}

TEST(Sampler, LogprobsAreOfTheModelItself) {
  std::vector<float> logits{std::log(4.0f), std::log(2.0f), 0, 0};
  Sampler sampler({.temperature = 0.5, .topK = 1, .repetitionPenalty = 100, .numLogprobs = 3});
  sampler.addPrompt(std::vector<int64_t>{0});
  std::optional<Choice> choice = sampler.choose(logits, 0);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->token, 1);
  EXPECT_NEAR(choice->logprob, std::log(0.25), 1e-6);
  ASSERT_EQ(choice->top.size(), 3u);
  EXPECT_EQ(choice->top[0].token, 0);
  EXPECT_NEAR(choice->top[0].logprob, std::log(0.5), 1e-6);
  EXPECT_EQ(choice->top[2].token, 2);
  EXPECT_TRUE(Sampler({.numLogprobs = 0}).choose(logits, 0)->top.empty());
}

TEST(Sampler, OptionsThatAreRefused) {
  auto message = [](SamplingOptions options) { return verifySampling(options, 10).text(); };
  EXPECT_EQ(message({.minNewTokens = -1}), "min_new_tokens is -1, expected 0 or more");
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.temperature = -1}), "the temperature is -1, expected 0 or more");
  EXPECT_EQ(message({.temperature = INFINITY}), "the temperature is inf, expected 0 or more");
  EXPECT_EQ(message({.topK = -1}), "top_k is -1, expected 0 or more");
  EXPECT_EQ(message({.topP = 1.5}), "top_p is 1.5, expected 0 to 1");
  EXPECT_EQ(message({.topP = NAN}), "top_p is nan, expected 0 to 1");
  EXPECT_EQ(message({.minP = -0.5}), "min_p is -0.5, expected 0 to 1");
  EXPECT_EQ(message({.repetitionPenalty = 0}), "the repetition_penalty is 0, expected more than 0");
  EXPECT_EQ(message({.presencePenalty = NAN}), "the presence_penalty is nan, expected a number");
  EXPECT_EQ(message({.bias = {{10, 1}}}), "a logit bias is given for token 10, expected 0 to 9");
  EXPECT_EQ(message({.numLogprobs = 11}), "logprobs is 11, expected 0 to 10");
}

/// The draws of lib/Reference/Sample.cpp, for the same text on both paths.
TEST(Sampler, DrawsAsTheReferencePath) {
  auto mix = [](uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  };
  for (int64_t position = 0; position < 200; ++position) {
    double uniform = static_cast<double>(mix(mix(11) ^ static_cast<uint64_t>(position)) >> 11) * 0x1p-53;
    std::vector<float> logits(8, 0);
    EXPECT_EQ(choose({.temperature = 0.7, .seed = 11}, logits, position), static_cast<int64_t>(uniform * 8));
  }
}
