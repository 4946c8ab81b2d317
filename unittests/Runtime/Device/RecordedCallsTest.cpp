// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Requests on the counting model, whose kernels run on a device with memory of its own: the bits of the CPU, what is
// asked of the device and in which order, and what is left when it has no memory.

#include "RecordingDevice.h"
#include "Requests.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace lariat::requests;
using namespace lariat::runtime;

namespace {

using Record = std::vector<std::string>;

std::unique_ptr<Session> open(std::shared_ptr<Device> device, const char *name = "counting", int64_t kvBytes = 0) {
  SessionOptions options{.open = {.threads = 2, .kvBytes = kvBytes, .device = std::move(device)}};
  Expected<std::unique_ptr<Session>> session =
      Session::open(std::string(LARIAT_ARTEFACTS) + "/" + name + ".lariat", options);
  EXPECT_TRUE(session) << (session ? "" : session.text());
  return session ? std::move(*session) : nullptr;
}

ScoreRequest scoreRequest(std::vector<std::vector<int64_t>> sequences) {
  ScoreRequest request;
  request.sequences = std::move(sequences);
  return request;
}

GenerateRequest generateRequest(std::vector<std::vector<int64_t>> sequences, int64_t count) {
  GenerateRequest request;
  request.sequences = std::move(sequences);
  request.maxNewTokens = count;
  request.threshold = 0.5;
  return request;
}

/// Two prompts that begin alike and go over several pages, and a short one.
GenerateRequest longRequest() {
  std::vector<int64_t> one(90, 2), other = one;
  other.push_back(5);
  return generateRequest({one, other, {7, 9}}, 20);
}

/// Runs `ask` again and again, with one allocation after the other that finds no memory, until none is left to refuse.
/// Those are errors, and nothing of them is seen behind.
void refuseEach(const std::shared_ptr<RecordingDevice> &device, Session &session, const std::string &expected,
                const std::function<std::string()> &ask) {
  int64_t number = 0;
  for (; number < 1000; ++number) {
    device->memory().refuse(number);
    std::string answer = ask();
    if (!device->memory().hasRefused())
      break;
    EXPECT_TRUE(answer == expected || answer.starts_with("there is no memory for ")) << number << ": " << answer;
    device->memory().refuse(INT64_MAX);
    EXPECT_EQ(session.getModel().getMemoryUse().pageBytes, 0) << number;
    EXPECT_EQ(ask(), expected) << number;
  }
  EXPECT_LT(number, 1000);
}

} // namespace

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

TEST(RecordedCalls, scoresHaveTheBitsOfTheCPU) {
  std::unique_ptr<Session> cpu = open(nullptr), device = open(std::make_shared<RecordingDevice>());
  ScoreRequest request = scoreRequest({{1, 2, 3, 4, 5, 6, 7}, {9, 8}, std::vector<int64_t>(150, 3)});
  const float states[] = {1, 2, 3, 4};
  for (Form form : {Form::Forward, Form::Lockstep, Form::Staggered})
    for (std::optional<double> threshold : {std::optional<double>(), {0.5}}) {
      request.form = form;
      request.threshold = threshold;
      EXPECT_EQ(show(device->score(request)), show(cpu->score(request)));
    }
  request = scoreRequest({{1, 2}});
  request.initialState = std::vector<StateArray>{{.data = states, .numRows = 2, .width = 2}};
  EXPECT_EQ(show(device->score(request)), show(cpu->score(request)));
}

TEST(RecordedCalls, encodingHasTheBitsOfTheCPU) {
  std::unique_ptr<Session> cpu = open(nullptr, "encoder"),
                           device = open(std::make_shared<RecordingDevice>(), "encoder");
  Request request = scoreRequest({{1, 2, 3}, {4}});
  EXPECT_EQ(show(device->encode(request)), show(cpu->encode(request)));
}

TEST(RecordedCalls, generationHasTheBitsOfTheCPU) {
  std::unique_ptr<Session> cpu = open(nullptr), device = open(std::make_shared<RecordingDevice>());
  GenerateRequest request = longRequest();
  EXPECT_EQ(generate(*device, request), generate(*cpu, request));
  request.speculate = 1;
  EXPECT_EQ(generate(*device, request), generate(*cpu, request));
}

TEST(RecordedCalls, aFullPoolChangesNothing) {
  std::unique_ptr<Session> cpu = open(nullptr), device = open(std::make_shared<RecordingDevice>(), "counting",
                                                              /*kvBytes=*/9 * 512);
  EXPECT_EQ(generate(*device, longRequest()), generate(*cpu, longRequest()));
}

//===----------------------------------------------------------------------===//
// What is asked of the device
//===----------------------------------------------------------------------===//

