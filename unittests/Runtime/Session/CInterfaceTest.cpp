// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C interface: results, versions, misuse, processes. Links the shared library as a user does.

#include "CInterface.h"
#include "../ThreadSanitizer.h"

#include <cstdio>
#include <functional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

TEST_F(CInterface, Version) {
  EXPECT_EQ(lariat_runtime_version(), (1u << 16) | 2u);
  lariat_session_info info{};
  info.struct_size = sizeof info;
  EXPECT_OK(call(lariat_session_get_info, session, &info));
  EXPECT_EQ(info.threads, 2);
  EXPECT_EQ(info.state_columns, 2);
  EXPECT_STREQ(info.isa, "none");
  char *text = nullptr;
  EXPECT_OK(call(lariat_session_manifest, session, &text));
  EXPECT_NE(std::string(text).find("\"counting\""), std::string::npos);
  lariat_text_destroy(text);
}

TEST_F(CInterface, ScoresAndInitialStates) {
  Batch batch({{1, 2}, {5}});
  float first[] = {10, 0, 0, 0}, second[] = {0, 1};
  const float *states[] = {first, second};
  batch.value.initial_states = states;
  lariat_scores *scores = nullptr;
  EXPECT_OK(call(lariat_score, session, &batch.value, kNoOptions, &scores));
  lariat_sequence_scores score{};
  score.struct_size = sizeof score;
  EXPECT_OK(call(lariat_scores_get, scores, 0, &score));
  EXPECT_EQ(score.num_rows, 2);
  EXPECT_EQ(score.num_logits, 320);
  EXPECT_EQ(score.logits[11], 8);
  EXPECT_EQ(score.logits[320 + 3], 8);
  EXPECT_EQ(score.hidden, nullptr);
  EXPECT_EQ(score.steps[1], 3);
  EXPECT_EQ(std::string(score.slots).find("{\"kv\":[[{\"computed\":2,\"filled\":0},"), 0u);
  EXPECT_OK(call(lariat_scores_get, scores, 1, &score));
  EXPECT_EQ(score.logits[7], 8);
  EXPECT_FAILS(call(lariat_scores_get, scores, 2, &score), LARIAT_STATUS_MISUSE, "sequence 2 is not one of the 2");
  lariat_scores_destroy(scores);
  EXPECT_FAILS(call(lariat_scores_get, scores, 0, &score), LARIAT_STATUS_MISUSE, "it was destroyed");
}

TEST_F(CInterface, GeneratesStepByStep) {
  Batch batch({{1, 2}, {200, 57}});
  std::string options = generateOptions(3, ", \"logprobs\": 2");
  lariat_generation *generation = nullptr;
  EXPECT_OK(call(lariat_generation_start, session, &batch.value, options.c_str(), &generation));
  const lariat_token *tokens = nullptr;
  int64_t count = 0;
  EXPECT_OK(call(lariat_generation_next, generation, &tokens, &count));
  ASSERT_EQ(count, 2);
  EXPECT_EQ(tokens[0].id, 3);
  EXPECT_EQ(tokens[0].steps, 3);
  ASSERT_EQ(tokens[0].num_top, 2);
  EXPECT_EQ(tokens[0].top_ids[1], 4);
  EXPECT_FLOAT_EQ(tokens[0].top_logprobs[0], static_cast<float>(tokens[0].logprob));
  EXPECT_OK(call(lariat_generation_next, generation, &tokens, &count));
  EXPECT_EQ(count, 1); // the other one ended
  EXPECT_OK(call(lariat_generation_stop, generation, 0));
  EXPECT_OK(call(lariat_generation_next, generation, &tokens, &count));
  EXPECT_EQ(count, 0);
  lariat_sequence_tokens result{};
  result.struct_size = sizeof result;
  EXPECT_OK(call(lariat_generation_get, generation, 0, &result));
  EXPECT_EQ(result.num_tokens, 2);
  EXPECT_EQ(result.finish, LARIAT_FINISH_STOPPED);
  EXPECT_OK(call(lariat_generation_get, generation, 1, &result));
  EXPECT_EQ(result.finish, LARIAT_FINISH_EOS);
  EXPECT_NE(result.slots, nullptr);
  lariat_generation_destroy(generation);
  lariat_generation_destroy(generation);
}

