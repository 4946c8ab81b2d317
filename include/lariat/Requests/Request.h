// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Requests to a model, on any path.

#ifndef LARIAT_REQUESTS_REQUEST_H
#define LARIAT_REQUESTS_REQUEST_H

#include "lariat/Runtime/Base/StopPoll.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lariat::requests {

/// How the rows of a score run through the loop; results are the same.
enum class Form {
  Forward,  ///< the whole function
  Lockstep, ///< derived step functions, all rows at one depth
  Staggered ///< derived step functions, sequences at different depths
};

/// Options of every kind of request.
struct Request {
  std::vector<std::vector<int64_t>> sequences;
  std::optional<int64_t> loops;
  std::optional<double> threshold; ///< of the exit rule; none: as declared
  bool noExit = false;             ///< no row exits, whatever is declared
  std::optional<std::string> missing;
  int64_t prefix = 0;              ///< rows at the start of each sequence that see each other in both directions
  runtime::StopQuestion wantsStop; ///< asked between calls of compiled code, and now and then within one
};

/// The state before the loop, float[numRows][width], of one sequence. Its memory has to last until the request ends.
struct StateArray {
  const float *data = nullptr;
  int64_t numRows = 0, width = 0;
};

/// A fraction of the rows of a sequence.
struct Share {
  int64_t numerator = 0, denominator = 1;
};

struct ScoreRequest : Request {
  std::string mode = "score";                          ///< or "generate"
  std::optional<std::vector<StateArray>> initialState; ///< one per sequence
  std::optional<int64_t> chunk;                        ///< most rows of a sequence in a call; none: as many as fit
  std::optional<std::vector<Share>> capacity;          ///< share of rows that top_k keeps, by depth; none: as declared
  Form form = Form::Forward;
};

struct LogitBias {
  int64_t token = 0;
  double bias = 0;
};

/// How the tokens of a sequence are chosen; lariat/Runtime/Sample/Sampler.h has the steps.
struct SamplingOptions {
  double temperature = 0;
  int64_t topK = 0; ///< 0: all
  double topP = 1;
  double minP = 0;
  double repetitionPenalty = 1;
  double presencePenalty = 0;
  double frequencyPenalty = 0;
  uint64_t seed = 0;
  std::vector<LogitBias> bias = {};
  /// Tokens that log probabilities list beside the chosen one; none: no log probabilities.
  std::optional<int64_t> numLogprobs = std::nullopt;
  int64_t minNewTokens = 0; ///< number of tokens before which none is chosen that ends the sequence
};

struct GenerateRequest : Request {
  int64_t maxNewTokens = 128;
  SamplingOptions sampling;
  bool ignoreEos = false;
  /// Whether the engine that runs the request keeps a profile. A row alone then runs step by step, so that seconds
  /// belong to depths.
  bool keepsProfile = false;
  std::vector<int64_t> stopTokens;  ///< ids that end a sequence, besides those of the model
  std::optional<int64_t> speculate; ///< loop steps after which rows draft, below `loops`; none: they do not
  std::optional<int64_t> drafts;    ///< most tokens ahead of verified ones; none: as many as pay
};

} // namespace lariat::requests

#endif // LARIAT_REQUESTS_REQUEST_H
