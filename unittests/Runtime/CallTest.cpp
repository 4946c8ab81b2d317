// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls of compiled code: ports, arena, launch and barrier, row services, caches, states, and requests that are not so.

#include "FakeArtefact.h"

#include <gtest/gtest.h>
#include <thread>

using namespace lariat::runtime;

static bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

#define EXPECT_CONTAINS(text, part)                                                                                    \
  do {                                                                                                                 \
    std::string found = (text);                                                                                        \
    EXPECT_TRUE(contains(found, part)) << found;                                                                       \
  } while (false)

namespace {

class CallTest : public testing::Test {
protected:
  void SetUp() override { open({.threads = 2}); }

  void open(const OpenOptions &options) {
    sequences.clear();
    model = artefact.open(options);
    ASSERT_TRUE(model);
  }
  Sequence *create() {
    Expected<std::unique_ptr<Sequence>> sequence = model->createSequence();
    EXPECT_TRUE(sequence);
    sequences.push_back(std::move(*sequence));
    return sequences.back().get();
  }

  FakeArtefact artefact;
  std::unique_ptr<Model> model;
  std::vector<std::unique_ptr<Sequence>> sequences;
};

/// Rows `first` to `end` of a sequence.
std::vector<Row> makeRows(int64_t first, int64_t end, int64_t sequence = 0, int64_t depth = 0) {
  std::vector<Row> rows;
  for (int64_t position = first; position < end; ++position)
    rows.push_back({.sequence = sequence, .position = position, .depth = depth});
  return rows;
}

} // namespace

//===----------------------------------------------------------------------===//
// Ports and services on rows
//===----------------------------------------------------------------------===//

static void runDouble(Model &model, std::vector<Sequence *> sequences, int64_t numRows, CallResult &result) {
  std::vector<Row> rows = makeRows(0, numRows);
  rows.back().flags = lariat::abi::kWanted;
  std::vector<int32_t> ids(numRows);
  std::vector<float> x(numRows * 6); // lines of six floats, of which five count
  for (int64_t row = 0; row < numRows; ++row) {
    ids[row] = static_cast<int32_t>(row * 3);
    for (int64_t column = 0; column < 6; ++column)
      x[row * 6 + column] = column < 5 ? static_cast<float>(row + column) : -1;
  }
  CallRequest request{.function = find(model, "double"),
                      .sequences = sequences,
                      .rows = rows,
                      .inputs = {{}, {ids.data(), numRows}, {x.data(), numRows, /*lineBytes=*/24}}};
  LaunchCounts launches;
  request.launches = &launches;
  Status status = model.call(request, result);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_EQ(launches.regions, 1);
  EXPECT_EQ(launches.barriers, 1); // the barrier after the last record is the region's end
  ASSERT_EQ(result.outputs[0].numRows, numRows);
  ASSERT_EQ(result.outputs[0].lineBytes, 64);
  for (int64_t row = 0; row < numRows; ++row)
    for (int64_t column = 0; column < 5; ++column)
      ASSERT_EQ(result.outputs[0].line<float>(row)[column], static_cast<float>(2 * (row + column) + row * 3));
  ASSERT_EQ(result.outputs[1].numRows, numRows / 2); // odd ids
  for (int64_t row = 0; row < numRows / 2; ++row) {
    const auto *line = result.outputs[1].line<int64_t>(row);
    EXPECT_EQ(std::vector<int64_t>(line, line + 6),
              (std::vector<int64_t>{2 * row + 1, 0, 2 * row + 1, 1, 2 * row + 1 == numRows - 1 ? 4 : 0, numRows}));
  }
  ASSERT_EQ(result.outputs[2].numRows, 1);
  EXPECT_EQ(result.outputs[2].line<int64_t>(0)[lariat::abi::kPosition], numRows - 1);
}

TEST_F(CallTest, portsArenaLaunchAndRows) {
  for (int64_t threads : {1, 2, 5}) {
    open({.threads = threads});
    CallResult result;
    for (int64_t numRows : {1, 16, 17, 700, 3})
      runDouble(*model, {create()}, numRows, result);
  }
}

TEST_F(CallTest, severalCallersWaitForEachOther) {
  std::unique_ptr<Model> other = artefact.open();
  auto work = [](Model &model) {
    Expected<std::unique_ptr<Sequence>> sequence = model.createSequence();
    CallResult result;
    for (int round = 0; round < 20; ++round)
      runDouble(model, {sequence->get()}, 33, result);
  };
  std::thread first(work, std::ref(*model)), second(work, std::ref(*model)), third(work, std::ref(*other));
  first.join();
  second.join();
  third.join();
}

