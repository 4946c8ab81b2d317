// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Engines on the counting model, for tests. Its next token is the sum of the tokens so far, odd tokens exit after one
// of three steps at a threshold below 1, and their later entries are filled in. After one step, drafts of twice odd
// tokens are wrong.

#ifndef LARIAT_UNITTESTS_RUNTIME_ENGINE_ENGINECASES_H
#define LARIAT_UNITTESTS_RUNTIME_ENGINE_ENGINECASES_H

#include "lariat/Runtime/Engine/Baselines.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace lariat::runtime {

inline constexpr int64_t kNotANumber = 300, kSlow = 302;

inline std::shared_ptr<Model> openModel(int64_t kvBytes = 0) {
  Expected<std::unique_ptr<Model>> model =
      Model::open(std::string(LARIAT_ARTEFACTS) + "/counting.lariat", {.threads = 2, .kvBytes = kvBytes});
  EXPECT_TRUE(model) << (model ? "" : model.text());
  return model ? std::move(*model) : nullptr;
}

inline std::unique_ptr<Engine> createEngine(const std::shared_ptr<Model> &model, EngineOptions options = {}) {
  Expected<std::unique_ptr<Engine>> engine = Engine::create(model, std::move(options));
  EXPECT_TRUE(engine) << (engine ? "" : engine.text());
  return engine ? std::move(*engine) : nullptr;
}

inline EngineRequest makeRequest(std::vector<int64_t> prompt, int64_t count, float threshold = 1) {
  return {.prompt = std::move(prompt),
          .loops = 3,
          .threshold = threshold,
          .maxNewTokens = count,
          .sampling = {},
          .endTokens = {}};
}

inline std::shared_ptr<Model> openWithPages(int64_t count) {
  static const int64_t pageBytes = openModel()->getManifest().caches[0].getPageBytes();
  return openModel(count * pageBytes);
}

/// Numbers of a seed.
class Random {
public:
  explicit Random(int64_t seed) : generator(seed) {}
  int64_t draw(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(generator); }

private:
  std::mt19937_64 generator;
};

/// Requests whose prompts are stretches of a few texts, so that many begin alike.
inline std::vector<EngineRequest> drawRequests(Random &random) {
  std::vector<std::vector<int64_t>> texts(random.draw(1, 3), std::vector<int64_t>(150));
  for (std::vector<int64_t> &text : texts)
    for (int64_t &token : text)
      token = random.draw(0, 3) / 3;
  std::vector<EngineRequest> requests(random.draw(2, 10));
  for (EngineRequest &request : requests) {
    std::vector<int64_t> prompt = texts[random.draw(0, static_cast<int64_t>(texts.size()) - 1)];
    prompt.resize(random.draw(1, 150));
    if (random.draw(0, 1))
      prompt.back() = random.draw(0, 3);
    request = makeRequest(std::move(prompt), random.draw(1, 30), random.draw(0, 1) ? 0.5F : 1.0F);
    request.sampling = {.temperature = random.draw(0, 1) ? 0.8 : 0.0, .seed = static_cast<uint64_t>(random.draw(0, 9))};
    request.loops = random.draw(0, 3) ? 3 : 2;
    request.endTokens = {kNotANumber, kNotANumber + 1, kNotANumber + 2}; // those with a meaning of their own
  }
  return requests;
}

/// How an engine runs rows, by a number of 0 to 7: half as in production, else under another policy.
inline EngineOptions varyLoop(EngineOptions options, int64_t variant) {
  switch (variant) {
  case 0:
    options.loop = LoopRun::Steps;
    break;
  case 1:
    options.policy = std::make_shared<FixedPolicy>(options.order);
    break;
  case 2:
    options.policy = std::make_shared<BaselinePolicy>(options.order, Baseline{.refills = false});
    break;
  case 3:
    options.policy = std::make_shared<BaselinePolicy>(options.order, Baseline{.splitsLoop = false});
    break;
  default:
    break;
  }
  return options;
}

struct Outcome {
  std::vector<int64_t> tokens;
  std::vector<int32_t> steps;
  Finish finish = Finish::Unfinished;
  std::string error;
  std::string use; ///< entries of its sequence at the end

  bool operator==(const Outcome &) const = default;
};

inline void PrintTo(const Outcome &outcome, std::ostream *os) {
  for (int64_t token : outcome.tokens)
    *os << token << " ";
  *os << "| finish " << static_cast<int>(outcome.finish) << " " << outcome.error << " | " << outcome.use;
}

inline void collect(const Engine &engine, std::map<int64_t, Outcome> &outcomes) {
  for (const EngineToken &token : engine.getTokens()) {
    outcomes[token.request].tokens.push_back(token.choice.token);
    outcomes[token.request].steps.push_back(token.steps);
  }
  for (const EngineEnd &end : engine.getEnds()) {
    Outcome &outcome = outcomes[end.request];
    outcome.finish = end.finish;
    outcome.error = end.error;
    for (const CacheUse &use : end.use)
      for (const SlotUse &slot : use.slots)
        outcome.use += std::to_string(slot.computed) + "+" + std::to_string(slot.filled) + " ";
  }
}

inline std::map<int64_t, Outcome> runAll(Engine &engine) {
  std::map<int64_t, Outcome> outcomes;
  while (engine.getNumUnfinished() > 0) {
    engine.tick();
    collect(engine, outcomes);
  }
  return outcomes;
}

inline EngineRequest speculate(EngineRequest request, int64_t steps, std::optional<int64_t> drafts = {}) {
  request.draftSteps = steps;
  request.drafts = drafts;
  return request;
}

/// By an engine with the same missing mode, and without drafts or rows of others.
inline Outcome runAlone(const std::shared_ptr<Model> &model, EngineRequest request, const EngineOptions &options = {}) {
  std::unique_ptr<Engine> engine = createEngine(model, {.missing = options.missing, .prefixCache = false});
  engine->submit(speculate(std::move(request), 0));
  return runAll(*engine)[0];
}

} // namespace lariat::runtime

#endif // LARIAT_UNITTESTS_RUNTIME_ENGINE_ENGINECASES_H
