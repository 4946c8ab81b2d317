// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Engines of include/lariat-c/Runtime.h.

#include "Options.h"

using namespace lariat;
using namespace lariat::runtime_c;

static runtime::EngineOptions readOptions(const lariat_engine_options &options) {
  if (options.order < LARIAT_ORDER_OLDEST || options.order > LARIAT_ORDER_DEEPEST)
    throw Failure{LARIAT_STATUS_MISUSE, "the order is " + std::to_string(options.order) + ", expected 0 to 2"};
  if (options.max_rows < 1 || options.chunk_rows < 1)
    throw Failure{LARIAT_STATUS_MISUSE, "max_rows and chunk_rows are " + std::to_string(options.max_rows) + " and " +
                                            std::to_string(options.chunk_rows) + ", expected at least 1"};
  if (options.loop < LARIAT_LOOP_AUTO || options.loop > LARIAT_LOOP_STEPS)
    throw Failure{LARIAT_STATUS_MISUSE, "the loop option is " + std::to_string(options.loop) + ", expected 0 or 1"};
  runtime::EngineOptions chosen;
  chosen.maxRows = options.max_rows;
  chosen.chunkRows = options.chunk_rows;
  chosen.order = static_cast<runtime::Order>(options.order);
  chosen.loop = static_cast<runtime::LoopRun>(options.loop);
  chosen.keepsProfile = options.profile != 0;
  chosen.prefixCache = options.prefix_cache != 0;
  if (options.missing)
    chosen.missing = options.missing;
  return chosen;
}

lariat_engine *runtime_c::openEngine(lariat_session *session, const lariat_engine_options *options,
                                     const std::function<void(runtime::EngineOptions &, EngineObject &)> &change) {
  auto object = std::make_shared<EngineObject>();
  object->session = find(session);
  verifyNoCallback(*object->session);
  lariat_engine_options given = readStruct(options, getDefaultEngineOptions(), "lariat_engine_options");
  runtime::EngineOptions chosen = readOptions(given);
  change(chosen, *object);
  runtime::Expected<std::unique_ptr<runtime::Engine>> made = object->session->session->createEngine(std::move(chosen));
  if (!made)
    throw Failure{LARIAT_STATUS_REQUEST, made.text()};
  object->engine = std::move(*made);
  object->wantsStop = given.wants_stop;
  object->user = given.user;
  return makeHandle(std::move(object));
}

std::vector<runtime::EngineRequest> runtime_c::readRequests(const EngineObject &engine, const lariat_batch *batch,
                                                            const char *options) {
  verifyNoCallback(*engine.session);
  requests::GenerateRequest request = readGenerate(batch, options, engine.session, std::make_shared<bool>(false));
  bool asksToStop = batch && readStruct(batch, getDefaultBatch(), "lariat_batch").wants_stop;
  if (request.missing || asksToStop || request.keepsProfile)
    throw Failure{LARIAT_STATUS_MISUSE, "'missing', 'wants_stop' or 'profile' is given in a request to an engine"};
  runtime::Expected<std::vector<runtime::EngineRequest>> prepared =
      engine.session->session->prepare(std::move(request));
  if (!prepared)
    throw Failure{LARIAT_STATUS_REQUEST, prepared.text()};
  return std::move(*prepared);
}

static void show(const std::vector<runtime::EngineEnd> &ends, EngineObject &object) {
  object.ends = ends;
  object.shownEnds.clear();
  for (const runtime::EngineEnd &end : object.ends)
    object.shownEnds.push_back(
        {.request = end.request, .finish = static_cast<int32_t>(end.finish), .error = end.error.c_str()});
}

static lariat_timing toTiming(const runtime::Timing &timing) {
  return {.calls = timing.calls, .rows = timing.rows, .prompt_rows = timing.promptRows, .seconds = timing.seconds};
}

