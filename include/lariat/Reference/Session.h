// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A loaded model that answers requests: score, encode, generate. A request that fails leaves the session as it was.

#ifndef LARIAT_REFERENCE_SESSION_H
#define LARIAT_REFERENCE_SESSION_H

#include "lariat/Reference/Runner.h"
#include "mlir/IR/MLIRContext.h"

#include <optional>
#include <string>
#include <vector>

namespace lariat::reference {

/// How a request runs through the loop.
enum class Form { Forward, Lockstep, Staggered };

/// A part of the rows of a sequence.
struct Share {
  int64_t numerator = 0, denominator = 1;
};

/// What every kind of request has.
struct Request {
  std::vector<std::vector<int64_t>> sequences;
  std::optional<int64_t> loops;
  std::optional<double> threshold; ///< of the exit rule; as declared without
  bool noExit = false;             ///< no row exits, whatever is declared
  std::optional<std::string> missing;
  int64_t prefix = 0; ///< rows at the start of each sequence that see each other in both directions
};

struct ScoreRequest : Request {
  RunMode mode = RunMode::Score;
  std::optional<std::string> initialState;    ///< a safetensors file
  std::optional<int64_t> chunk;               ///< rows per sequence and call; all at once without
  std::optional<std::vector<Share>> capacity; ///< that top_k keeps at each depth; as declared without
  Form form = Form::Forward;
};

struct GenerateRequest : Request {
  int64_t maxNewTokens = 0;
  double temperature = 0;
  uint64_t seed = 0;
  bool ignoreEos = false;
};

/// Results of one sequence.
struct SequenceScores {
  HostTensor logits, hidden; ///< no shape where the model gives none
  std::vector<int32_t> steps;
  llvm::json::Object slots;
};

struct SequenceTokens {
  std::vector<int64_t> tokens;
  std::vector<int32_t> steps; ///< of the row that chose each token
  bool ended = false;         ///< by an eos id; else by the length
  llvm::json::Object slots;
};

/// Called for each new token, in the order of sequences: sequence, token, steps.
using TokenCallback = llvm::function_ref<void(int64_t, int64_t, int32_t)>;

class Session {
public:
  /// `path` is an artefact, or an .mlir file with `weights` (may be empty).
  static llvm::Expected<std::unique_ptr<Session>> open(llvm::StringRef path, llvm::StringRef weights);

  const llvm::json::Object &getManifest() const { return model.manifest; }
  llvm::Expected<std::vector<SequenceScores>> score(const ScoreRequest &request);
  llvm::Expected<std::vector<SequenceScores>> encode(const Request &request);
  llvm::Expected<std::vector<SequenceTokens>> generate(const GenerateRequest &request, TokenCallback onToken);

private:
  explicit Session(std::unique_ptr<mlir::MLIRContext> context) : context(std::move(context)) {}

  /// Compiles the variant and allocates memory for `numPositions` positions per sequence.
  llvm::Expected<std::unique_ptr<Runner>> start(const Request &request, RunMode mode, Form form, int64_t numPositions,
                                                std::vector<HostTensor> initialState,
                                                std::vector<std::vector<int32_t>> capacity = {});
  llvm::Expected<std::vector<SequenceScores>> runAll(Runner &runner, const Request &request, int64_t chunk);

  std::unique_ptr<mlir::MLIRContext> context;
  Model model;
  std::optional<Jit> jit;
};

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_SESSION_H
