// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An artefact of the compiler on the CPU and on a device with memory of its own: the same bits, and entry functions
// that touch shared memory alone, or the process would end. python/tests/integration/test_device.py says which
// artefact.

#include "RecordingDevice.h"
#include "Requests.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace lariat::requests;
using namespace lariat::runtime;

static const char *getPath() { return std::getenv("LARIAT_DEVICE_ARTEFACT"); }

static std::unique_ptr<Session> open(std::shared_ptr<Device> device) {
  Expected<std::unique_ptr<Session>> session =
      Session::open(getPath(), {.open = {.threads = 2, .device = std::move(device)}});
  EXPECT_TRUE(session) << (session ? "" : session.text());
  return session ? std::move(*session) : nullptr;
}

static const std::vector<std::vector<int64_t>> kPrompts = {{1, 2, 3, 4, 5, 6, 7}, {5, 6}, {1, 2, 3, 4, 5, 6, 8, 9}};

TEST(CompiledArtefact, scoresHaveTheBitsOfTheCPU) {
  if (!getPath())
    GTEST_SKIP() << "LARIAT_DEVICE_ARTEFACT is not set";
  std::unique_ptr<Session> cpu = open(nullptr), device = open(std::make_shared<RecordingDevice>());
  ASSERT_TRUE(cpu && device);
  ScoreRequest request;
  request.sequences = kPrompts;
  for (Form form : {Form::Forward, Form::Lockstep, Form::Staggered}) {
    request.form = form;
    EXPECT_EQ(show(device->score(request)), show(cpu->score(request)));
  }
  EXPECT_EQ(show(device->encode(request)), show(cpu->encode(request)));
}

TEST(CompiledArtefact, generationHasTheBitsOfTheCPU) {
  if (!getPath())
    GTEST_SKIP() << "LARIAT_DEVICE_ARTEFACT is not set";
  std::unique_ptr<Session> cpu = open(nullptr), device = open(std::make_shared<RecordingDevice>());
  ASSERT_TRUE(cpu && device);
  GenerateRequest request;
  request.sequences = kPrompts;
  request.maxNewTokens = 12;
  request.ignoreEos = true;
  EXPECT_EQ(generate(*device, request), generate(*cpu, request));
  request.speculate = 1;
  EXPECT_EQ(generate(*device, request), generate(*cpu, request));
}
