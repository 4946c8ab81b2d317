// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Feeds rows of a batch to compiled code, keeping its sequences between calls.

#ifndef LARIAT_RUNTIME_SESSION_BATCHRUNNER_H
#define LARIAT_RUNTIME_SESSION_BATCHRUNNER_H

#include "lariat/Requests/Facts.h"
#include "lariat/Requests/Plan.h"
#include "lariat/Runtime/Engine/StepFunctions.h"
#include "lariat/Runtime/Session/Results.h"

namespace lariat::runtime {

using requests::BatchRow;

/// Entries by cache, with a count for each slot that loops of so many steps have.
std::vector<CacheCount> countCaches(const std::vector<CacheUse> &use, const requests::RequestFacts &facts,
                                    int64_t loops);

/// What holds for all rows of a request.
struct RunSettings : requests::RowSettings {
  std::vector<requests::StateArray> initialState; ///< per sequence; empty for zeros
  std::vector<std::vector<int32_t>> capacity;     ///< per sequence, rows that each depth keeps; empty: as declared
};

/// Lines of floats that a runner owns, until it is fed again.
struct FloatLines {
  const std::byte *data = nullptr; ///< null where the model has no such output
  int64_t numRows = 0, lineBytes = 0, numColumns = 0;

  std::span<const float> line(int64_t row) const {
    return {reinterpret_cast<const float *>(data + row * lineBytes), static_cast<size_t>(numColumns)};
  }
};

/// Results of one call, rows in the order they were fed.
struct RowResults {
  FloatLines logits; ///< of the wanted rows
  FloatLines hidden;
  std::vector<int32_t> steps;
};

/// A batch that runs. Rows of one call are ordered by sequence, then position.
class BatchRunner {
public:
  BatchRunner(std::shared_ptr<Model> model, const requests::RequestFacts &facts, RunSettings settings)
      : model(std::move(model)), facts(facts), settings(std::move(settings)) {}
  virtual ~BatchRunner() = default;

  virtual Expected<RowResults> feed(std::span<const BatchRow> rows) = 0;
  /// Entries that a sequence has in each cache.
  std::vector<CacheCount> countSlots(int64_t sequence) const;
  /// Asked during calls; outlives the runner's use. Null: never.
  void setStop(StopPoll *poll) { stop = poll; }
  /// Gives the pages of a sequence back; it must not be fed again.
  void release(int64_t sequence) { sequences[sequence].reset(); }

protected:
  /// Rows of a call and the sequences that they are of.
  struct CallRows {
    std::vector<Row> rows;
    std::vector<Sequence *> sequences;
  };
  /// `depths` per row, or nothing for depth 0.
  CallRows buildRows(std::span<const BatchRow> rows, std::span<const int64_t> depths = {}) const;
  /// The values of the inputs of the whole function: ids, loops, threshold, capacity, initial_state. They last until
  /// the next call of this.
  Expected<std::vector<InputArray>> buildInputs(const Function &forward, std::span<const BatchRow> rows);
  /// Takes results apart by the names of a function's outputs.
  RowResults sortResults(const Function &function, const CallResult &result, size_t numRows) const;

  std::shared_ptr<Model> model;
  requests::RequestFacts facts;
  RunSettings settings;
  std::vector<std::unique_ptr<Sequence>> sequences;
  StopPoll *stop = nullptr;

private:
  friend Expected<std::unique_ptr<BatchRunner>> createBatchRunner(const std::shared_ptr<Model> &model,
                                                                  const requests::RequestFacts &facts,
                                                                  RunSettings settings, requests::Form form,
                                                                  size_t numSequences);
  /// Finds the functions.
  virtual Status start() = 0;

  ForwardInputs forwardInputs;
};

/// `Forward`: everything through @forward. `Lockstep`: through prelude, core, fill and coda, one loop step per tick.
/// `Staggered`: that, with sequence i entering at tick i.
Expected<std::unique_ptr<BatchRunner>> createBatchRunner(const std::shared_ptr<Model> &model,
                                                         const requests::RequestFacts &facts, RunSettings settings,
                                                         requests::Form form, size_t numSequences);

class ForwardRunner : public BatchRunner {
public:
  using BatchRunner::BatchRunner;
  Expected<RowResults> feed(std::span<const BatchRow> rows) override;

private:
  Status start() override;

  const Function *forward = nullptr;
  CallResult result;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_BATCHRUNNER_H
