// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime for Python: sessions, generations and engines of include/lariat-c as objects. Ids come in as arrays and
// options as JSON, results go out as arrays over the memory they were computed into. The lock of the interpreter is
// given up while anything runs; between calls of compiled code signals are looked at, so that an interrupt ends a
// request. Errors are those of lariat.errors.

#include "lariat-c/Experimental.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Ids = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using State = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T, size_t rank>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<rank>>;

/// logits, hidden, steps, cache entries as JSON.
using ScoreResult =
    std::tuple<std::optional<Array<float, 2>>, std::optional<Array<float, 2>>, Array<int32_t, 1>, std::string>;
/// sequence, id, steps, log probability, ids and log probabilities of the most likely tokens.
using TokenResult = std::tuple<int64_t, int64_t, int64_t, double, std::vector<int64_t>, std::vector<float>>;
/// ids, steps, how it ended, cache entries as JSON.
using SequenceResult = std::tuple<std::vector<int64_t>, std::vector<int32_t>, std::string, std::optional<std::string>>;
/// request, how it ended, why it failed.
using EndResult = std::tuple<int64_t, std::string, std::string>;

} // namespace

//===----------------------------------------------------------------------===//
// Errors and interrupts
//===----------------------------------------------------------------------===//

/// Raises what a status stands for; takes the text.
static void check(lariat_status status, char *text) {
  if (status == LARIAT_STATUS_OK)
    return;
  nb::object message =
      nb::steal(PyUnicode_DecodeUTF8(text ? text : "", text ? static_cast<Py_ssize_t>(strlen(text)) : 0, "replace"));
  lariat_text_destroy(text);
  if (PyErr_Occurred()) // a signal's handler raised, which is why the request was stopped
    throw nb::python_error();
  if (status == LARIAT_STATUS_MEMORY) {
    PyErr_SetObject(PyExc_MemoryError, message.ptr());
  } else {
    const char *name = status == LARIAT_STATUS_ARTEFACT ? "ArtefactError" : "RuntimeFault";
    PyErr_SetObject(nb::module_::import_("lariat.errors").attr(name).ptr(), message.ptr());
  }
  throw nb::python_error();
}

/// Runs a function of the interface without the interpreter's lock.
template <typename Run>
static void run(Run call) {
  char *text = nullptr;
  lariat_status status = LARIAT_STATUS_OK;
  {
    nb::gil_scoped_release released;
    status = call(&text);
  }
  check(status, text);
}

