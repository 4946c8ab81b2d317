// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Engines of the C interface: what a tick brings, misuse, closing, processes, threads.

#include "CInterface.h"

#include <functional>
#include <map>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr const lariat_engine_options *kDefaults = nullptr;
constexpr int64_t kNotANumber = 300;

/// What became of a request.
struct Answer {
  std::vector<int64_t> tokens;
  int32_t finish = LARIAT_FINISH_NONE;
  std::string error;
};

class EngineInterface : public CInterface {
protected:
  void SetUp() override {
    CInterface::SetUp();
    ASSERT_EQ(call(lariat_engine_open, session, kDefaults, &engine).text, "");
  }
  void TearDown() override {
    lariat_engine_destroy(engine);
    CInterface::TearDown();
  }

  Outcome submit(const lariat_batch &batch, const std::string &options, int64_t *first) {
    return call(lariat_engine_submit, engine, &batch, options.c_str(), first);
  }
  /// Queues a request that is right.
  int64_t submit(const std::vector<int64_t> &prompt, int64_t count) {
    int64_t first = -1;
    EXPECT_OK(submit(Batch({prompt}).value, generateOptions(count), &first));
    return first;
  }
  /// Runs one tick; how many requests have not ended.
  int64_t tick(std::map<int64_t, Answer> &answers) {
    lariat_tick tick{};
    tick.struct_size = sizeof tick;
    EXPECT_OK(call(lariat_engine_tick, engine, &tick));
    for (const lariat_token *token = tick.tokens; token != tick.tokens + tick.num_tokens; ++token)
      answers[token->sequence].tokens.push_back(token->id);
    for (const lariat_request_end *end = tick.ends; end != tick.ends + tick.num_ends; ++end) {
      answers[end->request].finish = end->finish;
      answers[end->request].error = end->error;
    }
    return tick.num_unfinished;
  }
  std::map<int64_t, Answer> finishAll() {
    std::map<int64_t, Answer> answers;
    while (tick(answers) > 0) {
    }
    return answers;
  }
  int64_t getPageBytes() {
    lariat_session_info info{};
    info.struct_size = sizeof info;
    EXPECT_OK(call(lariat_session_get_info, session, &info));
    return info.kv_page_bytes;
  }

  lariat_engine *engine = nullptr;
};

} // namespace

TEST_F(EngineInterface, RequestsGetTheirTokensAndEnds) {
  Batch batch({{1, 2}, {200, 57}, {5}});
  int64_t first = -1;
  EXPECT_OK(submit(batch.value, generateOptions(3), &first));
  EXPECT_EQ(first, 0);
  EXPECT_EQ(submit({7}, 0), 3);
  std::map<int64_t, Answer> answers = finishAll();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[0].tokens, (std::vector<int64_t>{3, 6, 12}));
  EXPECT_EQ(answers[0].finish, LARIAT_FINISH_LENGTH);
  EXPECT_EQ(answers[1].tokens, (std::vector<int64_t>{257}));
  EXPECT_EQ(answers[1].finish, LARIAT_FINISH_EOS);
  EXPECT_EQ(answers[2].tokens, (std::vector<int64_t>{5, 10, 20}));
  EXPECT_TRUE(answers[3].tokens.empty());
  EXPECT_EQ(answers[3].finish, LARIAT_FINISH_LENGTH);
  EXPECT_OK(call(lariat_engine_clear_prefixes, engine));
  EXPECT_EQ(getPageBytes(), 0);
  lariat_engine_counts counts{};
  counts.struct_size = sizeof counts;
  EXPECT_OK(call(lariat_engine_get_counts, engine, &counts));
  EXPECT_GT(counts.ticks, 2);
  EXPECT_GT(counts.kv_bytes_peak, 0);
  EXPECT_EQ(counts.prelude.rows, counts.coda.rows);
}

