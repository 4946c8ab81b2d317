// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequences of calls of the C interface, on the counting model of the unit tests. Each call is made of a few bytes:
// handles may be null, of another kind of time (destroyed) or right; numbers are small, negative, or beyond all bounds.
// Buffers always have what their lengths say, which the interface cannot check.

#include "lariat-c/Experimental.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

/// Takes values off the input; zeros when it has ended.
class Input {
public:
  Input(const uint8_t *data, size_t size) : data(data), size(size) {}
  bool isEmpty() const { return size == 0; }
  uint8_t byte() {
    if (size == 0)
      return 0;
    --size;
    return *data++;
  }
  /// Mostly a small number, sometimes one that no model takes.
  int64_t number() {
    uint8_t value = byte();
    switch (value) {
    case 255:
      return INT64_MIN;
    case 254:
      return INT64_MAX;
    case 253:
      return -1;
    case 252:
      return int64_t(1) << 40;
    default:
      return value & 15;
    }
  }
  double real() {
    static constexpr double kValues[] = {0, 1, 0.5, -1, 1e308, -0.0, 1e-320};
    uint8_t value = byte();
    if (value >= 250)
      return value == 250 ? std::strtod("nan", nullptr) : std::strtod("inf", nullptr);
    return kValues[value % std::size(kValues)];
  }
  const char *word() {
    static constexpr const char *kWords[] = {nullptr,     "generate", "score", "skip", "slot0",
                                             "propagate", "compute",  "",      "\xff"};
    return kWords[byte() % std::size(kWords)];
  }
  /// A value of JSON.
  const char *literal() {
    static constexpr const char *kLiterals[] = {
        "null",     "\"generate\"", "\"score\"", "\"slot0\"", "\"propagate\"", "\"compute\"", "\"off\"",
        "\"\xff\"", "[[1, 2]]",     "[3]",       "{}",        "true",          "false",       "\"staggered\""};
    return kLiterals[byte() % std::size(kLiterals)];
  }
  /// The right size of a structure, or another one that is smaller than its memory.
  size_t structSize(size_t right) {
    uint8_t value = byte();
    return value < 200 ? right : (value % right);
  }

private:
  const uint8_t *data;
  size_t size;
};

/// The handles of one kind that were given, destroyed ones too.
template <typename Handle>
class Handles {
public:
  Handle *pick(Input &input) {
    size_t at = input.byte() % (kMaxHandles + 1);
    return at < kMaxHandles ? handles[at] : nullptr;
  }
  void add(Handle *handle) {
    if (!handle)
      return;
    handles[next % kMaxHandles] = handle;
    all.push_back(handle);
    ++next;
  }
  template <typename Destroy>
  void destroyAll(Destroy destroy) {
    for (Handle *handle : all)
      destroy(handle);
  }

private:
  static constexpr size_t kMaxHandles = 3;
  std::array<Handle *, kMaxHandles> handles{};
  std::vector<Handle *> all;
  size_t next = 0;
};

/// A request whose arrays are as long as it says.
struct Batch {
  explicit Batch(Input &input) {
    lariat_batch_init(&value, sizeof value);
    value.struct_size = input.structSize(sizeof value);
    int64_t numSequences = input.byte() % 4;
    for (int64_t i = 0; i < numSequences; ++i) {
      int64_t length = input.byte() % 6;
      for (int64_t j = 0; j < length; ++j)
        tokens.push_back(input.number());
      // A length that is wrong by itself is refused before a token is read.
      lengths.push_back(input.byte() == 255 ? INT64_MIN : length);
    }
    uint8_t kind = input.byte();
    value.tokens = kind == 255 ? nullptr : tokens.data();
    value.lengths = kind == 254 ? nullptr : lengths.data();
    value.num_sequences = kind == 253 ? -1 : numSequences;
    if (kind & 16)
      value.wants_stop = [](void *) -> int32_t { return 1; };
  }
  std::vector<int64_t> tokens, lengths;
  lariat_batch value;
};

