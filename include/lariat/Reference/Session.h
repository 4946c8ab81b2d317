// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A loaded model that answers requests: score, encode, generate. A request that fails leaves the session as it was.

#ifndef LARIAT_REFERENCE_SESSION_H
#define LARIAT_REFERENCE_SESSION_H

#include "lariat/Reference/Runner.h"
#include "lariat/Requests/Request.h"
#include "mlir/IR/MLIRContext.h"

#include <optional>
#include <string>
#include <vector>

namespace lariat::reference {

/// Results of one sequence.
struct SequenceScores {
  HostTensor logits, hidden; ///< no shape where the model gives none
  std::vector<int32_t> steps;
  llvm::json::Object slots;
};

struct SequenceTokens {
  std::vector<int64_t> tokens;
  std::vector<int32_t> steps; ///< of the row that chose each token
  bool ended = false;         ///< by an eos id or a stop token; else by the length
  llvm::json::Object slots;
};

/// Called for each new token, by ascending sequence, with the sequence's index, the token's id and the loop steps of
/// its row.
using TokenCallback = llvm::function_ref<void(int64_t, int64_t, int32_t)>;

class Session {
public:
  /// `path` is an artefact, or an .mlir file with `weights` (may be empty).
  static llvm::Expected<std::unique_ptr<Session>> open(llvm::StringRef path, llvm::StringRef weights);

  const manifest::Manifest &getManifest() const { return model.manifest; }
  /// `initialState` is a safetensors file, or empty.
  llvm::Expected<std::vector<SequenceScores>> score(const requests::ScoreRequest &request,
                                                    llvm::StringRef initialState);
  llvm::Expected<std::vector<SequenceScores>> encode(const requests::Request &request);
  llvm::Expected<std::vector<SequenceTokens>> generate(const requests::GenerateRequest &request, TokenCallback onToken);

private:
  explicit Session(std::unique_ptr<mlir::MLIRContext> context) : context(std::move(context)) {}

  /// Compiles the variant and allocates memory for `numPositions` positions per sequence.
  llvm::Expected<std::unique_ptr<Runner>> start(const requests::Request &request, RunSettings settings,
                                                requests::Form form, int64_t numPositions);
  llvm::Expected<std::vector<SequenceScores>> runAll(const requests::Request &request, RunSettings settings,
                                                     requests::Form form, std::optional<int64_t> chunk);

  std::unique_ptr<mlir::MLIRContext> context;
  Model model;
  requests::RequestFacts facts;
  std::optional<Jit> jit;
};

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_SESSION_H