TEST_F(EngineInterface, ALaterRequestReusesRowsUnlessToldNotTo) {
  for (int32_t isOn : {1, 0}) {
    lariat_engine_destroy(engine);
    lariat_engine_options options;
    lariat_engine_options_init(&options, sizeof options);
    EXPECT_EQ(options.prefix_cache, 1);
    options.prefix_cache = isOn;
    ASSERT_EQ(call(lariat_engine_open, session, &options, &engine).text, "");
    for (int64_t last : {1, 2}) {
      submit({1, 1, 1, 1, last}, 2);
      finishAll();
    }
    lariat_engine_counts counts{};
    counts.struct_size = sizeof counts;
    EXPECT_OK(call(lariat_engine_get_counts, engine, &counts));
    EXPECT_EQ(counts.reused_rows, isOn ? 4 : 0);
    EXPECT_EQ(getPageBytes() > 0, isOn != 0);
  }
}

TEST_F(EngineInterface, AFailedRequestSaysWhyAndHarmsNoOther) {
  submit({kNotANumber}, 4);
  submit({1}, 4);
  std::map<int64_t, Answer> answers = finishAll();
  EXPECT_EQ(answers[0].finish, LARIAT_FINISH_FAILED);
  EXPECT_NE(answers[0].error.find("are not numbers"), std::string::npos) << answers[0].error;
  EXPECT_EQ(answers[1].tokens, (std::vector<int64_t>{1, 2, 4, 8}));
  EXPECT_EQ(answers[1].error, "");
  EXPECT_OK(call(lariat_engine_clear_prefixes, engine));
  EXPECT_EQ(getPageBytes(), 0);
}

TEST_F(EngineInterface, CancelEndsARequestAndKnowsWhichThereAre) {
  submit({1}, 50);
  submit({2}, 3);
  std::map<int64_t, Answer> answers;
  tick(answers);
  EXPECT_OK(call(lariat_engine_cancel, engine, int64_t(0)));
  EXPECT_OK(call(lariat_engine_cancel, engine, int64_t(0)));
  while (tick(answers) > 0) {
  }
  EXPECT_EQ(answers[0].finish, LARIAT_FINISH_STOPPED);
  EXPECT_EQ(answers[1].finish, LARIAT_FINISH_LENGTH);
  EXPECT_OK(call(lariat_engine_clear_prefixes, engine));
  EXPECT_EQ(getPageBytes(), 0);
  EXPECT_OK(call(lariat_engine_cancel, engine, int64_t(1))); // it has ended
  for (int64_t number : {int64_t(2), int64_t(-1), INT64_MAX})
    EXPECT_FAILS(call(lariat_engine_cancel, engine, number), LARIAT_STATUS_MISUSE,
                 "request " + std::to_string(number) + " is not one of the 2 that were submitted");
}

TEST_F(EngineInterface, NullAndWrongHandles) {
  Batch batch({{1}});
  const char *none = nullptr;
  int64_t first = 0;
  lariat_tick tick{};
  tick.struct_size = sizeof tick;
  lariat_engine_counts counts{};
  counts.struct_size = sizeof counts;
  auto refuseAll = [&](lariat_engine *wrong, const char *message) {
    EXPECT_FAILS(call(lariat_engine_submit, wrong, &batch.value, none, &first), LARIAT_STATUS_MISUSE, message);
    EXPECT_FAILS(call(lariat_engine_cancel, wrong, int64_t(0)), LARIAT_STATUS_MISUSE, message);
    EXPECT_FAILS(call(lariat_engine_tick, wrong, &tick), LARIAT_STATUS_MISUSE, message);
    EXPECT_FAILS(call(lariat_engine_get_counts, wrong, &counts), LARIAT_STATUS_MISUSE, message);
    EXPECT_FAILS(call(lariat_engine_clear_prefixes, wrong), LARIAT_STATUS_MISUSE, message);
  };
  refuseAll(nullptr, "the engine is null");
  refuseAll(reinterpret_cast<lariat_engine *>(&batch), "is none that exists");
  refuseAll(reinterpret_cast<lariat_engine *>(session), "a handle of another kind");
  lariat_engine *other = nullptr;
  EXPECT_OK(call(lariat_engine_open, session, kDefaults, &other));
  lariat_engine_destroy(other);
  lariat_engine_destroy(other);
  refuseAll(other, "it was destroyed");
  lariat_engine_destroy(nullptr);
  lariat_engine_destroy(reinterpret_cast<lariat_engine *>(session)); // does nothing
  EXPECT_EQ(getPageBytes(), 0);
  EXPECT_FAILS(call(lariat_engine_open, static_cast<lariat_session *>(nullptr), kDefaults, &other),
               LARIAT_STATUS_MISUSE, "the session is null");
  EXPECT_FAILS(call(lariat_engine_open, session, kDefaults, static_cast<lariat_engine **>(nullptr)),
               LARIAT_STATUS_MISUSE, "'engine' is null");
}