TEST_F(CallTest, tablesOfAnEarlierCallCanBeHandedIn) {
  Sequence *sequence[] = {create()};
  CallResult first, second;
  runDouble(*model, {sequence[0]}, 8, first);
  const OutputArray &kept = first.outputs[1]; // four rows
  std::vector<int32_t> ids(4);
  std::vector<float> x(20, 1);
  CallRequest request{.function = find(*model, "double"),
                      .sequences = sequence,
                      .rows = {},
                      .inputs = {{kept.line<int64_t>(0), kept.numRows}, {ids.data(), 4}, {x.data(), 4}}};
  Status status = model->call(request, second);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_EQ(second.outputs[0].numRows, 4);
  EXPECT_EQ(second.outputs[0].line<float>(3)[4], 2);
}

TEST_F(CallTest, floatingPointModeIsTheDefaultOnAllThreads) {
  Sequence *sequence[] = {create()};
  std::vector<Row> rows = makeRows(0, 4);
  CallResult result;
  ASSERT_TRUE(
      model->call({.function = find(*model, "mode"), .sequences = sequence, .rows = rows, .inputs = {{}}}, result)
          .ok());
  for (int64_t row = 0; row < 4; ++row)
    EXPECT_EQ(*result.outputs[0].line<int64_t>(row), 0x1f80);
}

TEST_F(CallTest, weightsAreMapped) {
  Sequence *sequence[] = {create()};
  std::vector<Row> rows = makeRows(0, 100);
  CallResult result;
  ASSERT_TRUE(
      model->call({.function = find(*model, "weights"), .sequences = sequence, .rows = rows, .inputs = {{}}}, result)
          .ok());
  EXPECT_EQ(*result.outputs[0].line<int64_t>(99), 99 * 7 % 256);
}

