// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generations of include/lariat-c/Runtime.h.

#include "Options.h"

using namespace lariat;
using namespace lariat::runtime_c;

static std::shared_ptr<GenerationObject> start(lariat_session *session, const lariat_batch *batch,
                                               const char *options) {
  auto object = std::make_shared<GenerationObject>();
  object->session = find(session);
  verifyNoCallback(*object->session);
  object->wasStopped = std::make_shared<bool>(false);
  requests::GenerateRequest request = readGenerate(batch, options, object->session, object->wasStopped);
  runtime::Expected<std::unique_ptr<runtime::Generation>> made = object->session->session->generate(std::move(request));
  if (!made)
    throw Failure{LARIAT_STATUS_REQUEST, made.text()};
  object->generation = std::move(*made);
  object->slots.resize(object->generation->getResults().size());
  return object;
}

/// Runs until the next tokens are there.
static void advance(GenerationObject &object) {
  runtime::Expected<std::span<const runtime::NewToken>> tokens = object.generation->next();
  if (!tokens)
    throw Failure{*object.wasStopped ? LARIAT_STATUS_STOPPED : LARIAT_STATUS_REQUEST, tokens.text()};
  object.tokens.clear();
  for (const runtime::NewToken &token : *tokens)
    object.tokens.add(token.sequence, token.choice, token.steps);
}

static void stopAll(GenerationObject &object) {
  for (size_t sequence = 0; sequence < object.generation->getResults().size(); ++sequence)
    (void)object.generation->stop(static_cast<int64_t>(sequence));
}

/// Hands the tokens of a step out; whether to go on.
static bool report(GenerationObject &object, lariat_token_callback onToken, void *user) {
  for (const lariat_token &token : object.tokens.list) {
    int32_t answer = LARIAT_GO_ON;
    {
      CallbackScope scope(*object.session);
      answer = onToken(user, &token);
    }
    switch (answer) {
    case LARIAT_GO_ON:
      break;
    case LARIAT_STOP_SEQUENCE:
      (void)object.generation->stop(token.sequence);
      break;
    case LARIAT_STOP_ALL:
      stopAll(object);
      return false;
    default:
      throw Failure{LARIAT_STATUS_MISUSE, "a token callback answered " + std::to_string(answer) + ", expected 0 to 2"};
    }
  }
  return true;
}

extern "C" {

lariat_status lariat_generation_start(lariat_session *session, const lariat_batch *batch, const char *options,
                                      lariat_generation **generation, char **error) {
  return guard(error, [&] {
    verifyNotNull(generation, "generation");
    *generation = makeHandle(start(session, batch, options));
  });
}

lariat_status lariat_generation_next(lariat_generation *generation, const lariat_token **tokens, int64_t *num_tokens,
                                     char **error) {
  return guard(error, [&] {
    std::shared_ptr<GenerationObject> object = find(generation);
    verifyNotNull(tokens, "tokens");
    verifyNotNull(num_tokens, "num_tokens");
    Use use(object->isBusy, *object->session, "generation");
    advance(*object);
    *tokens = object->tokens.list.data();
    *num_tokens = static_cast<int64_t>(object->tokens.list.size());
  });
}

lariat_status lariat_generation_stop(lariat_generation *generation, int64_t sequence, char **error) {
  return guard(error, [&] {
    std::shared_ptr<GenerationObject> object = find(generation);
    Use use(object->isBusy, *object->session, "generation");
    if (runtime::Status status = object->generation->stop(sequence))
      throw Failure{LARIAT_STATUS_MISUSE, status.text()};
  });
}

lariat_status lariat_generation_get(lariat_generation *generation, int64_t sequence, lariat_sequence_tokens *result,
                                    char **error) {
  return guard(error, [&] {
    std::shared_ptr<GenerationObject> object = find(generation);
    Use use(object->isBusy, *object->session, "generation");
    const std::vector<runtime::SequenceTokens> &results = object->generation->getResults();
    if (sequence < 0 || sequence >= static_cast<int64_t>(results.size()))
      throw Failure{LARIAT_STATUS_MISUSE, "sequence " + std::to_string(sequence) + " is not one of the " +
                                              std::to_string(results.size()) + " of the request"};
    const runtime::SequenceTokens &tokens = results[sequence];
    bool hasEnded = tokens.finish != runtime::Finish::Unfinished;
    if (hasEnded && object->slots[sequence].empty())
      object->slots[sequence] = describeSlots(tokens.caches, object->session->session->getFacts());
    lariat_sequence_tokens value{};
    value.ids = tokens.tokens.data();
    value.steps = tokens.steps.data();
    value.num_tokens = static_cast<int64_t>(tokens.tokens.size());
    value.finish = static_cast<int32_t>(tokens.finish);
    value.slots = hasEnded ? object->slots[sequence].c_str() : nullptr;
    writeStruct(result, value, "lariat_sequence_tokens");
  });
}

lariat_status lariat_generation_profile(lariat_generation *generation, char **text, char **error) {
  return guard(error, [&] {
    std::shared_ptr<GenerationObject> object = find(generation);
    verifyNotNull(text, "text");
    Use use(object->isBusy, *object->session, "generation");
    *text = copyText(describeProfile(object->generation->getProfile(), *object->session->session));
    if (!*text)
      throw std::bad_alloc();
  });
}

void lariat_generation_destroy(lariat_generation *generation) {
  (void)guard(nullptr, [&] { drop(generation); });
}

lariat_status lariat_generate(lariat_session *session, const lariat_batch *batch, const char *options,
                              lariat_token_callback on_token, void *user, lariat_generation **generation,
                              char **error) {
  return guard(error, [&] {
    verifyNotNull(generation, "generation");
    std::shared_ptr<GenerationObject> object = start(session, batch, options);
    do
      advance(*object);
    while (!object->tokens.list.empty() && (!on_token || report(*object, on_token, user)));
    *generation = makeHandle(std::move(object));
  });
}

} // extern "C"

static_assert(static_cast<int>(runtime::Finish::Unfinished) == LARIAT_FINISH_NONE &&
              static_cast<int>(runtime::Finish::Eos) == LARIAT_FINISH_EOS &&
              static_cast<int>(runtime::Finish::Length) == LARIAT_FINISH_LENGTH &&
              static_cast<int>(runtime::Finish::Stopped) == LARIAT_FINISH_STOPPED &&
              static_cast<int>(runtime::Finish::Failed) == LARIAT_FINISH_FAILED);