TEST_F(EngineInterface, OptionsOutOfTheirRange) {
  auto refuses = [&](const std::function<void(lariat_engine_options &)> &change, lariat_status status,
                     const char *message) {
    lariat_engine_options options;
    lariat_engine_options_init(&options, sizeof options);
    change(options);
    lariat_engine *other = nullptr;
    EXPECT_FAILS(call(lariat_engine_open, session, &options, &other), status, message);
    EXPECT_EQ(other, nullptr);
  };
  refuses([](auto &o) { o.struct_size = 8; }, LARIAT_STATUS_MISUSE, "struct_size of the lariat_engine_options is 8");
  refuses([](auto &o) { o.max_rows = 0; }, LARIAT_STATUS_MISUSE, "max_rows and chunk_rows are 0 and 256");
  refuses([](auto &o) { o.chunk_rows = INT64_MIN; }, LARIAT_STATUS_MISUSE, "expected at least 1");
  refuses([](auto &o) { o.order = 3; }, LARIAT_STATUS_MISUSE, "the order is 3, expected 0 to 2");
  refuses([](auto &o) { o.order = -1; }, LARIAT_STATUS_MISUSE, "the order is -1, expected 0 to 2");
  refuses([](auto &o) { o.loop = 2; }, LARIAT_STATUS_MISUSE, "the loop option is 2, expected 0 or 1");
  refuses([](auto &o) { o.missing = "skip"; }, LARIAT_STATUS_REQUEST, "the missing mode 'skip'");
  lariat_engine_options_init(nullptr, 100);
}

TEST_F(EngineInterface, RequestsThatAreRefused) {
  Batch batch({{1, 2, 3}});
  const lariat_batch good = batch.value;
  int64_t first = -1;
  auto refuses = [&](const std::function<void(lariat_batch &)> &change, lariat_status status, const char *message) {
    lariat_batch changed = good;
    change(changed);
    EXPECT_FAILS(submit(changed, generateOptions(2), &first), status, message);
    EXPECT_EQ(first, -1);
  };
  auto refusesOptions = [&](const std::string &options, lariat_status status, const char *message) {
    EXPECT_FAILS(submit(good, options, &first), status, message);
    EXPECT_EQ(first, -1);
  };
  int64_t zero = 0;
  refuses([](auto &b) { b.struct_size = 0; }, LARIAT_STATUS_MISUSE, "struct_size of the lariat_batch is 0");
  const char *notHere = "'missing', 'wants_stop' or 'profile' is given in a request to an engine";
  refuses([](auto &b) { b.wants_stop = [](void *) -> int32_t { return 0; }; }, LARIAT_STATUS_MISUSE, notHere);
  refuses([](auto &b) { b.num_sequences = 0; }, LARIAT_STATUS_REQUEST, "the batch has no sequences");
  refuses([&](auto &b) { b.lengths = &zero; }, LARIAT_STATUS_REQUEST, "sequence 0 has no tokens");
  refusesOptions("{\"missing\": \"propagate\"}", LARIAT_STATUS_MISUSE, notHere);
  refusesOptions("{\"profile\": true}", LARIAT_STATUS_MISUSE, notHere);
  refusesOptions("{\"loops\": 1000}", LARIAT_STATUS_REQUEST, "1000 loop steps");
  refusesOptions("{\"exit_threshold\": 1.5}", LARIAT_STATUS_REQUEST, "the exit threshold is 1.5");
  refusesOptions("{\"stop_tokens\": 1}", LARIAT_STATUS_MISUSE,
                 "'stop_tokens' of the request is not a list of integers");
  refusesOptions(generateOptions(-1), LARIAT_STATUS_REQUEST, "max_new_tokens is -1");
  refusesOptions(generateOptions(255), LARIAT_STATUS_REQUEST, "the context of the model is 256");
  std::string options = generateOptions(2);
  EXPECT_FAILS(submit(good, options, nullptr), LARIAT_STATUS_MISUSE, "'first' is null");
  EXPECT_EQ(submit({1}, 1), 0); // no number was used up
}

