// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. The functions of one variant of a model, what goes into them, and the seat records that go
// from one to the next.

#ifndef LARIAT_RUNTIME_ENGINE_STEPFUNCTIONS_H
#define LARIAT_RUNTIME_ENGINE_STEPFUNCTIONS_H

#include "lariat/Runtime/Call/Model.h"

#include <optional>
#include <string>

namespace lariat::runtime {

/// Results of @prelude are the seat record, whose parts the manifest says. Inputs of @core and @fill: the rows, carried
/// values, invariants. Results of @core: carried values, then which rows are kept, and which of them stop. Inputs of
/// @coda: those of @forward, which rows entered, carried values, loop steps taken, coda's own.
struct StepFunctions {
  const Function *forward = nullptr;
  const Function *prelude = nullptr, *core = nullptr, *coda = nullptr;
  const Function *fill = nullptr; ///< only where stopped rows have entries to store
  size_t numCarried = 0, numInvariants = 0, numCoda = 0;
  /// The carried bit of rows whose results are settled while they run on for keys and values; none where rows stop.
  std::optional<size_t> latch = {};

  /// An error where a function is missing or they do not fit together.
  static Expected<StepFunctions> find(const Model &model, const std::string &mode,
                                      const std::optional<std::string> &missing);

private:
  /// Whether each function takes and gives the parts of the record, by their types.
  bool fitTogether() const;
};

/// What @forward, and so @prelude and @coda, are told of a row.
struct RowInput {
  int32_t token = 0;
  int64_t loops = 1;
  float threshold = 0;
  const float *initialState = nullptr; ///< null: zeros
  const int32_t *capacity = nullptr;   ///< rows that each depth keeps; null: as declared
};

/// Arrays of the inputs of @forward; they last until the next build.
class ForwardInputs {
public:
  Expected<std::vector<InputArray>> build(const Function &forward, std::span<const RowInput> rows);

private:
  std::vector<int32_t> ids, capacities;
  std::vector<int64_t> loops;
  std::vector<float> thresholds, states;
};

/// One value per seat, on the device.
struct SeatValues {
  int64_t valueBytes = 0;
  DeviceBuffer memory;

  Status resize(DeviceMemory &device, size_t numSeats) {
    return memory.grow(device, static_cast<int64_t>(numSeats) * valueBytes, "what rows keep between loop steps");
  }
  /// Values of some seats, in the order given; nothing is copied before the call.
  InputArray take(std::span<const int64_t> seats) const;
  /// Overwrites the values of some seats, one by one.
  void put(const OutputArray &values, std::span<const int64_t> seats);
};

/// Everything that lives across a loop step, by seat.
struct SeatRecords {
  SeatValues enters; ///< i1
  std::vector<SeatValues> carried, invariants, coda;
  std::vector<int64_t> max;       ///< most loop steps; 0: does not enter
  std::vector<int32_t> steps;     ///< so far
  DeviceMemory *device = nullptr; ///< null: nothing was prepared, and seats have no values

  Status prepare(DeviceMemory &device, const StepFunctions &functions, size_t numSeats);
  /// An error leaves the seats that there are as they are.
  Status resize(size_t numSeats);
  /// Results of @prelude for these seats.
  void putPrelude(const CallResult &result, std::span<const int64_t> seats);
  /// Inputs of @core or @fill, which last as long as `seats` and this do not change.
  std::vector<InputArray> takeStep(std::span<const int64_t> seats) const;
  /// The same of @coda, behind those of @forward.
  void takeCoda(std::span<const int64_t> seats, std::vector<InputArray> &inputs) const;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_STEPFUNCTIONS_H
