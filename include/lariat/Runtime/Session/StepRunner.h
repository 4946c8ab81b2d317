// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Runs step functions by the plain schedule of lariat/Requests/Steps.h.

#ifndef LARIAT_RUNTIME_SESSION_STEPRUNNER_H
#define LARIAT_RUNTIME_SESSION_STEPRUNNER_H

#include "lariat/Requests/Steps.h"
#include "lariat/Runtime/Session/BatchRunner.h"

namespace lariat::runtime {

class StepRunner : public BatchRunner, private requests::StepCalls {
public:
  StepRunner(std::shared_ptr<Model> model, const requests::RequestFacts &facts, RunSettings settings, bool staggered)
      : BatchRunner(std::move(model), facts, std::move(settings)), staggered(staggered) {}

  Expected<RowResults> feed(std::span<const BatchRow> fed) override;

private:
  Status start() override;
  std::span<const BatchRow> getRows(int64_t begin, int64_t end) const { return rows.subspan(begin, end - begin); }
  Status enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) override;
  bool hasFill() const override { return functions.fill; }
  Status fill(std::span<const int64_t> indices, std::span<const int64_t> depths) override;
  Status core(std::span<const int64_t> indices, std::span<const int64_t> depths,
              std::span<requests::StepOutcome> outcomes) override;
  Status leave(int64_t begin, int64_t end, std::span<const int32_t> ran) override;
  /// Runs @core or @fill for some rows at their depths.
  Status callStep(const Function &function, std::span<const int64_t> indices, std::span<const int64_t> depths);
  Status runFunction(const Function &function, const CallRows &callRows, std::vector<InputArray> inputs,
                     int64_t loopSteps);
  /// Keeps the results of rows that left.
  void collect(int64_t begin, int64_t end);

  bool staggered;
  StepFunctions functions;
  std::span<const BatchRow> rows;
  SeatRecords seats; ///< a seat per row that was fed
  CallResult result;
  /// Logits and states of the groups, in their order.
  struct Kept {
    std::vector<std::vector<std::byte>> parts;
    std::vector<std::byte> whole;
    int64_t lineBytes = 0, numColumns = 0;
  };
  Kept logits, hidden;
  std::vector<int32_t> steps;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_SESSION_STEPRUNNER_H
