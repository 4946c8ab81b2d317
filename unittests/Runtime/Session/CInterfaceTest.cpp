// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C interface: results, versions, misuse, processes. Links the shared library as a user does.

#include "CInterface.h"

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
  lariat_score_options options;
  lariat_score_options_init(&options, sizeof options);
  options.initial_states = states;
  lariat_scores *scores = nullptr;
  EXPECT_OK(call(lariat_score, session, &batch.value, &options, &scores));
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
  lariat_generate_options options = generateOptions(3);
  options.num_logprobs = 2;
  lariat_generation *generation = nullptr;
  EXPECT_OK(call(lariat_generation_start, session, &batch.value, &options, &generation));
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
  lariat_generate_options options = generateOptions(5);
  auto onToken = [](void *user, const lariat_token *token) -> int32_t {
    static_cast<std::vector<int64_t> *>(user)->push_back(token->sequence);
    return token->sequence == 0 ? LARIAT_STOP_SEQUENCE : LARIAT_GO_ON;
  };
  std::vector<int64_t> seen;
  lariat_generation *generation = nullptr;
  EXPECT_OK(call(lariat_generate, session, &batch.value, &options, onToken, static_cast<void *>(&seen), &generation));
  EXPECT_EQ(seen, (std::vector<int64_t>{0, 1, 1, 1, 1, 1}));
  lariat_generation_destroy(generation);
  auto wrong = [](void *, const lariat_token *) -> int32_t { return 9; };
  EXPECT_FAILS(call(lariat_generate, session, &batch.value, &options, wrong, static_cast<void *>(nullptr), &generation),
               LARIAT_STATUS_MISUSE, "answered 9");
}

TEST_F(CInterface, StopQuestion) {
  Batch batch({{1}});
  batch.value.wants_stop = [](void *user) -> int32_t { return ++*static_cast<int *>(user) > 2; };
  int asked = 0;
  batch.value.user = &asked;
  lariat_generate_options options = generateOptions(5);
  lariat_generation *generation = nullptr;
  EXPECT_FAILS(call(lariat_generate, session, &batch.value, &options, static_cast<lariat_token_callback>(nullptr),
                    static_cast<void *>(nullptr), &generation),
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
  lariat_generate_options options = generateOptions(5);
  lariat_generation *generation = nullptr;
  EXPECT_OK(call(lariat_generation_start, session, &batch.value, &options, &generation));
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
  EXPECT_OK(call(lariat_score, session, &batch.value, static_cast<lariat_score_options *>(nullptr), &scores));
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
  Batch batch({{1, 2}});
  auto score = [&](lariat_score_options *options) {
    lariat_scores *scores = nullptr;
    Outcome outcome = call(lariat_score, session, &batch.value, options, &scores);
    lariat_scores_destroy(scores);
    return outcome;
  };
  expectPrefixIsTaken<lariat_score_options>(offsetof(lariat_score_options, capacity), lariat_score_options_init, score);
  auto generate = [&](lariat_generate_options *options) {
    options->max_new_tokens = 2;
    lariat_generation *generation = nullptr;
    Outcome outcome = call(lariat_generation_start, session, &batch.value, options, &generation);
    lariat_generation_destroy(generation);
    return outcome;
  };
  for (size_t size : {offsetof(lariat_generate_options, profile), offsetof(lariat_generate_options, speculate)})
    expectPrefixIsTaken<lariat_generate_options>(size, lariat_generate_options_init, generate);
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
  lariat_score_options options;
  lariat_score_options_init(&options, sizeof options);
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  for (size_t size : {offsetof(lariat_score_options, num_capacity), sizeof options + 8}) {
    options.struct_size = size;
    std::string message = "struct_size of the lariat_score_options is " + std::to_string(size) +
                          ", this version expects 40 or " + std::to_string(sizeof options);
    EXPECT_FAILS(call(lariat_score, session, &batch.value, &options, &scores), LARIAT_STATUS_MISUSE, message.c_str());
  }
}

TEST_F(CInterface, AChildOfForkAfterClosing) {
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
                 call(lariat_score, own, &batch.value, static_cast<lariat_score_options *>(nullptr), &scores).status ==
                     LARIAT_STATUS_OK;
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
    context.outcomes.push_back(
        call(lariat_score, context.session, &inner.value, static_cast<const lariat_score_options *>(nullptr), &scores));
    context.outcomes.push_back(call(lariat_generation_start, context.session, &inner.value,
                                    static_cast<const lariat_generate_options *>(nullptr), &generation));
    context.outcomes.push_back(call(lariat_session_close, context.session));
    context.outcomes.push_back(call(lariat_session_get_info, context.session, &info));
    return LARIAT_STOP_ALL;
  };
  lariat_generation *generation = nullptr;
  lariat_generate_options options = generateOptions(2);
  EXPECT_OK(
      call(lariat_generate, session, &batch.value, &options, onToken, static_cast<void *>(&context), &generation));
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
  EXPECT_FAILS(call(lariat_generate, session, &batch.value, static_cast<const lariat_generate_options *>(nullptr),
                    onToken, static_cast<void *>(&context), &generation),
               LARIAT_STATUS_REQUEST, "is closed");
}

TEST_F(CInterface, NullAndWrongHandles) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  const lariat_score_options *none = nullptr;
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
  const lariat_score_options *none = nullptr;
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
  refuses([](lariat_batch &b) { b.missing = "x"; }, LARIAT_STATUS_REQUEST, "the missing mode 'x'");
  int64_t negative = -5;
  refuses([&](lariat_batch &b) { b.lengths = &negative; }, LARIAT_STATUS_MISUSE, "the length of sequence 0 is -5");
  refuses([&](lariat_batch &b) { b.loops = &negative; }, LARIAT_STATUS_REQUEST, "-5 loop steps");
  batch.value = good;
  lariat_score_options options;
  lariat_score_options_init(&options, sizeof options);
  options.form = 7;
  EXPECT_FAILS(call(lariat_score, session, &batch.value, &options, &scores), LARIAT_STATUS_MISUSE, "the form is 7");
  lariat_score_options_init(&options, sizeof options);
  options.num_capacity = 2;
  EXPECT_FAILS(call(lariat_score, session, &batch.value, &options, &scores), LARIAT_STATUS_MISUSE,
               "'capacity' is null");
  lariat_share half{1, 2};
  options.capacity = &half;
  options.num_capacity = 1;
  EXPECT_FAILS(call(lariat_score, session, &batch.value, &options, &scores), LARIAT_STATUS_REQUEST,
               "the model has no router that takes one");
  lariat_generate_options generate = generateOptions(3);
  generate.num_stop_tokens = 2;
  lariat_generation *generation = nullptr;
  EXPECT_FAILS(call(lariat_generation_start, session, &batch.value, &generate, &generation), LARIAT_STATUS_MISUSE,
               "'stop_tokens' is null");
  lariat_batch_init(nullptr, 100);
}

TEST_F(CInterface, UseAfterClose) {
  Batch batch({{1}});
  lariat_scores *scores = nullptr;
  const lariat_score_options *none = nullptr;
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
        lariat_generate_options options = generateOptions(4);
        lariat_generation *generation = nullptr;
        errors[thread] = call(lariat_generate, session, &batch.value, &options,
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
    const lariat_score_options *none = nullptr;
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
  EXPECT_OK(call(lariat_score, session, &batch.value, static_cast<const lariat_score_options *>(nullptr), &scores));
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
