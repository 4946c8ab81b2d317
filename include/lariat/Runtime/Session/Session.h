// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. A loaded model that answers requests: score, encode, generate. A request that fails leaves the session as it
// was. Members may be called from any thread; calls of compiled code wait for each other. A session must not be used in
// a child of fork: every request there is an error.

#ifndef LARIAT_RUNTIME_SESSION_SESSION_H
#define LARIAT_RUNTIME_SESSION_SESSION_H

#include "lariat/Requests/Facts.h"
#include "lariat/Requests/Plan.h"
#include "lariat/Runtime/Call/Model.h"
#include "lariat/Runtime/Session/Results.h"

namespace lariat::runtime {

class BatchRunner;
struct RunSettings;

struct SessionOptions {
  OpenOptions open;
  int64_t maxRows = 512; ///< of a call, where a prompt may be cut, and of a tick
  Order order = Order::Oldest;
};

/// A batch that generates, by an engine of its own. One thread at a time; outlives its session, whose closing it
/// notices at the next call.
class Generation {
public:
  /// Runs until some sequences have got their next token, one each, by ascending sequence. Nothing: all are finished.
  /// After an error every call gives that error again.
  Expected<std::span<const NewToken>> next();
  /// Ends a sequence as `Stopped`.
  Status stop(int64_t sequence);
  const std::vector<SequenceTokens> &getResults() const { return results; }
  /// Nothing unless GenerateRequest::keepsProfile.
  std::optional<EngineProfile> getProfile() const { return engine->getProfile(); }

private:
  friend class Session;
  Generation(requests::RequestFacts facts, int64_t loops, StopQuestion wantsStop, std::unique_ptr<Engine> engine,
             size_t numSequences)
      : facts(std::move(facts)), loops(loops), poll(std::move(wantsStop)), engine(std::move(engine)),
        results(numSequences) {}

  /// Keeps what the engine says.
  void collect();

  requests::RequestFacts facts;
  int64_t loops;
  StopPoll poll;
  std::unique_ptr<Engine> engine;
  std::vector<SequenceTokens> results;
  std::vector<NewToken> tokens;
  std::string failure;
};

class Session {
public:
  static Expected<std::unique_ptr<Session>> open(const std::string &path, const SessionOptions &options);

  const requests::RequestFacts &getFacts() const { return facts; }
  const Model &getModel() const { return *model; }

  Expected<std::vector<SequenceScores>> score(const requests::ScoreRequest &request);
  Expected<std::vector<SequenceScores>> encode(const requests::Request &request);
  Expected<std::unique_ptr<Generation>> generate(requests::GenerateRequest request);

  /// An engine for this model.
  Expected<std::unique_ptr<Engine>> createEngine(EngineOptions options) const;
  /// A request per sequence, checked against the model; it must ask for the missing mode of the engine.
  Expected<std::vector<EngineRequest>> prepare(requests::GenerateRequest request) const;

  /// Frees code, weights and pages; waits for a call that runs. Every request afterwards is an error.
  void close() { model->close(); }

private:
  Session(std::shared_ptr<Model> model, requests::RequestFacts facts, const SessionOptions &options)
      : model(std::move(model)), facts(std::move(facts)), maxRows(options.maxRows), order(options.order) {}

  /// What a request asks of all its rows, where there is room for it.
  Expected<RunSettings> readSettings(const requests::Request &request, const std::string &mode) const;
  /// Runs all rows of the sequences through the loop; score and encode are this with other settings.
  Expected<std::vector<SequenceScores>> runAll(const requests::Request &request, RunSettings settings,
                                               requests::Form form, std::optional<int64_t> chunk);
  Expected<std::vector<SequenceScores>> feedAll(BatchRunner &runner, const requests::Request &request,
                                                const std::vector<requests::CallPlan> &calls);

  std::shared_ptr<Model> model;
  requests::RequestFacts facts;
  int64_t maxRows;
  Order order;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_SESSION_H