/// A session that inputs share, since opening one takes longer than all the calls of an input. Some inputs end it.
bool isSharedClosed = false;
lariat_session *getShared() {
  static lariat_session *shared = nullptr;
  lariat_session_info info{};
  info.struct_size = sizeof info;
  if (lariat_session_get_info(shared, &info, nullptr) != LARIAT_STATUS_OK || isSharedClosed ||
      info.kv_page_bytes > (1 << 20)) {
    lariat_session_destroy(shared);
    isSharedClosed = false;
    lariat_session_options options;
    lariat_session_options_init(&options, sizeof options);
    options.threads = 1;
    options.pin_threads = 0;
    lariat_session_open(LARIAT_ARTEFACTS "/counting.lariat", &options, &shared, nullptr);
  }
  return shared;
}

class Caller {
public:
  Caller(const uint8_t *data, size_t size) : input(data, size) {}
  ~Caller() {
    generations.destroyAll(lariat_generation_destroy);
    scores.destroyAll(lariat_scores_destroy);
    engines.destroyAll(lariat_engine_destroy);
    sessions.destroyAll([](lariat_session *session) {
      if (session != getShared())
        lariat_session_destroy(session);
    });
    clear();
  }
  void run() {
    sessions.add(getShared());
    for (int calls = 0; !input.isEmpty() && calls < 24; ++calls)
      step();
  }

private:
  char **error() {
    clear();
    return input.byte() == 255 ? nullptr : &text;
  }
  void clear() {
    lariat_text_destroy(text);
    text = nullptr;
  }
  void open();
  void step();
  void score();
  void generate();
  void engine();
  void submit();
  std::string options();

  Input input;
  char *text = nullptr;
  Handles<lariat_session> sessions;
  Handles<lariat_scores> scores;
  Handles<lariat_generation> generations;
  Handles<lariat_engine> engines;
};

} // namespace

void Caller::open() {
  lariat_session_options options;
  lariat_session_options_init(&options, sizeof options);
  uint8_t threads = input.byte(), kind = input.byte();
  options.threads = threads == 255 ? 2 : 1; // starting more takes most of the time
  options.pin_threads = 0;
  if (kind & 1)
    options.kv_bytes = input.number();
  if (kind & 2)
    options.max_rows = input.number();
  if (kind & 4)
    options.order = static_cast<int32_t>(input.number());
  if (kind & 8)
    options.isa = input.word();
  options.struct_size = input.structSize(sizeof options);
  lariat_session *session = nullptr;
  const char *path = kind == 255 ? nullptr
                     : kind & 16 ? LARIAT_ARTEFACTS "/encoder.lariat"
                                 : LARIAT_ARTEFACTS "/counting.lariat";
  lariat_session_open(path, kind & 32 ? nullptr : &options, &session, error());
  sessions.add(session);
}

void Caller::step() {
  switch (input.byte() % 20) {
  case 0:
    if (input.byte() == 1) // else most of the time goes there
      open();
    return;
  case 1: {
    lariat_session *session = sessions.pick(input);
    lariat_session_close(session, error());
    isSharedClosed |= session == getShared();
    return;
  }
  case 2:
    return lariat_session_destroy(sessions.pick(input));
  case 3: {
    char *manifest = nullptr;
    lariat_session_manifest(sessions.pick(input), &manifest, error());
    return lariat_text_destroy(manifest);
  }
  case 4: {
    lariat_session_info info{};
    info.struct_size = input.structSize(sizeof info);
    lariat_session_get_info(sessions.pick(input), &info, error());
    return;
  }
  case 5:
  case 6:
    return score();
  case 7: {
    lariat_sequence_scores result{};
    result.struct_size = input.structSize(sizeof result);
    lariat_scores_get(scores.pick(input), input.number(), &result, error());
    return;
  }
  case 8:
    return lariat_scores_destroy(scores.pick(input));
  case 9:
    return generate();
  case 10: {
    const lariat_token *tokens = nullptr;
    int64_t count = 0;
    lariat_generation_next(generations.pick(input), &tokens, &count, error());
    return;
  }
  case 11:
    lariat_generation_stop(generations.pick(input), input.number(), error());
    return;
  case 12: {
    lariat_sequence_tokens result{};
    result.struct_size = input.structSize(sizeof result);
    lariat_generation_get(generations.pick(input), input.number(), &result, error());
    return;
  }
  case 13: {
    char *profile = nullptr;
    lariat_generation_profile(generations.pick(input), &profile, error());
    return lariat_text_destroy(profile);
  }
  case 14:
    return lariat_generation_destroy(generations.pick(input));
  case 15:
    return engine();
  case 16:
    return submit();
  case 17: {
    lariat_tick tick{};
    tick.struct_size = input.structSize(sizeof tick);
    lariat_engine_tick(engines.pick(input), &tick, error());
    return;
  }
  case 18:
    lariat_engine_cancel(engines.pick(input), input.number(), error());
    return;
  default:
    lariat_engine_clear_prefixes(engines.pick(input), error());
    return lariat_engine_destroy(engines.pick(input));
  }
}

