// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Choosing a token. Without truncation the arithmetic is that of the reference path, so both give the same text:
// weights exp((score - best) / temperature) are summed by ascending id, and a hash of seed and position says how far to
// go.

#include "lariat/Runtime/Sample/Sampler.h"

#include "lariat/Artefact/Noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

using namespace lariat;
using namespace lariat::requests;
using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// History
//===----------------------------------------------------------------------===//

bool Sampler::hasPenalty() const {
  return options.repetitionPenalty != 1 || options.presencePenalty != 0 || options.frequencyPenalty != 0;
}

void Sampler::addPrompt(std::span<const int64_t> tokens) {
  promptLength += static_cast<int64_t>(tokens.size());
  if (hasPenalty())
    for (int64_t token : tokens)
      seen[token].inPrompt = true;
}

void Sampler::addGenerated(int64_t token) {
  if (hasPenalty())
    ++seen[token].numGenerated;
}

void Sampler::removeGenerated(int64_t token) {
  auto it = seen.find(token);
  if (it != seen.end() && --it->second.numGenerated == 0 && !it->second.inPrompt)
    seen.erase(it);
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// The id with the largest logit, the lower id on ties; nothing where the logits are no distribution.
static std::optional<int64_t> findBest(std::span<const float> logits) {
  // Maxima per lane, which compilers vectorise; the id is found afterwards.
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> best;
  best.fill(-std::numeric_limits<float>::infinity());
  std::array<int32_t, kLanes> isNaN{};
  size_t id = 0;
  for (; id + kLanes <= logits.size(); id += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      float logit = logits[id + lane];
      isNaN[lane] |= logit != logit;
      best[lane] = logit > best[lane] ? logit : best[lane];
    }
  for (; id < logits.size(); ++id) {
    isNaN[0] |= logits[id] != logits[id];
    best[0] = std::max(best[0], logits[id]);
  }
  float most = *std::ranges::max_element(best);
  if (std::ranges::count(isNaN, 0) != kLanes || !std::isfinite(most))
    return std::nullopt;
  return std::ranges::find(logits, most) - logits.begin();
}

/// Log probabilities of the chosen token and of the most likely ones.
static void describeChoice(std::span<const float> logits, double best, int64_t count, std::vector<int64_t> &order,
                           Choice &choice) {
  double total = 0;
  for (float logit : logits)
    total += std::exp(double(logit) - best);
  double shift = best + std::log(total);
  auto logprob = [&](int64_t id) { return static_cast<float>(double(logits[id]) - shift); };
  choice.logprob = logprob(choice.token);
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  for (int64_t place = 0; place < count; ++place)
    choice.top.push_back({order[place], logprob(order[place])});
}

void Sampler::applyPenalties() {
  auto vocab = static_cast<int64_t>(scores.size());
  for (const auto &[token, count] : seen) {
    if (token >= vocab)
      continue;
    double &score = scores[token];
    score = score > 0 ? score / options.repetitionPenalty : score * options.repetitionPenalty;
    if (count.numGenerated > 0)
      score -= options.presencePenalty + options.frequencyPenalty * static_cast<double>(count.numGenerated);
  }
  for (const LogitBias &entry : options.bias)
    scores[entry.token] += entry.bias;
}

void Sampler::refuseEnds() {
  for (int64_t token : endTokens)
    if (token >= 0 && token < static_cast<int64_t>(scores.size()))
      scores[token] = -std::numeric_limits<double>::infinity();
}

//===----------------------------------------------------------------------===//
// Drawing
//===----------------------------------------------------------------------===//

void Sampler::truncate() {
  auto isBefore = [&](int64_t a, int64_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; };
  auto vocab = static_cast<int64_t>(scores.size());
  order.resize(vocab);
  std::iota(order.begin(), order.end(), 0);
  if (options.topK > 0 && options.topK < vocab) {
    auto end = order.begin() + options.topK;
    std::nth_element(order.begin(), end - 1, order.end(), isBefore);
    for (auto it = end; it != order.end(); ++it)
      weights[*it] = 0;
    order.erase(end, order.end());
  }
  if (options.topP < 1) {
    double total = 0, sum = 0;
    std::sort(order.begin(), order.end()); // sums ascend with the id, whatever was selected how
    for (int64_t id : order)
      total += weights[id];
    // A heap gives the likely ones without sorting those that go.
    auto isAfter = [&](int64_t a, int64_t b) { return isBefore(b, a); };
    std::make_heap(order.begin(), order.end(), isAfter);
    auto rest = order.end();
    do {
      std::pop_heap(order.begin(), rest, isAfter);
      sum += weights[*--rest];
    } while (rest != order.begin() && sum < options.topP * total);
    for (auto it = order.begin(); it != rest; ++it)
      weights[*it] = 0;
  }
  // The most likely token has weight 1.
  for (double &weight : weights)
    if (weight < options.minP)
      weight = 0;
}

int64_t Sampler::draw(int64_t position) const {
  double total = 0;
  for (double weight : weights)
    total += weight;
  double wanted = drawUniform(options.seed, position) * total, sum = 0;
  int64_t chosen = 0;
  for (size_t id = 0; id < weights.size(); ++id) {
    sum += weights[id];
    if (weights[id] > 0)
      chosen = static_cast<int64_t>(id);
    if (sum > wanted)
      break;
  }
  return chosen;
}

//===----------------------------------------------------------------------===//
// All steps
//===----------------------------------------------------------------------===//

std::optional<Choice> Sampler::choose(std::span<const float> logits, int64_t position) {
  std::optional<int64_t> best = findBest(logits);
  if (!best)
    return std::nullopt;
  double bestLogit = logits[*best];
  Choice choice{.token = *best, .logprob = 0, .top = {}};
  bool refusesEnds = position + 1 - promptLength < options.minNewTokens;
  bool adjusts = !seen.empty() || !options.bias.empty() || refusesEnds;
  if (adjusts || options.temperature > 0)
    scores.assign(logits.begin(), logits.end());
  if (adjusts) {
    applyPenalties();
    if (refusesEnds)
      refuseEnds();
    choice.token = std::max_element(scores.begin(), scores.end()) - scores.begin();
    if (!std::isfinite(scores[choice.token]))
      return std::nullopt;
  }
  if (options.temperature > 0) {
    double top = scores[choice.token];
    weights.resize(scores.size());
    for (size_t id = 0; id < scores.size(); ++id)
      weights[id] = std::exp((scores[id] - top) / options.temperature);
    if (options.topK > 0 || options.topP < 1 || options.minP > 0)
      truncate();
    choice.token = draw(position);
  }
  if (options.numLogprobs) {
    auto vocab = static_cast<int64_t>(logits.size());
    describeChoice(logits, bestLogit, std::min(*options.numLogprobs, vocab), order, choice);
  }
  return choice;
}