TEST(RecordedCalls, weightsAreUploadedWhenAModelIsOpened) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> session = open(device);
  EXPECT_EQ(device->memory().takeRecord(), Record{"upload 1 x 64"});
}

TEST(RecordedCalls, aWholeFunctionIsInputsLaunchesResults) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> session = open(device);
  device->memory().takeRecord();
  ScoreRequest request = scoreRequest({{1, 2, 3}});
  request.loops = 1;
  ASSERT_TRUE(session->score(request));
  const Record expected = {
      "upload 3 x 4",      "zero 1 x 52",                    // ids, and lines that no row has
      "upload 3 x 4",      "zero 1 x 52",                    // thresholds; loops are shared memory
      "upload 3 x 8",      "zero 3 x 56",    "zero 1 x 832", // initial states, and columns that nothing is in
      "launch 1",                                            // rows start
      "launch 1",          "launch 1",                       // entries, computed and filled
      "launch 1",          "launch 1",                       // what rows see, logits
      "download 3 x 1280", "download 3 x 4",                 // logits and steps
  };
  EXPECT_EQ(device->memory().takeRecord(), expected);
}

TEST(RecordedCalls, seatsStayOnTheDevice) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> session = open(device);
  device->memory().takeRecord();
  ScoreRequest request = scoreRequest({{1, 2, 3}});
  request.loops = 2;
  request.form = Form::Lockstep;
  ASSERT_TRUE(session->score(request));
  Record record = device->memory().takeRecord();
  // Results come down once, behind @coda.
  ASSERT_GE(record.size(), 2u);
  EXPECT_EQ(Record(record.end() - 2, record.end()), (Record{"download 3 x 1280", "download 3 x 4"}));
  EXPECT_EQ(std::ranges::count_if(record, [](const std::string &one) { return one.starts_with("download"); }), 2);
  // @prelude gives four values to seats, and a loop step takes three of them and gives one: device to device.
  const Record loopStep = {
      "copy 3 x 4", "zero 1 x 52", "copy 3 x 4", "zero 1 x 52", "copy 3 x 4", "zero 1 x 52", // sum, token, threshold
      "launch 1",   "launch 1",    "launch 1",                                               // entries, views, step
      "copy 3 x 4",                                                                          // the sum
  };
  auto first = std::ranges::search(record, loopStep);
  ASSERT_FALSE(first.empty());
  EXPECT_FALSE(std::ranges::search(std::span(first.end(), record.end()), loopStep).empty());
  const Record put = {"copy 3 x 1", "copy 3 x 4", "copy 3 x 4", "copy 3 x 4"};
  EXPECT_FALSE(std::ranges::search(std::span(record.begin(), first.begin()), put).empty());
}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

TEST(RecordedCalls, openingWithoutMemoryIsAnError) {
  auto device = std::make_shared<RecordingDevice>();
  device->memory().refuse(0);
  Expected<std::unique_ptr<Session>> session =
      Session::open(std::string(LARIAT_ARTEFACTS) + "/counting.lariat", {.open = {.device = device}});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.text(), "there is no memory for weights, which needs 64 bytes");
}

TEST(RecordedCalls, scoringWithoutMemoryLosesNothing) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> cpu = open(nullptr), session = open(device);
  for (Form form : {Form::Forward, Form::Staggered}) {
    ScoreRequest request = scoreRequest({{1, 2, 3}, std::vector<int64_t>(70, 3)});
    request.form = form;
    refuseEach(device, *session, show(cpu->score(request)), [&] { return show(session->score(request)); });
  }
}

TEST(RecordedCalls, generatingWithoutMemoryLosesNothing) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> cpu = open(nullptr), session = open(device);
  GenerateRequest request = longRequest();
  request.maxNewTokens = 3;
  refuseEach(device, *session, generate(*cpu, request), [&] { return generate(*session, request); });
}

TEST(RecordedCalls, aFaultOfTheDeviceEndsTheCallItHappensIn) {
  auto device = std::make_shared<RecordingDevice>();
  std::unique_ptr<Session> session = open(device);
  ScoreRequest request = scoreRequest({{1, 2, 3}});
  std::string expected = show(session->score(request));
  device->memory().fail("the device is gone");
  EXPECT_EQ(show(session->score(request)), "the device is gone");
  EXPECT_EQ(show(session->score(request)), expected);
}

TEST(RecordedCalls, everythingIsGivenBack) {
  auto device = std::make_shared<RecordingDevice>();
  {
    std::unique_ptr<Session> session = open(device);
    generate(*session, longRequest());
    EXPECT_GT(device->memory().getNumAllocated(), 0);
  }
  EXPECT_EQ(device->memory().getNumAllocated(), 0);
}