TEST_F(CInterface, CallbacksStopSequences) {
  Batch batch({{1}, {2}});
  std::string options = generateOptions(5);
  auto onToken = [](void *user, const lariat_token *token) -> int32_t {
    static_cast<std::vector<int64_t> *>(user)->push_back(token->sequence);
    return token->sequence == 0 ? LARIAT_STOP_SEQUENCE : LARIAT_GO_ON;
  };
  std::vector<int64_t> seen;
  lariat_generation *generation = nullptr;
  EXPECT_OK(
      call(lariat_generate, session, &batch.value, options.c_str(), onToken, static_cast<void *>(&seen), &generation));
  EXPECT_EQ(seen, (std::vector<int64_t>{0, 1, 1, 1, 1, 1}));
  lariat_generation_destroy(generation);
  auto wrong = [](void *, const lariat_token *) -> int32_t { return 9; };
  EXPECT_FAILS(
      call(lariat_generate, session, &batch.value, options.c_str(), wrong, static_cast<void *>(nullptr), &generation),
      LARIAT_STATUS_MISUSE, "answered 9");
}

TEST_F(CInterface, StopQuestion) {
  Batch batch({{1}});
  batch.value.wants_stop = [](void *user) -> int32_t { return ++*static_cast<int *>(user) > 2; };
  int asked = 0;
  batch.value.user = &asked;
  std::string options = generateOptions(5);
  lariat_generation *generation = nullptr;
  EXPECT_FAILS(call(lariat_generate, session, &batch.value, options.c_str(),
                    static_cast<lariat_token_callback>(nullptr), static_cast<void *>(nullptr), &generation),
               LARIAT_STATUS_STOPPED, "the request was stopped");
  EXPECT_EQ(asked, 3);
}

TEST_F(CInterface, CancelsWhatRuns) {
  // From a callback, which stands for a handler of a signal or another thread.
  Batch batch({{1}});
  batch.value.wants_stop = [](void *user) -> int32_t {
    lariat_session_cancel(static_cast<lariat_session *>(user));
    return 0;
  };
  batch.value.user = session;
  std::string options = generateOptions(5);
  lariat_generation *generation = nullptr;
  EXPECT_OK(call(lariat_generation_start, session, &batch.value, options.c_str(), &generation));
  const lariat_token *tokens = nullptr;
  int64_t count = 0;
  EXPECT_OK(call(lariat_generation_next, generation, &tokens, &count));
  for (int round = 0; round < 2; ++round)
    EXPECT_FAILS(call(lariat_generation_next, generation, &tokens, &count), LARIAT_STATUS_STOPPED,
                 "the request was stopped");
  lariat_generation_destroy(generation);
}

TEST_F(CInterface, CancelsNothingElse) {
  lariat_session_cancel(nullptr);
  lariat_session_cancel(reinterpret_cast<lariat_session *>(1));
  lariat_session_cancel(session); // before the request
  Batch batch({{1, 2}});
  lariat_scores *scores = nullptr;
  EXPECT_OK(call(lariat_score, session, &batch.value, kNoOptions, &scores));
  lariat_scores_destroy(scores);
}

/// A structure of a caller that was compiled with an older header.
template <typename T>
static void expectPrefixIsTaken(size_t size, void (*init)(T *, size_t), const std::function<Outcome(T *)> &use) {
  std::vector<std::byte> memory(sizeof(T), std::byte(0xee));
  auto *older = reinterpret_cast<T *>(memory.data());
  init(older, size);
  EXPECT_OK(use(older));
  for (size_t place = size; place < sizeof(T); ++place)
    EXPECT_EQ(memory[place], std::byte(0xee));
}

TEST_F(CInterface, StructuresOfOlderVersions) {
  auto open = [&](lariat_session_options *options) {
    lariat_session *other = nullptr;
    Outcome outcome = call(lariat_session_open, LARIAT_ARTEFACTS "/counting.lariat", options, &other);
    lariat_session_destroy(other);
    return outcome;
  };
  expectPrefixIsTaken<lariat_session_options>(offsetof(lariat_session_options, order), lariat_session_options_init,
                                              open);
  auto openEngine = [&](lariat_engine_options *options) {
    lariat_engine *engine = nullptr;
    Outcome outcome = call(lariat_engine_open, session, options, &engine);
    lariat_engine_destroy(engine);
    return outcome;
  };
  expectPrefixIsTaken<lariat_engine_options>(offsetof(lariat_engine_options, wants_stop), lariat_engine_options_init,
                                             openEngine);
  auto initInfo = [](lariat_session_info *info, size_t size) { info->struct_size = size; };
  expectPrefixIsTaken<lariat_session_info>(
      offsetof(lariat_session_info, weight_bytes), initInfo,
      [&](lariat_session_info *info) { return call(lariat_session_get_info, session, info); });
}