TEST_F(CallTest, statesStayWithTheirSequences) {
  Sequence *both[] = {create(), create()};
  auto add = [&](std::span<Sequence *const> sequences, const std::vector<Row> &rows, CallResult &result) {
    Status status = model->call(
        {.function = find(*model, "state"), .sequences = sequences, .rows = rows, .inputs = {{}}, .loops = 1}, result);
    ASSERT_TRUE(status.ok()) << status.text();
  };
  CallResult result;
  add(both,
      {{.sequence = 0, .position = 1}, {.sequence = 1, .position = 10}, {.sequence = 1, .position = 20, .depth = 2}},
      result);
  EXPECT_EQ(*result.outputs[0].line<float>(2), 20);
  Sequence *second[] = {both[1]};
  add(second, {{.position = 5}, {.position = 6, .depth = 2}, {.position = 7, .depth = 3}}, result);
  EXPECT_EQ(*result.outputs[0].line<float>(0), 15);
  EXPECT_EQ(*result.outputs[0].line<float>(1), 26);
  EXPECT_EQ(*result.outputs[0].line<float>(2), 7);
  EXPECT_CONTAINS(both[1]->truncate(3).text(), "the model has states, which cannot be taken back");
  EXPECT_TRUE(both[1]->truncate(1000).ok());
  EXPECT_TRUE(both[1]->truncate(0).ok());
  add(second, {{.position = 5}}, result);
  EXPECT_EQ(*result.outputs[0].line<float>(0), 5);
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

TEST_F(CallTest, viewsSeeEarlierRowsOfTheirSequenceAlone) {
  std::vector<Sequence *> both{create(), create()};
  CacheCall call{.rows = makeRows(0, 3), .slots = {0, 0, 0, 0}, .values = {1, 2, 3, 100}};
  call.rows.push_back({.sequence = 1, .position = 7});
  ASSERT_TRUE(call.run(*model, both).ok());
  EXPECT_EQ(call.counts, (std::vector<int64_t>{1, 2, 3, 1}));
  EXPECT_EQ(call.sums, (std::vector<float>{1, 5, 14, 100}));
  CacheCall next{.rows = makeRows(3, 4), .slots = {0}, .values = {4}};
  ASSERT_TRUE(next.run(*model, {both[0]}).ok());
  EXPECT_EQ(next.sums, std::vector<float>{30});
  EXPECT_EQ(both[0]->getLength(), 4);
  EXPECT_EQ(both[1]->getLength(), 8);
}

TEST_F(CallTest, aheadSeesLaterRows) {
  CacheCall call{.rows = makeRows(0, 3), .slots = {0, 0, 0}, .values = {1, 2, 3}, .ahead = 1};
  ASSERT_TRUE(call.run(*model, {create()}).ok());
  EXPECT_EQ(call.counts, (std::vector<int64_t>{3, 3, 3}));
}

TEST_F(CallTest, aRowWithoutSlotWritesNothing) {
  Sequence *sequence = create();
  CacheCall call{.rows = makeRows(0, 2), .slots = {-1, 0}, .values = {1, 2}, .lookUp = 3};
  ASSERT_TRUE(call.run(*model, {sequence}).ok());
  EXPECT_EQ(call.counts, (std::vector<int64_t>{0, 1}));
  CacheCall first{.rows = makeRows(2, 3), .slots = {-1}, .values = {0}, .lookUp = 3};
  ASSERT_TRUE(first.run(*model, {sequence}).ok());
  EXPECT_EQ(first.counts, std::vector<int64_t>{1});
}

TEST_F(CallTest, aCacheOfOneCallHoldsItsRowsAlone) {
  Sequence *sequence = create();
  for (int64_t first : {0, 100}) {
    CacheCall call{.rows = makeRows(first, first + 100),
                   .slots = std::vector<int64_t>(100),
                   .values = std::vector<float>(100, 1),
                   .ahead = 1,
                   .cache = 2};
    ASSERT_TRUE(call.run(*model, {sequence}).ok());
    EXPECT_EQ(call.counts, std::vector<int64_t>(100, 100));
    EXPECT_EQ(model->getMemoryUse().liveBytes, 0);
    EXPECT_EQ(model->getMemoryUse().pageBytes, 0);
  }
}

TEST_F(CallTest, bytesAreExact) {
  Sequence *sequence = create();
  CacheCall call{.rows = makeRows(0, 65), .slots = std::vector<int64_t>(65), .values = std::vector<float>(65)};
  ASSERT_TRUE(call.run(*model, {sequence}).ok());
  CacheCall deeper{.rows = makeRows(10, 12, 0, 1), .slots = {1, 1}, .values = {1, 2}, .filled = 1};
  ASSERT_TRUE(deeper.run(*model, {sequence}).ok());
  constexpr int64_t entry = 2 * 2 * 4, page = 64 * entry;
  std::vector<CacheUse> use = sequence->getUse();
  ASSERT_EQ(use.size(), 3u);
  ASSERT_EQ(use[0].slots.size(), 2u);
  EXPECT_EQ(use[0].slots[0].computed, 65);
  EXPECT_EQ(use[0].slots[0].pages, 2);
  EXPECT_EQ(use[0].slots[1].computed, 0);
  EXPECT_EQ(use[0].slots[1].filled, 2);
  EXPECT_EQ(use[0].liveBytes, 67 * entry);
  EXPECT_EQ(use[0].pageBytes, 3 * page);
  EXPECT_EQ(use[1].pageBytes, 0);
  EXPECT_EQ(model->getMemoryUse().liveBytes, 67 * entry);
  EXPECT_EQ(model->getMemoryUse().pageBytes, 3 * page);
  ASSERT_TRUE(sequence->truncate(0).ok());
  EXPECT_EQ(model->getMemoryUse().pageBytes, 0);
}

TEST_F(CallTest, aFullPoolIsAnErrorBeforeAnythingIsWritten) {
  constexpr int64_t page = 64 * 2 * 2 * 4, outerPage = 2 * 64 * 2 * 2 * 2;
  open({.threads = 2, .kvBytes = 3 * page + outerPage});
  Sequence *first = create(), *second = create();
  CacheCall call{.rows = makeRows(0, 64), .slots = std::vector<int64_t>(64), .values = std::vector<float>(64)};
  ASSERT_TRUE(call.run(*model, {first}).ok());
  EXPECT_EQ(model->getMemoryUse().pageBytes, page);
  CacheCall large{.rows = makeRows(0, 65), .slots = std::vector<int64_t>(65), .values = std::vector<float>(65)};
  EXPECT_CONTAINS(large.run(*model, {second}).text(), "bytes are left of the limit of");
  EXPECT_EQ(model->getMemoryUse().pageBytes, page);
  CacheCall small{.rows = makeRows(0, 1), .slots = {0}, .values = {1}};
  EXPECT_TRUE(small.run(*model, {second}).ok());
  sequences.erase(sequences.begin()); // gives a page back
  CacheCall again{.rows = makeRows(1, 2), .slots = {0}, .values = {1}};
  EXPECT_TRUE(again.run(*model, {second}).ok());
  EXPECT_EQ(model->getMemoryUse().pageBytes, page);
}

TEST_F(CallTest, misuseByCodeEndsTheCallAndItsSequencesOnly) {
  Sequence *bad = create(), *good = create();
  CacheCall call{.rows = makeRows(0, 1), .slots = {9}, .values = {1}};
  EXPECT_CONTAINS(call.run(*model, {bad}).text(), "rows use slot 9 of cache @kv, which has 4");
  CacheCall retry{.rows = makeRows(0, 1), .slots = {0}, .values = {1}};
  EXPECT_CONTAINS(retry.run(*model, {bad}).text(),
                  "the sequence was in a call that failed, which said: rows use slot 9");
  CacheCall looks{.rows = makeRows(0, 1), .slots = {-1}, .values = {1}};
  EXPECT_CONTAINS(looks.run(*model, {create()}).text(), "rows use slot -1 of cache @kv, which has 4");
  EXPECT_TRUE(retry.run(*model, {good}).ok());
  EXPECT_TRUE(bad->truncate(0).ok());
  EXPECT_TRUE(retry.run(*model, {bad}).ok());
  CacheCall noCache{.rows = makeRows(1, 2), .slots = {0}, .values = {1}, .cache = 5};
  EXPECT_CONTAINS(noCache.run(*model, {good}).text(), "names cache 5 of 3");
  CacheCall noLookUp{.rows = makeRows(1, 2), .slots = {0}, .values = {1}, .lookUp = 17};
  EXPECT_CONTAINS(noLookUp.run(*model, {bad}).text(), "look-up 17");
  Sequence *another[] = {create()};
  std::vector<Row> rows = makeRows(0, 1);
  CallResult result;
  EXPECT_CONTAINS(
      model->call({.function = find(*model, "too_many"), .sequences = another, .rows = rows, .inputs = {{}}}, result)
          .text(),
      "gives output 'byte' 17 rows, where a call has at most 16");
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

TEST_F(CallTest, requestsThatAreNotSo) {
  Sequence *one[] = {create()}, *twice[] = {one[0], one[0]}, *none[] = {nullptr};
  std::unique_ptr<Model> other = artefact.open();
  Expected<std::unique_ptr<Sequence>> stranger = other->createSequence();
  Sequence *strangers[] = {stranger->get()};
  std::vector<Row> rows = makeRows(0, 2);
  const Function *function = find(*model, "double");
  const int32_t ids[] = {1, 2};
  const float x[10] = {};
  auto fail = [&](std::span<Sequence *const> sequences, std::vector<Row> rows, std::vector<InputArray> inputs,
                  int64_t loops = 1) {
    CallResult result;
    return model->call({function, sequences, rows, std::move(inputs), loops}, result).text();
  };
  std::vector<InputArray> good{{}, {ids, 2}, {x, 2}};
  EXPECT_EQ(fail(one, rows, good), "");
  EXPECT_CONTAINS(fail(one, rows, {{}}), "is called with 1 inputs, but it has 3");
  EXPECT_CONTAINS(fail(one, rows, {{}, {ids, 1}, {x, 2}}), "input 'ids' has 1 rows, but 'rows' has 2");
  EXPECT_CONTAINS(fail(one, rows, {{}, {nullptr, 2}, {x, 2}}), "input 'ids' has no values");
  EXPECT_CONTAINS(fail(one, rows, {{}, {ids, 2}, {x, 2, 16}}), "has lines of 16 bytes, expected at least 20");
  EXPECT_CONTAINS(fail(one, {}, {{}, {ids, 0}, {x, 0}}), "a call has 0 rows");
  EXPECT_CONTAINS(fail(one, rows, good, -1), "runs -1 loop steps");
  EXPECT_CONTAINS(fail(twice, rows, good), "in the call twice");
  EXPECT_CONTAINS(fail(none, rows, good), "is not of this model");
  EXPECT_CONTAINS(fail(strangers, rows, good), "is not of this model");
  EXPECT_CONTAINS(fail(one, {{.position = 1}, {.position = 1}}, good), "does not follow row 0");
  EXPECT_CONTAINS(fail(one, {{.position = -1}, {.position = 1}}, good), "is at position -1");
  EXPECT_CONTAINS(fail(one, {{.sequence = 1}, {.position = 1}}, good), "is of sequence 1, the call has 1");
  EXPECT_CONTAINS(fail(one, {{.depth = -2}, {.position = 1}}, good), "is at depth -2");
  Function foreign = *function;
  CallResult result;
  EXPECT_CONTAINS(model->call({.function = &foreign}, result).text(), "names no function of");
  EXPECT_CONTAINS(model->call({}, result).text(), "names no function of");
}
