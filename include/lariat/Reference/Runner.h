// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feeds rows of a batch to compiled code, keeping the caches between calls.

#ifndef LARIAT_REFERENCE_RUNNER_H
#define LARIAT_REFERENCE_RUNNER_H

#include "lariat/Reference/Jit.h"
#include "lariat/Reference/Memory.h"
#include "lariat/Requests/Plan.h"

#include <memory>
#include <vector>

namespace lariat::reference {

using requests::BatchRow;

/// Settings that hold for all rows of a request.
struct RunSettings : requests::RowSettings {
  std::vector<HostTensor> initialState;       ///< per sequence (rows, width); empty for zeros
  std::vector<std::vector<int32_t>> capacity; ///< per sequence, rows that each depth keeps; empty: as declared
};

/// Results of one call, rows in the order they were fed.
struct RowResults {
  HostTensor logits; ///< of the wanted rows; no shape where the model has none
  HostTensor hidden;
  std::vector<int32_t> steps;
};

/// A batch that runs. Rows of one call are ordered by sequence, then position.
class Runner {
public:
  Runner(const Model &model, const Executable &executable, RunSettings settings, RequestMemory memory)
      : model(model), executable(executable), settings(std::move(settings)), memory(std::move(memory)) {}
  virtual ~Runner() = default;

  virtual llvm::Expected<RowResults> feed(llvm::ArrayRef<BatchRow> rows) = 0;
  llvm::json::Object countSlots(int64_t sequence) const { return memory.countSlots(model.facts, sequence); }

protected:
  /// The table of a row set; `depths` per row, or nothing for depth 0.
  HostTensor buildTable(llvm::ArrayRef<BatchRow> rows, llvm::ArrayRef<int64_t> depths = {}) const;
  /// The value of an input of the whole function: rows, ids, loops, threshold, capacity, initial_state.
  llvm::Expected<HostTensor> buildInput(const Port &port, llvm::ArrayRef<BatchRow> rows) const;
  llvm::SmallVector<HostTensor> call(const Entry &entry, std::vector<HostTensor> inputs);
  /// Assigns the results of an entry function to fields, by the names of its outputs.
  RowResults sortResults(const Entry &entry, llvm::MutableArrayRef<HostTensor> values, size_t numRows) const;

  const Model &model;
  const Executable &executable;
  RunSettings settings;
  RequestMemory memory;
};

/// Everything through @forward.
std::unique_ptr<Runner> createForwardRunner(const Model &model, const Executable &executable, RunSettings settings,
                                            RequestMemory memory);

/// Through prelude, core, fill and coda, one loop step per tick. With `staggered`, sequence i enters at tick i.
std::unique_ptr<Runner> createStepRunner(const Model &model, const Executable &executable, RunSettings settings,
                                         RequestMemory memory, bool staggered);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_RUNNER_H