TEST_F(CInterface, SizesThatNoVersionHad) {
  lariat_session_options options;
  lariat_session_options_init(&options, sizeof options);
  lariat_session *other = nullptr;
  for (size_t size : {offsetof(lariat_session_options, pin_threads), sizeof options + 8}) {
    options.struct_size = size;
    std::string message = "struct_size of the lariat_session_options is " + std::to_string(size) +
                          ", this version expects " + std::to_string(offsetof(lariat_session_options, order)) + " or " +
                          std::to_string(sizeof options);
    EXPECT_FAILS(call(lariat_session_open, kCounting.c_str(), &options, &other), LARIAT_STATUS_MISUSE, message.c_str());
  }
}

TEST_F(CInterface, AChildOfForkAfterClosing) {
  if (LARIAT_HAS_TSAN)
    GTEST_SKIP() << "the thread sanitizer ends a child of fork that starts threads";
  EXPECT_OK(call(lariat_session_close, session));
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    lariat_session *own = nullptr;
    Outcome opened = call(lariat_session_open, LARIAT_ARTEFACTS "/counting.lariat",
                          static_cast<lariat_session_options *>(nullptr), &own);
    Batch batch({{1, 2}});
    lariat_scores *scores = nullptr;
    bool works = opened.status == LARIAT_STATUS_OK &&
                 call(lariat_score, own, &batch.value, kNoOptions, &scores).status == LARIAT_STATUS_OK;
    lariat_session_destroy(own);
    lariat_session_destroy(session);
    _exit(works ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(CInterface, CallbacksThatCallBackIn) {
  struct Context {
    lariat_session *session;
    std::vector<Outcome> outcomes;
  } context{session, {}};
  Batch batch({{1}});
  auto onToken = [](void *user, const lariat_token *) -> int32_t {
    auto &context = *static_cast<Context *>(user);
    Batch inner({{1}});
    lariat_scores *scores = nullptr;
    lariat_generation *generation = nullptr;
    lariat_session_info info{};
    info.struct_size = sizeof info;
    context.outcomes.push_back(call(lariat_score, context.session, &inner.value, kNoOptions, &scores));
    context.outcomes.push_back(call(lariat_generation_start, context.session, &inner.value, kNoOptions, &generation));
    context.outcomes.push_back(call(lariat_session_close, context.session));
    context.outcomes.push_back(call(lariat_session_get_info, context.session, &info));
    return LARIAT_STOP_ALL;
  };
  lariat_generation *generation = nullptr;
  std::string options = generateOptions(2);
  EXPECT_OK(call(lariat_generate, session, &batch.value, options.c_str(), onToken, static_cast<void *>(&context),
                 &generation));
  ASSERT_EQ(context.outcomes.size(), 4u);
  for (const Outcome &outcome : context.outcomes)
    EXPECT_FAILS(outcome, LARIAT_STATUS_MISUSE, "called back into the session");
  lariat_generation_destroy(generation);
}

TEST_F(CInterface, ACallbackMayDestroyItsSession) {
  struct Context {
    lariat_session *session;
  } context{session};
  Batch batch({{1}});
  auto onToken = [](void *user, const lariat_token *) -> int32_t {
    lariat_session_destroy(static_cast<Context *>(user)->session);
    return LARIAT_GO_ON;
  };
  lariat_generation *generation = nullptr;
  EXPECT_FAILS(
      call(lariat_generate, session, &batch.value, kNoOptions, onToken, static_cast<void *>(&context), &generation),
      LARIAT_STATUS_REQUEST, "is closed");
}

TEST_F(CInterface, NullAndWrongHandles) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  const char *none = nullptr;
  lariat_session *nobody = nullptr;
  EXPECT_FAILS(call(lariat_score, nobody, &batch.value, none, &scores), LARIAT_STATUS_MISUSE, "the session is null");
  auto *stray = reinterpret_cast<lariat_session *>(&batch);
  EXPECT_FAILS(call(lariat_score, stray, &batch.value, none, &scores), LARIAT_STATUS_MISUSE, "is none that exists");
  lariat_session_destroy(nullptr);
  lariat_session_destroy(stray);
  lariat_text_destroy(nullptr);
  EXPECT_OK(call(lariat_score, session, &batch.value, none, &scores));
  auto *other = reinterpret_cast<lariat_generation *>(scores);
  const lariat_token *tokens = nullptr;
  int64_t count = 0;
  EXPECT_FAILS(call(lariat_generation_next, other, &tokens, &count), LARIAT_STATUS_MISUSE, "a handle of another kind");
  lariat_generation_destroy(other);
  lariat_sequence_scores score{};
  score.struct_size = sizeof score;
  EXPECT_OK(call(lariat_scores_get, scores, 0, &score));
  lariat_scores_destroy(scores);
  // Without a place for the text.
  EXPECT_EQ(lariat_score(nullptr, &batch.value, nullptr, &scores, nullptr), LARIAT_STATUS_MISUSE);
}

TEST_F(CInterface, WrongArguments) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  const char *none = nullptr;
  const lariat_batch *nothing = nullptr;
  lariat_scores **nowhere = nullptr;
  EXPECT_FAILS(call(lariat_score, session, nothing, none, &scores), LARIAT_STATUS_MISUSE, "'batch' is null");
  EXPECT_FAILS(call(lariat_score, session, &batch.value, none, nowhere), LARIAT_STATUS_MISUSE, "'scores' is null");
  const lariat_batch good = batch.value;
  auto refuses = [&](const std::function<void(lariat_batch &)> &change, lariat_status status, const char *message) {
    batch.value = good;
    change(batch.value);
    EXPECT_FAILS(call(lariat_score, session, &batch.value, none, &scores), status, message);
  };
  refuses([](lariat_batch &b) { b.struct_size = 0; }, LARIAT_STATUS_MISUSE, "struct_size of the lariat_batch is 0");
  refuses([](lariat_batch &b) { b.struct_size = SIZE_MAX; }, LARIAT_STATUS_MISUSE, "struct_size");
  refuses([](lariat_batch &b) { b.tokens = nullptr; }, LARIAT_STATUS_MISUSE, "'tokens' is null");
  refuses([](lariat_batch &b) { b.lengths = nullptr; }, LARIAT_STATUS_MISUSE, "'lengths' is null");
  refuses([](lariat_batch &b) { b.num_sequences = -1; }, LARIAT_STATUS_MISUSE, "'lengths' is -1");
  refuses([](lariat_batch &b) { b.num_sequences = 0; }, LARIAT_STATUS_REQUEST, "the batch has no sequences");
  int64_t negative = -5;
  refuses([&](lariat_batch &b) { b.lengths = &negative; }, LARIAT_STATUS_MISUSE, "the length of sequence 0 is -5");
  lariat_batch_init(nullptr, 100);
}