TEST_F(EngineInterface, ATickWithNowhereToWriteLosesNothing) {
  submit({1}, 2);
  lariat_tick tick{};
  EXPECT_FAILS(call(lariat_engine_tick, engine, &tick), LARIAT_STATUS_MISUSE, "struct_size of the lariat_tick is 0");
  EXPECT_FAILS(call(lariat_engine_tick, engine, static_cast<lariat_tick *>(nullptr)), LARIAT_STATUS_MISUSE,
               "the lariat_tick is null");
  lariat_engine_counts counts{};
  EXPECT_FAILS(call(lariat_engine_get_counts, engine, &counts), LARIAT_STATUS_MISUSE,
               "struct_size of the lariat_engine_counts is 0");
  EXPECT_EQ(finishAll()[0].tokens, (std::vector<int64_t>{1, 2}));
}

TEST_F(EngineInterface, AProfileIsJsonWhereOneIsKept) {
  char *text = nullptr;
  EXPECT_FAILS(call(lariat_engine_profile, engine, &text), LARIAT_STATUS_MISUSE, "no profile is kept");
  lariat_engine_destroy(engine);
  lariat_engine_options options;
  lariat_engine_options_init(&options, sizeof options);
  options.profile = 1;
  ASSERT_EQ(call(lariat_engine_open, session, &options, &engine).text, "");
  EXPECT_FAILS(call(lariat_engine_profile, engine, static_cast<char **>(nullptr)), LARIAT_STATUS_MISUSE,
               "'text' is null");
  submit({1, 2, 3}, 4);
  finishAll();
  EXPECT_OK(call(lariat_engine_profile, engine, &text));
  EXPECT_EQ(std::string(text).find("{\"version\":1,\"isa\":\"none\",\"threads\":2,"), 0u) << text;
  EXPECT_NE(std::string(text).find("\"tokens\":4,"), std::string::npos) << text;
  lariat_text_destroy(text);
}

TEST_F(EngineInterface, CallbacksOfTheSessionMayNotUseItsEngines) {
  struct Context {
    lariat_session *session;
    lariat_engine *engine;
    std::vector<Outcome> outcomes;
  } context{session, engine, {}};
  auto onToken = [](void *user, const lariat_token *) -> int32_t {
    auto &context = *static_cast<Context *>(user);
    Batch inner({{1}});
    std::string options = generateOptions(1);
    int64_t first = 0;
    lariat_engine *other = nullptr;
    lariat_tick tick{};
    tick.struct_size = sizeof tick;
    lariat_engine_counts counts{};
    counts.struct_size = sizeof counts;
    context.outcomes = {call(lariat_engine_open, context.session, kDefaults, &other),
                        call(lariat_engine_submit, context.engine, &inner.value, options.c_str(), &first),
                        call(lariat_engine_cancel, context.engine, int64_t(0)),
                        call(lariat_engine_tick, context.engine, &tick),
                        call(lariat_engine_get_counts, context.engine, &counts)};
    return LARIAT_STOP_ALL;
  };
  submit({3}, 1);
  Batch batch({{1}});
  lariat_generation *generation = nullptr;
  std::string options = generateOptions(2);
  EXPECT_OK(call(lariat_generate, session, &batch.value, options.c_str(), onToken, static_cast<void *>(&context),
                 &generation));
  lariat_generation_destroy(generation);
  ASSERT_EQ(context.outcomes.size(), 5u);
  for (const Outcome &outcome : context.outcomes)
    EXPECT_FAILS(outcome, LARIAT_STATUS_MISUSE, "called back into the session");
  EXPECT_EQ(finishAll()[0].finish, LARIAT_FINISH_LENGTH);
}