/// An object of options with values of any type, or a text that is none.
std::string Caller::options() {
  static constexpr const char *kNames[] = {
      "loops",   "exit_threshold", "missing",     "prefix",    "mode",   "chunk",       "capacity",
      "derived", "ignore_eos",     "stop_tokens", "profile",   "bias",   "top_k",       "top_p",
      "min_p",   "seed",           "logprobs",    "speculate", "drafts", "temperature", "repetition_penalty",
      "other"};
  std::string text = "{\"max_new_tokens\": " + std::to_string(input.byte() % 6);
  for (int count = input.byte() % 5; count > 0; --count) {
    text += std::string(", \"") + kNames[input.byte() % std::size(kNames)] + "\": ";
    switch (input.byte() % 3) {
    case 0:
      text += std::to_string(input.number());
      break;
    case 1:
      text += std::to_string(input.real());
      break;
    default:
      text += input.literal();
    }
  }
  return input.byte() == 255 ? text : text + "}";
}

void Caller::score() {
  uint8_t kind = input.byte();
  std::string chosen = options();
  Batch batch(input);
  lariat_scores *result = nullptr;
  if (kind & 16)
    lariat_encode(sessions.pick(input), &batch.value, &result, error());
  else
    lariat_score(sessions.pick(input), &batch.value, kind & 32 ? nullptr : chosen.c_str(), &result, error());
  scores.add(result);
}

void Caller::generate() {
  std::string chosen = options();
  Batch batch(input);
  lariat_generation *generation = nullptr;
  if (input.byte() & 1)
    lariat_generation_start(sessions.pick(input), &batch.value, chosen.c_str(), &generation, error());
  else
    lariat_generate(
        sessions.pick(input), &batch.value, chosen.c_str(),
        [](void *, const lariat_token *token) -> int32_t { return token->id & 3; }, nullptr, &generation, error());
  generations.add(generation);
}

void Caller::engine() {
  lariat_engine_options options;
  lariat_engine_options_init(&options, sizeof options);
  uint8_t kind = input.byte();
  if (kind & 1)
    options.max_rows = input.number();
  if (kind & 2)
    options.chunk_rows = input.number();
  if (kind & 4)
    options.order = static_cast<int32_t>(input.number());
  if (kind & 8)
    options.loop = static_cast<int32_t>(input.number());
  if (kind & 16)
    options.missing = input.word();
  lariat_engine_experiment experiment;
  lariat_engine_experiment_init(&experiment, sizeof experiment);
  experiment.refills = (kind & 32) == 0;
  options.profile = (kind & 64) != 0;
  options.prefix_cache = (kind & 128) == 0;
  options.struct_size = input.structSize(sizeof options);
  lariat_engine *engine = nullptr;
  lariat_experimental_engine_open(sessions.pick(input), &options, &experiment, &engine, error());
  engines.add(engine);
}

void Caller::submit() {
  std::string chosen = options();
  Batch batch(input);
  int64_t depths[2] = {input.number(), input.number()}, first = 0;
  int64_t numDepths = input.byte() % 3;
  lariat_experimental_engine_submit(engines.pick(input), &batch.value, chosen.c_str(), numDepths ? depths : nullptr,
                                    numDepths, &first, error());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Caller(data, size).run();
  return 0;
}