TEST_F(CInterface, OptionsThatAreRefused) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  auto refuses = [&](const char *options, lariat_status status, const char *message) {
    EXPECT_FAILS(call(lariat_score, session, &batch.value, options, &scores), status, message);
  };
  for (const char *options : {"", "{", "[]", "7", "{\"loops\": 1}{", "{\"loops\": 1e999}", "\xff"})
    refuses(options, LARIAT_STATUS_MISUSE, "the options of the request are not a JSON object");
  refuses(R"({"loop": 3})", LARIAT_STATUS_MISUSE, "the request has the unknown key 'loop'");
  refuses(R"({"max_new_tokens": 3})", LARIAT_STATUS_MISUSE, "the request has the unknown key 'max_new_tokens'");
  refuses(R"({"loops": "3"})", LARIAT_STATUS_MISUSE, "'loops' of the request is not an integer");
  refuses(R"({"loops": 18446744073709551615})", LARIAT_STATUS_MISUSE, "'loops' of the request is not an integer");
  refuses(R"({"derived": 7})", LARIAT_STATUS_MISUSE, "'derived' of the request is not false, \"lockstep\"");
  refuses(R"({"derived": true})", LARIAT_STATUS_MISUSE, "'derived' of the request is not false, \"lockstep\"");
  refuses(R"({"capacity": [[1]]})", LARIAT_STATUS_MISUSE, "'capacity' of the request is not a list of pairs");
  refuses(R"({"exit_threshold": "on"})", LARIAT_STATUS_MISUSE, "'exit_threshold' of the request is not a number or");
  refuses(R"({"loops": -5})", LARIAT_STATUS_REQUEST, "-5 loop steps");
  refuses(R"({"missing": "x"})", LARIAT_STATUS_REQUEST, "the missing mode 'x'");
  refuses(R"({"capacity": [[1, 2]]})", LARIAT_STATUS_REQUEST, "the model has no router that takes one");
  EXPECT_OK(call(lariat_score, session, &batch.value, R"({"loops": 2, "missing": null, "derived": false})", &scores));
  lariat_scores_destroy(scores);
}