TEST_F(EngineInterface, AClosedSessionFailsItsRequests) {
  submit({1}, 9);
  std::map<int64_t, Answer> answers;
  tick(answers);
  EXPECT_OK(call(lariat_session_close, session));
  submit({2}, 9);
  while (tick(answers) > 0) {
  }
  for (int64_t number : {0, 1}) {
    EXPECT_EQ(answers[number].finish, LARIAT_FINISH_FAILED);
    EXPECT_NE(answers[number].error.find("is closed"), std::string::npos) << answers[number].error;
  }
  lariat_session_destroy(session);
  EXPECT_EQ(tick(answers), 0); // the engine keeps what it needs
}

TEST_F(EngineInterface, AChildOfFork) {
  submit({1}, 3);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    Batch batch({{1}});
    std::string options = generateOptions(1);
    int64_t first = 0;
    lariat_tick tick{};
    tick.struct_size = sizeof tick;
    bool right = true;
    for (const Outcome &outcome :
         {call(lariat_engine_tick, engine, &tick), call(lariat_engine_cancel, engine, int64_t(0)),
          submit(batch.value, options, &first)})
      right &= outcome.status == LARIAT_STATUS_MISUSE && outcome.text.find("forked") != std::string::npos;
    lariat_engine_destroy(engine);
    exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(finishAll()[0].tokens, (std::vector<int64_t>{1, 2, 4}));
}

TEST_F(EngineInterface, RequestsComeAndGoFromManyThreadsWhileOneTicks) {
  std::vector<std::thread> clients;
  std::vector<std::string> errors(4);
  for (int64_t client = 0; client < 4; ++client)
    clients.emplace_back([&, client] {
      for (int64_t number = 0; number < 50 && errors[client].empty(); ++number) {
        Batch batch({{client, number % 3}});
        int64_t request = -1;
        errors[client] = submit(batch.value, generateOptions(4), &request).text;
        if (number % 5 == 0 && errors[client].empty())
          errors[client] = call(lariat_engine_cancel, engine, request).text;
      }
    });
  std::map<int64_t, Answer> answers;
  int64_t numUnfinished = 1;
  while (answers.size() < 200 || numUnfinished > 0)
    numUnfinished = tick(answers);
  for (std::thread &client : clients)
    client.join();
  EXPECT_EQ(errors, std::vector<std::string>(4));
  int64_t numStopped = 0;
  for (const auto &[number, answer] : answers)
    numStopped += answer.finish == LARIAT_FINISH_STOPPED;
  EXPECT_LE(numStopped, 40);
  EXPECT_OK(call(lariat_engine_clear_prefixes, engine));
  EXPECT_EQ(getPageBytes(), 0);
}

TEST_F(EngineInterface, AnEngineMayBeDestroyedWhileItTicks) {
  submit(std::vector<int64_t>(10, 302), 2); // slow tokens: 20 ms each
  Outcome outcome{LARIAT_STATUS_OK, ""};
  lariat_tick tick{};
  tick.struct_size = sizeof tick;
  std::thread worker([&] { outcome = call(lariat_engine_tick, engine, &tick); });
  usleep(50000);
  lariat_engine_destroy(engine);
  worker.join();
  EXPECT_OK(outcome);
  lariat_engine_counts counts{};
  counts.struct_size = sizeof counts;
  EXPECT_FAILS(call(lariat_engine_get_counts, engine, &counts), LARIAT_STATUS_MISUSE, "it was destroyed");
  EXPECT_EQ(getPageBytes(), 0);
}