extern "C" {

void lariat_engine_options_init(lariat_engine_options *options, size_t struct_size) {
  initStruct(options, struct_size, getDefaultEngineOptions());
}

lariat_status lariat_engine_open(lariat_session *session, const lariat_engine_options *options, lariat_engine **engine,
                                 char **error) {
  return guard(error, [&] {
    verifyNotNull(engine, "engine");
    *engine = openEngine(session, options, [](runtime::EngineOptions &, EngineObject &) {});
  });
}

lariat_status lariat_engine_submit(lariat_engine *engine, const lariat_batch *batch, const char *options,
                                   int64_t *first, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    verifyNoCallback(*object->session);
    verifyNotNull(first, "first");
    *first = object->engine->submit(readRequests(*object, batch, options));
  });
}

lariat_status lariat_engine_cancel(lariat_engine *engine, int64_t request, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    verifyNoCallback(*object->session);
    if (runtime::Status status = object->engine->cancel(request))
      throw Failure{LARIAT_STATUS_MISUSE, status.text()};
  });
}

lariat_status lariat_engine_tick(lariat_engine *engine, lariat_tick *tick, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    Use use(object->isBusy, *object->session, "engine");
    verifyResult(tick, "lariat_tick"); // before anything is taken from the engine
    if (object->isBroken)
      throw Failure{LARIAT_STATUS_MEMORY, "there was no memory for an earlier tick, so the engine cannot go on"};
    object->isBroken = true;
    runtime::StopPoll stop(askCaller(object->wantsStop, object->user, object->session, std::make_shared<bool>(false)));
    object->engine->tick(&stop);
    object->isBroken = false;
    object->tokens.clear();
    for (const runtime::EngineToken &token : object->engine->getTokens())
      object->tokens.add(token.request, token.choice, token.steps);
    show(object->engine->getEnds(), *object);
    lariat_tick value{};
    value.tokens = object->tokens.list.data();
    value.num_tokens = static_cast<int64_t>(object->tokens.list.size());
    value.ends = object->shownEnds.data();
    value.num_ends = static_cast<int64_t>(object->shownEnds.size());
    value.num_unfinished = object->engine->getNumUnfinished();
    writeStruct(tick, value, "lariat_tick");
  });
}

lariat_status lariat_engine_get_counts(lariat_engine *engine, lariat_engine_counts *counts, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    Use use(object->isBusy, *object->session, "engine");
    const runtime::EngineCounts &found = object->engine->getCounts();
    lariat_engine_counts value{};
    value.ticks = found.ticks;
    value.preemptions = found.preemptions;
    value.reused_rows = found.reusedRows;
    value.drafted = found.drafted;
    value.accepted = found.accepted;
    value.kv_bytes_peak = found.peakPageBytes;
    value.prelude = toTiming(found.prelude);
    value.core = toTiming(found.core);
    value.fill = toTiming(found.fill);
    value.coda = toTiming(found.coda);
    value.whole = toTiming(found.whole);
    writeStruct(counts, value, "lariat_engine_counts");
  });
}

lariat_status lariat_engine_profile(lariat_engine *engine, char **text, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    verifyNotNull(text, "text");
    Use use(object->isBusy, *object->session, "engine");
    *text = copyText(describeProfile(object->engine->getProfile(), *object->session->session));
    if (!*text)
      throw std::bad_alloc();
  });
}

lariat_status lariat_engine_clear_prefixes(lariat_engine *engine, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    Use use(object->isBusy, *object->session, "engine");
    object->engine->clearPrefixes();
  });
}

void lariat_engine_destroy(lariat_engine *engine) {
  (void)guard(nullptr, [&] { drop(engine); });
}

} // extern "C"

static_assert(static_cast<int>(runtime::Order::Oldest) == LARIAT_ORDER_OLDEST &&
              static_cast<int>(runtime::Order::Fifo) == LARIAT_ORDER_FIFO &&
              static_cast<int>(runtime::Order::Deepest) == LARIAT_ORDER_DEEPEST);
static_assert(static_cast<int>(runtime::LoopRun::Auto) == LARIAT_LOOP_AUTO &&
              static_cast<int>(runtime::LoopRun::Steps) == LARIAT_LOOP_STEPS);
