// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Chooses the tokens of one sequence. The steps, in this order, each over what the one before left:
//   1. repetition penalty: logits of tokens of the prompt or generated before are divided by it where positive, else
//      multiplied
//   2. presence and frequency penalty: logits of tokens generated before lose presence + frequency * their number
//   3. logit bias: is added
//   4. least length: tokens that end the sequence are left out while it has fewer new ones than that
//   5. temperature: softmax(logits / temperature); 0 takes the largest logit, the lower id on ties, and ends here
//   6. top k: the k most likely tokens stay, the lower id first on ties
//   7. top p: of these, the fewest most likely ones stay whose share is at least p, always one
//   8. min p: of these, those at least min p times as likely as the most likely one stay
//   9. draw: in proportion to the softmax, with noise that depends on seed and position alone
// Log probabilities are those of the model: of the softmax of the logits before step 1.

#ifndef LARIAT_RUNTIME_SAMPLE_SAMPLER_H
#define LARIAT_RUNTIME_SAMPLE_SAMPLER_H

#include "lariat/Requests/Request.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace lariat::runtime {

struct TokenLogprob {
  int64_t token = 0;
  float logprob = 0;
};

struct Choice {
  int64_t token = 0;
  float logprob = 0;             ///< where asked for
  std::vector<TokenLogprob> top; ///< the most likely tokens, the lower id first on ties
};

class Sampler {
public:
  /// `endTokens` end the sequence.
  explicit Sampler(const requests::SamplingOptions &options, std::vector<int64_t> endTokens = {})
      : options(options), endTokens(std::move(endTokens)) {}

  bool isEnd(int64_t token) const { return std::ranges::find(endTokens, token) != endTokens.end(); }

  /// To be called for the tokens of the prompt, then for each one generated.
  void addPrompt(std::span<const int64_t> tokens);
  void addGenerated(int64_t token);
  /// Undoes addGenerated.
  void removeGenerated(int64_t token);

  /// Nothing where the logits are no distribution: one is not a number or positive infinity, or all are negative
  /// infinity.
  std::optional<Choice> choose(std::span<const float> logits, int64_t position);

private:
  /// How often a token was seen.
  struct Seen {
    bool inPrompt = false;
    int64_t numGenerated = 0;
  };

  bool hasPenalty() const;
  void applyPenalties();
  /// Leaves out the tokens that end the sequence.
  void refuseEnds();
  /// Sets the weights of tokens that may not be drawn to 0.
  void truncate();
  int64_t draw(int64_t position) const;

  requests::SamplingOptions options;
  std::vector<int64_t> endTokens;
  int64_t promptLength = 0;
  std::unordered_map<int64_t, Seen> seen;
  // Used again for each token.
  std::vector<double> scores, weights;
  std::vector<int64_t> order;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SAMPLE_SAMPLER_H