/// A lariat_stop_callback: whether a signal's handler raised.
static int32_t wasInterrupted(void *) {
  nb::gil_scoped_acquire held;
  return PyErr_CheckSignals() != 0;
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

namespace {

/// A lariat_batch that borrows from its arguments.
struct Batch {
  Batch(const Ids &tokens, const Ids &lengths) {
    int64_t total = 0;
    for (size_t index = 0; index < lengths.shape(0); ++index)
      total += lengths.data()[index];
    if (total != static_cast<int64_t>(tokens.shape(0)))
      throw nb::value_error("the lengths do not add up to the number of tokens");
    lariat_batch_init(&value, sizeof value);
    value.tokens = tokens.data();
    value.lengths = lengths.data();
    value.num_sequences = static_cast<int64_t>(lengths.shape(0));
    value.wants_stop = wasInterrupted;
  }

  lariat_batch value;
};

static std::vector<TokenResult> listTokens(const lariat_token *tokens, int64_t count) {
  std::vector<TokenResult> results;
  for (const lariat_token *token = tokens; token != tokens + count; ++token)
    results.emplace_back(token->sequence, token->id, token->steps, token->logprob,
                         std::vector<int64_t>(token->top_ids, token->top_ids + token->num_top),
                         std::vector<float>(token->top_logprobs, token->top_logprobs + token->num_top));
  return results;
}

/// How a request ended, as lariat.Generation says it.
static const char *nameFinish(int32_t finish) {
  switch (finish) {
  case LARIAT_FINISH_EOS:
    return "eos";
  case LARIAT_FINISH_LENGTH:
    return "length";
  case LARIAT_FINISH_STOPPED:
    return "stop";
  case LARIAT_FINISH_FAILED:
    return "failed";
  default:
    return "";
  }
}

/// A lariat_scores that goes with the last array over it.
struct Scores {
  explicit Scores(lariat_scores *handle)
      : owner(handle, [](void *scores) noexcept { lariat_scores_destroy(static_cast<lariat_scores *>(scores)); }),
        handle(handle) {}

  ScoreResult get(int64_t sequence) const {
    lariat_sequence_scores score{};
    score.struct_size = sizeof score;
    char *text = nullptr;
    check(lariat_scores_get(handle, sequence, &score, &text), text);
    auto rows = static_cast<size_t>(score.num_rows);
    auto floats = [&](const float *data, int64_t columns) -> std::optional<Array<float, 2>> {
      if (!data)
        return std::nullopt;
      // Nobody else sees the memory, so the caller may write to it.
      return Array<float, 2>(const_cast<float *>(data), {rows, static_cast<size_t>(columns)}, owner);
    };
    return {floats(score.logits, score.num_logits), floats(score.hidden, score.num_hidden),
            Array<int32_t, 1>(const_cast<int32_t *>(score.steps), {rows}, owner), score.slots};
  }

  std::vector<ScoreResult> getAll(const Ids &lengths) const {
    std::vector<ScoreResult> results;
    for (size_t sequence = 0; sequence < lengths.shape(0); ++sequence)
      results.push_back(get(static_cast<int64_t>(sequence)));
    return results;
  }

  nb::capsule owner;
  lariat_scores *handle;
};

/// The profile that `get` gives of a handle, as JSON.
template <typename Handle>
static std::string getText(lariat_status (*get)(Handle *, char **, char **), Handle *handle) {
  char *text = nullptr;
  run([&](char **error) { return get(handle, &text, error); });
  std::string copy(text);
  lariat_text_destroy(text);
  return copy;
}

class Generation {
public:
  explicit Generation(lariat_generation *handle) : handle(handle) {}
  Generation(const Generation &) = delete;
  Generation &operator=(const Generation &) = delete;
  ~Generation() { lariat_generation_destroy(handle); }

  std::vector<TokenResult> next() {
    const lariat_token *tokens = nullptr;
    int64_t count = 0;
    run([&](char **text) { return lariat_generation_next(handle, &tokens, &count, text); });
    return listTokens(tokens, count);
  }

  void stop(int64_t sequence) {
    run([&](char **text) { return lariat_generation_stop(handle, sequence, text); });
  }

  SequenceResult result(int64_t sequence) {
    lariat_sequence_tokens tokens{};
    tokens.struct_size = sizeof tokens;
    run([&](char **text) { return lariat_generation_get(handle, sequence, &tokens, text); });
    return {std::vector<int64_t>(tokens.ids, tokens.ids + tokens.num_tokens),
            std::vector<int32_t>(tokens.steps, tokens.steps + tokens.num_tokens), nameFinish(tokens.finish),
            tokens.slots ? std::optional<std::string>(tokens.slots) : std::nullopt};
  }

  std::string profile() { return getText(lariat_generation_profile, handle); }

private:
  lariat_generation *handle;
};

class Session {
public:
  Session(const std::string &path, int64_t threads, int64_t maxRows, int64_t kvBytes,
          const std::optional<std::string> &isa, lariat_order order, bool verifyWeights) {
    lariat_session_options options;
    lariat_session_options_init(&options, sizeof options);
    options.threads = threads;
    options.max_rows = maxRows;
    options.kv_bytes = kvBytes;
    options.isa = isa ? isa->c_str() : nullptr;
    options.order = order;
    options.verify_weights = verifyWeights ? 1 : 0;
    run([&](char **text) { return lariat_session_open(path.c_str(), &options, &handle, text); });
  }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;
  ~Session() { lariat_session_destroy(handle); }

  void close() {
    run([&](char **text) { return lariat_session_close(handle, text); });
  }

  void cancel() const { lariat_session_cancel(handle); }

  lariat_session *getHandle() const { return handle; }

  lariat_session_info getInfo() const {
    lariat_session_info info{};
    info.struct_size = sizeof info;
    run([&](char **text) { return lariat_session_get_info(handle, &info, text); });
    return info;
  }

  std::map<std::string, int64_t> getMemory() const {
    lariat_session_info info = getInfo();
    return {{"weights", info.weight_bytes}, {"kv_live", info.kv_live_bytes}, {"kv_pages", info.kv_page_bytes},
            {"arena", info.arena_bytes},    {"cells", info.cell_bytes},      {"scratch", info.scratch_bytes}};
  }

  std::vector<ScoreResult> score(const Ids &tokens, const Ids &lengths, const std::string &options,
                                 const std::optional<std::vector<State>> &initialStates) const {
    Batch batch(tokens, lengths);
    std::vector<const float *> states = listStates(lengths, initialStates);
    batch.value.initial_states = initialStates ? states.data() : nullptr;
    lariat_scores *scores = nullptr;
    run([&](char **text) { return lariat_score(handle, &batch.value, options.c_str(), &scores, text); });
    return Scores(scores).getAll(lengths);
  }

  std::vector<ScoreResult> encode(const Ids &tokens, const Ids &lengths) const {
    Batch batch(tokens, lengths);
    lariat_scores *scores = nullptr;
    run([&](char **text) { return lariat_encode(handle, &batch.value, &scores, text); });
    return Scores(scores).getAll(lengths);
  }

  Generation *generate(const Ids &tokens, const Ids &lengths, const std::string &options) const {
    Batch batch(tokens, lengths);
    lariat_generation *generation = nullptr;
    run([&](char **text) { return lariat_generation_start(handle, &batch.value, options.c_str(), &generation, text); });
    return new Generation(generation);
  }

private:
  /// Addresses of the states, which must have the shape that the model takes; without a check code would read beyond.
  std::vector<const float *> listStates(const Ids &lengths, const std::optional<std::vector<State>> &states) const {
    std::vector<const float *> addresses;
    if (!states)
      return addresses;
    int64_t columns = getInfo().state_columns;
    if (states->size() != lengths.shape(0))
      throw nb::value_error("the number of initial states is not that of sequences");
    for (size_t index = 0; index < states->size(); ++index) {
      const State &state = (*states)[index];
      bool fits = static_cast<int64_t>(state.shape(0)) == lengths.data()[index] &&
                  static_cast<int64_t>(state.shape(1)) == columns;
      if (columns != 0 && !fits)
        throw nb::value_error("an initial state has not the shape of its sequence");
      addresses.push_back(state.data());
    }
    return addresses;
  }

  lariat_session *handle = nullptr;
};

/// A timing as a dictionary.
static nb::dict describe(const lariat_timing &timing) {
  nb::dict result;
  result["calls"] = timing.calls;
  result["rows"] = timing.rows;
  result["prompt_rows"] = timing.prompt_rows;
  result["seconds"] = timing.seconds;
  return result;
}

class Engine {
public:
  Engine(const Session &session, int64_t maxRows, int64_t chunkRows, lariat_order order, lariat_loop loop,
         bool prefixCache, const std::optional<std::string> &missing, bool profile) {
    lariat_engine_options options = makeOptions(maxRows, chunkRows, order, loop, prefixCache, missing, profile);
    run([&](char **text) { return lariat_engine_open(session.getHandle(), &options, &handle, text); });
  }
  Engine(const Engine &) = delete;
  Engine &operator=(const Engine &) = delete;
  ~Engine() { lariat_engine_destroy(handle); }

  int64_t submit(const Ids &tokens, const Ids &lengths, const std::string &options) {
    Batch batch(tokens, lengths);
    batch.value.wants_stop = nullptr;
    int64_t first = 0;
    run([&](char **text) { return lariat_engine_submit(handle, &batch.value, options.c_str(), &first, text); });
    return first;
  }

  void cancel(int64_t request) {
    run([&](char **text) { return lariat_engine_cancel(handle, request, text); });
  }

  std::tuple<std::vector<TokenResult>, std::vector<EndResult>, int64_t> tick() {
    lariat_tick tick{};
    tick.struct_size = sizeof tick;
    run([&](char **text) { return lariat_engine_tick(handle, &tick, text); });
    std::vector<TokenResult> found = listTokens(tick.tokens, tick.num_tokens);
    tokens.insert(tokens.end(), found.begin(), found.end());
    for (const lariat_request_end *end = tick.ends; end != tick.ends + tick.num_ends; ++end)
      ends.emplace_back(end->request, nameFinish(end->finish), end->error);
    if (PyErr_Occurred()) // a signal's handler raised, which is why the tick was cut short
      throw nb::python_error();
    return {std::exchange(tokens, {}), std::exchange(ends, {}), tick.num_unfinished};
  }

  nb::dict getCounts() {
    lariat_engine_counts counts{};
    counts.struct_size = sizeof counts;
    run([&](char **text) { return lariat_engine_get_counts(handle, &counts, text); });
    nb::dict result;
    result["ticks"] = counts.ticks;
    result["preemptions"] = counts.preemptions;
    result["reused_rows"] = counts.reused_rows;
    result["drafted"] = counts.drafted;
    result["accepted"] = counts.accepted;
    result["kv_bytes_peak"] = counts.kv_bytes_peak;
    result["prelude"] = describe(counts.prelude);
    result["core"] = describe(counts.core);
    result["fill"] = describe(counts.fill);
    result["coda"] = describe(counts.coda);
    result["whole"] = describe(counts.whole);
    return result;
  }

  std::string profile() { return getText(lariat_engine_profile, handle); }

  void clearPrefixes() {
    run([&](char **text) { return lariat_engine_clear_prefixes(handle, text); });
  }

protected:
  Engine() = default;

  static lariat_engine_options makeOptions(int64_t maxRows, int64_t chunkRows, lariat_order order, lariat_loop loop,
                                           bool prefixCache, const std::optional<std::string> &missing, bool profile) {
    lariat_engine_options options;
    lariat_engine_options_init(&options, sizeof options);
    options.max_rows = maxRows;
    options.chunk_rows = chunkRows;
    options.order = order;
    options.loop = loop;
    options.prefix_cache = prefixCache;
    options.missing = missing ? missing->c_str() : nullptr;
    options.profile = profile;
    options.wants_stop = wasInterrupted;
    return options;
  }

  lariat_engine *handle = nullptr;

private:
  // What the last tick brought where it ended by an exception, for the next one to report.
  std::vector<TokenResult> tokens;
  std::vector<EndResult> ends;
};

/// An engine for measurements.
class ExperimentalEngine : public Engine {
public:
  ExperimentalEngine(const Session &session, int64_t maxRows, int64_t chunkRows, lariat_order order, lariat_loop loop,
                     bool prefixCache, const std::optional<std::string> &missing, bool profile, bool refills,
                     bool splitsLoop, bool record, const std::optional<std::string> &replay) {
    lariat_engine_options options = makeOptions(maxRows, chunkRows, order, loop, prefixCache, missing, profile);
    lariat_engine_experiment experiment;
    lariat_engine_experiment_init(&experiment, sizeof experiment);
    experiment.refills = refills;
    experiment.splits_loop = splitsLoop;
    experiment.record = record;
    experiment.replay = replay ? replay->c_str() : nullptr;
    run([&](char **text) {
      return lariat_experimental_engine_open(session.getHandle(), &options, &experiment, &handle, text);
    });
  }

  int64_t submit(const Ids &tokens, const Ids &lengths, const std::string &options,
                 const std::optional<std::vector<int64_t>> &depths) {
    Batch batch(tokens, lengths);
    batch.value.wants_stop = nullptr;
    int64_t first = 0;
    run([&](char **text) {
      return lariat_experimental_engine_submit(handle, &batch.value, options.c_str(), depths ? depths->data() : nullptr,
                                               depths ? static_cast<int64_t>(depths->size()) : 0, &first, text);
    });
    return first;
  }

  std::string schedule() { return getText(lariat_experimental_engine_schedule, handle); }
};

} // namespace

//===----------------------------------------------------------------------===//
// Module
//===----------------------------------------------------------------------===//

/// Orders of sessions and engines, by their names in lariat.load and lariat.Engine.
static nb::dict getDefaults() {
  lariat_session_options session;
  lariat_session_options_init(&session, sizeof session);
  lariat_engine_options engine;
  lariat_engine_options_init(&engine, sizeof engine);
  nb::dict result;
  result["max_rows"] = session.max_rows;
  result["scheduler"] = static_cast<lariat_order>(session.order);
  result["verify_weights"] = session.verify_weights != 0;
  result["chunk_rows"] = engine.chunk_rows;
  result["loop"] = static_cast<lariat_loop>(engine.loop);
  result["prefix_cache"] = engine.prefix_cache != 0;
  return result;
}

NB_MODULE(_native, module) {
  nb::set_leak_warnings(false); // an interpreter that ends with a session open is no fault of its program
  module.doc() = "The runtime, behind lariat.Session. Not for direct use.";
  module.def(
      "version", [] { return std::tuple(lariat_runtime_version() >> 16, lariat_runtime_version() & 0xffff); },
      "Major and minor version of the C interface.");
  module.def("request_options", &lariat_request_options, "The table of options of requests, as JSON.");

  nb::enum_<lariat_order>(module, "Order", "Who is first where not all rows fit a tick.")
      .value("OLDEST", LARIAT_ORDER_OLDEST)
      .value("FIFO", LARIAT_ORDER_FIFO)
      .value("DEEPEST", LARIAT_ORDER_DEEPEST);
  nb::enum_<lariat_loop>(module, "Loop", "How rows of an engine run the loop.")
      .value("AUTO", LARIAT_LOOP_AUTO)
      .value("STEPS", LARIAT_LOOP_STEPS);
  module.def("defaults", &getDefaults, "Options of sessions and engines where none are given.");

  nb::class_<Generation>(module, "Generation", "A batch that generates.")
      .def("next", &Generation::next, "The next tokens, one of each sequence that goes on; none at the end.")
      .def("stop", &Generation::stop, "sequence"_a, "End one sequence.")
      .def("result", &Generation::result, "sequence"_a, "What a sequence has so far.")
      .def("profile", &Generation::profile, "What the batch did, as JSON.");

  nb::class_<Session>(module, "Session", "A loaded artefact.")
      .def(nb::init<const std::string &, int64_t, int64_t, int64_t, const std::optional<std::string> &, lariat_order,
                    bool>(),
           "path"_a, nb::kw_only(), "threads"_a, "max_rows"_a, "kv_bytes"_a, "isa"_a.none(), "order"_a,
           "verify_weights"_a)
      .def("close", &Session::close, "Give memory and threads back.")
      .def("cancel", &Session::cancel, "End the requests that have begun.")
      .def_prop_ro("threads", [](const Session &session) { return session.getInfo().threads; })
      .def_prop_ro("isa", [](const Session &session) { return std::string(session.getInfo().isa); })
      .def_prop_ro("state_columns", [](const Session &session) { return session.getInfo().state_columns; })
      .def("memory", &Session::getMemory, "Bytes by what holds them.")
      .def("score", &Session::score, "tokens"_a, "lengths"_a, "options"_a, "initial_states"_a.none(),
           "Logits of every row of every sequence.")
      .def("encode", &Session::encode, "tokens"_a, "lengths"_a, "Last state of every row of every sequence.")
      .def("generate", &Session::generate, "tokens"_a, "lengths"_a, "options"_a, "Start to generate.");

  nb::class_<Engine>(module, "Engine", "Requests that come at any time.")
      .def(nb::init<const Session &, int64_t, int64_t, lariat_order, lariat_loop, bool,
                    const std::optional<std::string> &, bool>(),
           "session"_a, nb::kw_only(), "max_rows"_a, "chunk_rows"_a, "order"_a, "loop"_a, "prefix_cache"_a,
           "missing"_a.none(), "profile"_a)
      .def("submit", &Engine::submit, "tokens"_a, "lengths"_a, "options"_a,
           "Queue a request per sequence; the number of the first.")
      .def("cancel", &Engine::cancel, "request"_a, "End a request before the next tick.")
      .def("tick", &Engine::tick, "Run one tick: new tokens, requests that ended, how many have not.")
      .def("counts", &Engine::getCounts, "Calls, rows and seconds by function.")
      .def("profile", &Engine::profile, "What the engine did, as JSON.")
      .def("clear_prefixes", &Engine::clearPrefixes, "Give the pages of requests that ended back.");

  nb::class_<ExperimentalEngine, Engine>(module, "ExperimentalEngine", "An engine for measurements.")
      .def(nb::init<const Session &, int64_t, int64_t, lariat_order, lariat_loop, bool,
                    const std::optional<std::string> &, bool, bool, bool, bool, const std::optional<std::string> &>(),
           "session"_a, nb::kw_only(), "max_rows"_a, "chunk_rows"_a, "order"_a, "loop"_a, "prefix_cache"_a,
           "missing"_a.none(), "profile"_a, "refills"_a, "splits_loop"_a, "record"_a, "replay"_a.none())
      .def("submit_bound", &ExperimentalEngine::submit, "tokens"_a, "lengths"_a, "options"_a, "depths"_a.none(),
           "Queue a request per sequence whose rows run at most some loop steps; the number of the first.")
      .def("schedule", &ExperimentalEngine::schedule, "What was decided and called, as JSON.");
}
