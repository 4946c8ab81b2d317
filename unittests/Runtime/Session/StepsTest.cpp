// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The plain schedule of step functions.

#include "lariat/Requests/Steps.h"

#include <gtest/gtest.h>
#include <sstream>

using namespace lariat::requests;
using lariat::runtime::Status;

namespace {

/// Writes calls down. Row i may run i + 1 loop steps, and stops after `stopsAfter` of them.
class Recorder : public StepCalls {
public:
  explicit Recorder(bool fills, int64_t stopsAfter = 100) : fills(fills), stopsAfter(stopsAfter) {}

  Status enter(int64_t begin, int64_t end, std::span<int64_t> maxSteps) override {
    for (int64_t row = begin; row < end; ++row)
      maxSteps[row - begin] = row + 1;
    log << "enter " << begin << '-' << end << '\n';
    return Status::success();
  }
  bool hasFill() const override { return fills; }
  Status fill(std::span<const int64_t> rows, std::span<const int64_t> depths) override {
    write("fill", rows, depths);
    return Status::success();
  }
  Status core(std::span<const int64_t> rows, std::span<const int64_t> depths,
              std::span<StepOutcome> outcomes) override {
    write("core", rows, depths);
    for (size_t place = 0; place < rows.size(); ++place)
      outcomes[place] = {.kept = true, .stops = depths[place] + 1 >= stopsAfter};
    return Status::success();
  }
  Status leave(int64_t begin, int64_t end, std::span<const int32_t> steps) override {
    log << "leave " << begin << '-' << end << " after";
    for (int32_t count : steps)
      log << ' ' << count;
    log << '\n';
    return Status::success();
  }

  std::ostringstream log;

private:
  void write(const char *name, std::span<const int64_t> rows, std::span<const int64_t> depths) {
    log << name;
    for (size_t place = 0; place < rows.size(); ++place)
      log << ' ' << rows[place] << '@' << depths[place];
    log << '\n';
  }

  bool fills;
  int64_t stopsAfter;
};

} // namespace

/// Three rows of two sequences.
static std::string run(bool staggered, Recorder &&recorder) {
  std::vector<BatchRow> rows{{0, 0, 7, 0}, {0, 1, 7, 0}, {1, 0, 7, 0}};
  EXPECT_TRUE(runSteps(rows, staggered, recorder).ok());
  return recorder.log.str();
}

TEST(Steps, LockstepKeepsRowsAtOneDepth) {
  EXPECT_EQ(run(/*staggered=*/false, Recorder(/*fills=*/false)), "enter 0-3\n"
                                                                 "core 0@0 1@0 2@0\n"
                                                                 "core 1@1 2@1\n"
                                                                 "core 2@2\n"
                                                                 "leave 0-3 after 1 2 3\n");
}

TEST(Steps, StaggeredSequencesAreAtDifferentDepths) {
  EXPECT_EQ(run(/*staggered=*/true, Recorder(/*fills=*/false)), "enter 0-2\n"
                                                                "core 0@0 1@0\n"
                                                                "enter 2-3\n"
                                                                "core 1@1 2@0\n"
                                                                "leave 0-2 after 1 2\n"
                                                                "core 2@1\n"
                                                                "core 2@2\n"
                                                                "leave 2-3 after 3\n");
}

TEST(Steps, RowsThatStoppedOweTheirEntries) {
  EXPECT_EQ(run(/*staggered=*/false, Recorder(/*fills=*/true, /*stopsAfter=*/1)), "enter 0-3\n"
                                                                                  "core 0@0 1@0 2@0\n"
                                                                                  "fill 1@1 2@1\n"
                                                                                  "fill 2@2\n"
                                                                                  "leave 0-3 after 1 1 1\n");
}