TEST_F(CInterface, OptionsAreATable) {
  std::string table = lariat_request_options();
  EXPECT_NE(
      table.find(
          R"({"calls":["score","generate"],"default":null,"fast_only":false,"name":"loops","type":"an integer"})"),
      std::string::npos)
      << table;
  EXPECT_NE(table.find(R"({"calls":["generate"],"default":1.0,"fast_only":true,"name":"top_p","type":"a number"})"),
            std::string::npos);
}

TEST_F(CInterface, UseAfterClose) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  const char *none = nullptr;
  EXPECT_OK(call(lariat_session_close, session));
  EXPECT_OK(call(lariat_session_close, session));
  EXPECT_FAILS(call(lariat_score, session, &batch.value, none, &scores), LARIAT_STATUS_REQUEST, "is closed");
  char *text = nullptr;
  EXPECT_OK(call(lariat_session_manifest, session, &text));
  lariat_text_destroy(text);
  lariat_session_destroy(session);
  EXPECT_FAILS(call(lariat_score, session, &batch.value, none, &scores), LARIAT_STATUS_MISUSE, "it was destroyed");
}

TEST_F(CInterface, ArtefactsThatCannotBeOpened) {
  lariat_session *other = nullptr;
  const lariat_session_options *none = nullptr;
  EXPECT_FAILS(call(lariat_session_open, "/nowhere", none, &other), LARIAT_STATUS_ARTEFACT, "/nowhere");
  EXPECT_FAILS(call(lariat_session_open, static_cast<const char *>(nullptr), none, &other), LARIAT_STATUS_MISUSE,
               "null");
  lariat_session_options options;
  lariat_session_options_init(&options, sizeof options);
  options.threads = -1;
  EXPECT_FAILS(call(lariat_session_open, kCounting.c_str(), &options, &other), LARIAT_STATUS_MISUSE, "threads");
  options.threads = 1;
  options.isa = "abacus";
  EXPECT_FAILS(call(lariat_session_open, kCounting.c_str(), &options, &other), LARIAT_STATUS_ARTEFACT, "abacus");
}

TEST_F(CInterface, ThreadsShareASession) {
  std::vector<std::thread> threads;
  std::vector<std::string> errors(4);
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      for (int64_t id = 1; id < 20 && errors[thread].empty(); ++id) {
        Batch batch({{thread + 1, id}});
        std::string options = generateOptions(4);
        lariat_generation *generation = nullptr;
        errors[thread] = call(lariat_generate, session, &batch.value, options.c_str(),
                              static_cast<lariat_token_callback>(nullptr), static_cast<void *>(nullptr), &generation)
                             .text;
        lariat_sequence_tokens result{};
        result.struct_size = sizeof result;
        if (errors[thread].empty())
          errors[thread] = call(lariat_generation_get, generation, 0, &result).text;
        if (errors[thread].empty() && result.ids[3] != (thread + 1 + id) * 8)
          errors[thread] = "wrong tokens";
        lariat_generation_destroy(generation);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(errors, std::vector<std::string>(4));
}

TEST_F(CInterface, AChildOfFork) {
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    Batch batch({{1}});
    lariat_scores *scores = nullptr;
    lariat_session *other = nullptr;
    const char *none = nullptr;
    const lariat_session_options *defaults = nullptr;
    Outcome first = call(lariat_score, session, &batch.value, none, &scores);
    Outcome second = call(lariat_session_open, kCounting.c_str(), defaults, &other);
    lariat_session_destroy(session);
    bool right = first.status == LARIAT_STATUS_MISUSE && second.status == LARIAT_STATUS_MISUSE &&
                 first.text.find("forked") != std::string::npos;
    exit(right ? 0 : 1); // not _exit: what runs at the end must do no harm either
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  EXPECT_OK(call(lariat_score, session, &batch.value, kNoOptions, &scores));
  lariat_scores_destroy(scores);
}

TEST(CInterfaceAlone, AProgramInC) {
  std::string command = std::string(LARIAT_C_CLIENT) + " " + kCounting + " 1 2 3";
  FILE *pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char line[200] = "";
  EXPECT_NE(fgets(line, sizeof line, pipe), nullptr);
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_STREQ(line, " 1 3 6 | 6 12 24\n");
}

TEST(CInterfaceAlone, NothingElseIsExported) {
  std::string command = "nm -D --defined-only --without-symbol-versions " LARIAT_C_LIBRARY
                        " | awk '$2 != \"A\" {print $3}' | grep -v ^lariat_";
  FILE *pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char line[200] = "";
  EXPECT_EQ(fgets(line, sizeof line, pipe), nullptr) << line;
  pclose(pipe);
}
