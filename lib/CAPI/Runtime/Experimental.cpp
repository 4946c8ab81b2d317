// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// include/lariat-c/Experimental.h: what measurements ask for, as policies and schedules of an engine.

#include "Options.h"

#include "lariat/Runtime/Engine/Baselines.h"

using namespace lariat;
using namespace lariat::runtime_c;

/// The `depths` of a request, which may be null.
static std::vector<int64_t> readDepths(const int64_t *depths, int64_t count) {
  if (!depths)
    return {};
  if (count < 1)
    throw Failure{LARIAT_STATUS_MISUSE, "num_depths is " + std::to_string(count) + ", expected at least 1"};
  for (int64_t index = 0; index < count; ++index)
    if (depths[index] < 1)
      throw Failure{LARIAT_STATUS_MISUSE, "depth " + std::to_string(index) + " is " + std::to_string(depths[index]) +
                                              ", expected at least 1"};
  return {depths, depths + count};
}

extern "C" {

void lariat_engine_experiment_init(lariat_engine_experiment *experiment, size_t struct_size) {
  initStruct(experiment, struct_size, getDefaultEngineExperiment());
}

lariat_status lariat_experimental_engine_open(lariat_session *session, const lariat_engine_options *options,
                                              const lariat_engine_experiment *experiment, lariat_engine **engine,
                                              char **error) {
  return guard(error, [&] {
    verifyNotNull(engine, "engine");
    lariat_engine_experiment given = readStruct(experiment, getDefaultEngineExperiment(), "lariat_engine_experiment");
    *engine = openEngine(session, options, [&](runtime::EngineOptions &chosen, EngineObject &object) {
      object.baseline = std::make_shared<runtime::BaselinePolicy>(
          chosen.order, runtime::Baseline{.refills = given.refills != 0, .splitsLoop = given.splits_loop != 0});
      chosen.policy = object.baseline;
      if (given.record)
        chosen.record = object.schedule = std::make_shared<runtime::Schedule>();
      if (!given.replay)
        return;
      runtime::Expected<runtime::Schedule> schedule = runtime::Schedule::read(given.replay);
      if (!schedule)
        throw Failure{LARIAT_STATUS_REQUEST, schedule.text()};
      chosen.replay = std::make_shared<runtime::Schedule>(std::move(*schedule));
    });
  });
}

lariat_status lariat_experimental_engine_submit(lariat_engine *engine, const lariat_batch *batch, const char *options,
                                                const int64_t *depths, int64_t num_depths, int64_t *first,
                                                char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    verifyNoCallback(*object->session);
    verifyNotNull(first, "first");
    if (!object->baseline)
      throw Failure{LARIAT_STATUS_MISUSE, "the engine was not opened for an experiment"};
    if (depths && !object->engine->runsSteps())
      throw Failure{LARIAT_STATUS_REQUEST, "depths are given to an engine that does not run step by step"};
    std::vector<int64_t> bounds = readDepths(depths, num_depths);
    *first = object->baseline->submit(*object->engine, readRequests(*object, batch, options), bounds);
  });
}

lariat_status lariat_experimental_engine_schedule(lariat_engine *engine, char **text, char **error) {
  return guard(error, [&] {
    std::shared_ptr<EngineObject> object = find(engine);
    verifyNotNull(text, "text");
    Use use(object->isBusy, *object->session, "engine");
    if (!object->schedule)
      throw Failure{LARIAT_STATUS_MISUSE, "no schedule is recorded: the engine was opened without 'record'"};
    *text = copyText(object->schedule->write());
    if (!*text)
      throw std::bad_alloc();
  });
}

} // extern "C"