//===----------------------------------------------------------------------===//
// Experiments
//===----------------------------------------------------------------------===//

namespace {

class EngineExperiment : public EngineInterface {
protected:
  /// Opens another engine in the place of the one at hand.
  Outcome open(const std::function<void(lariat_engine_experiment &)> &change) {
    lariat_engine_destroy(engine);
    engine = nullptr;
    lariat_engine_experiment experiment;
    lariat_engine_experiment_init(&experiment, sizeof experiment);
    change(experiment);
    return call(lariat_experimental_engine_open, session, kDefaults, &experiment, &engine);
  }
  Outcome submitBound(const std::vector<int64_t> &prompt, std::vector<int64_t> depths, int64_t count) {
    std::string options = generateOptions(4);
    int64_t first = -1;
    Batch batch({prompt});
    return call(lariat_experimental_engine_submit, engine, &batch.value, options.c_str(),
                static_cast<const int64_t *>(depths.data()), count, &first);
  }
  std::string getSchedule() {
    char *text = nullptr;
    EXPECT_OK(call(lariat_experimental_engine_schedule, engine, &text));
    std::string schedule = text ? text : "";
    lariat_text_destroy(text);
    return schedule;
  }
};

} // namespace

TEST_F(EngineExperiment, DepthsBoundTheLoopStepsOfRows) {
  EXPECT_FAILS(submitBound({2}, {1}, 1), LARIAT_STATUS_MISUSE, "the engine was not opened for an experiment");
  EXPECT_OK(open([](lariat_engine_experiment &) {}));
  EXPECT_FAILS(submitBound({2}, {2, 0}, 0), LARIAT_STATUS_MISUSE, "num_depths is 0, expected at least 1");
  EXPECT_FAILS(submitBound({2}, {2, 0}, 2), LARIAT_STATUS_MISUSE, "depth 1 is 0, expected at least 1");
  EXPECT_OK(submitBound({2}, {1}, 1));
  finishAll();
  lariat_engine_counts counts{};
  counts.struct_size = sizeof counts;
  EXPECT_OK(call(lariat_engine_get_counts, engine, &counts));
  EXPECT_EQ(counts.core.rows, counts.prelude.rows); // one step each
  EXPECT_OK(open([](lariat_engine_experiment &e) { e.splits_loop = 0; }));
  EXPECT_FAILS(submitBound({2}, {1}, 1), LARIAT_STATUS_REQUEST, "an engine that does not run step by step");
}

TEST_F(EngineExperiment, AScheduleIsRecordedAndReplayed) {
  char *text = nullptr;
  EXPECT_FAILS(call(lariat_experimental_engine_schedule, engine, &text), LARIAT_STATUS_MISUSE,
               "no schedule is recorded");
  EXPECT_OK(open([](lariat_engine_experiment &e) { e.record = 1; }));
  submit({1, 2}, 3);
  submit({3}, 5);
  std::map<int64_t, Answer> answers = finishAll();
  std::string schedule = getSchedule();
  EXPECT_OK(open([&](lariat_engine_experiment &e) { e.record = 1, e.replay = schedule.c_str(); }));
  submit({1, 2}, 3);
  submit({3}, 5);
  for (const auto &[number, answer] : finishAll())
    EXPECT_EQ(answer.tokens, answers[number].tokens);
  EXPECT_EQ(getSchedule(), schedule);
  EXPECT_FAILS(open([](lariat_engine_experiment &e) { e.replay = "{}"; }), LARIAT_STATUS_REQUEST,
               "the schedule has no field 'version'");
}
