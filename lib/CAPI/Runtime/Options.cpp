// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From structures and texts of the C interface to requests. Refused here: what breaks the rules of the interface; what
// the model cannot do is refused by the session.

#include "Options.h"

#include "lariat/Requests/Options.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

using namespace lariat;
using namespace lariat::runtime_c;

//===----------------------------------------------------------------------===//
// Defaults
//===----------------------------------------------------------------------===//

lariat_session_options runtime_c::getDefaultSessionOptions() {
  lariat_session_options options{};
  options.struct_size = sizeof options;
  const runtime::SessionOptions defaults{};
  options.max_rows = defaults.maxRows;
  options.pin_threads = 1;
  options.verify_weights = 1;
  return options;
}

lariat_batch runtime_c::getDefaultBatch() {
  lariat_batch batch{};
  batch.struct_size = sizeof batch;
  return batch;
}

lariat_engine_options runtime_c::getDefaultEngineOptions() {
  lariat_engine_options options{};
  options.struct_size = sizeof options;
  const runtime::EngineOptions defaults{};
  options.max_rows = defaults.maxRows;
  options.chunk_rows = defaults.chunkRows;
  options.order = LARIAT_ORDER_OLDEST;
  options.loop = LARIAT_LOOP_AUTO;
  options.prefix_cache = 1;
  return options;
}

lariat_engine_experiment runtime_c::getDefaultEngineExperiment() {
  lariat_engine_experiment experiment{};
  experiment.struct_size = sizeof experiment;
  experiment.refills = experiment.splits_loop = 1;
  return experiment;
}

void runtime_c::verifySize(size_t found, std::span<const size_t> known, const char *name) {
  if (std::ranges::find(known, found) != known.end())
    return;
  std::string list;
  for (size_t size : known)
    list += (list.empty() ? "" : " or ") + std::to_string(size);
  throw Failure{LARIAT_STATUS_MISUSE, "struct_size of the " + std::string(name) + " is " + std::to_string(found) +
                                          ", this version expects " + list};
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

[[noreturn]] static void failMisuse(std::string text) { throw Failure{LARIAT_STATUS_MISUSE, std::move(text)}; }

/// Where `count` entries are announced, they must be there.
static void verifyArray(const void *data, int64_t count, const char *name) {
  if (count < 0)
    failMisuse("the number of '" + std::string(name) + "' is " + std::to_string(count) + ", expected 0 or more");
  if (count > 0 && !data)
    failMisuse("'" + std::string(name) + "' is null");
}

static std::vector<std::vector<int64_t>> readSequences(const lariat_batch &batch) {
  verifyArray(batch.lengths, batch.num_sequences, "lengths");
  std::vector<std::vector<int64_t>> sequences;
  const int64_t *next = batch.tokens;
  for (int64_t index = 0; index < batch.num_sequences; ++index) {
    int64_t length = batch.lengths[index];
    if (length < 0)
      failMisuse("the length of sequence " + std::to_string(index) + " is " + std::to_string(length));
    verifyArray(batch.tokens, length, "tokens");
    sequences.emplace_back(next, next + length);
    next += length;
  }
  return sequences;
}

requests::Request runtime_c::readBatch(const lariat_batch *given, const std::shared_ptr<SessionObject> &session,
                                       std::shared_ptr<bool> wasStopped) {
  verifyNotNull(given, "batch");
  lariat_batch batch = readStruct(given, getDefaultBatch(), "lariat_batch");
  requests::Request request;
  request.sequences = readSequences(batch);
  request.wantsStop = askCaller(batch.wants_stop, batch.user, session, std::move(wasStopped));
  return request;
}

runtime::StopQuestion runtime_c::askCaller(lariat_stop_callback ask, void *user,
                                           const std::shared_ptr<SessionObject> &session,
                                           std::shared_ptr<bool> wasStopped) {
  return [=, cancels = session->getNumCancels()] {
    bool stops = session->getNumCancels() != cancels;
    if (ask && !stops) {
      CallbackScope scope(*session);
      stops = ask(user) != 0;
    }
    *wasStopped |= stops;
    return stops;
  };
}

/// Reads the text of the options, which may be null.
template <typename Request>
static void readText(const char *options, Request &request) {
  if (options)
    if (runtime::Status status = requests::readOptions(options, request))
      failMisuse(status.text());
}

requests::ScoreRequest runtime_c::readScore(const lariat_batch *batch, const char *options,
                                            const std::shared_ptr<SessionObject> &session,
                                            std::shared_ptr<bool> wasStopped) {
  requests::ScoreRequest request;
  static_cast<requests::Request &>(request) = readBatch(batch, session, std::move(wasStopped));
  readText(options, request);
  const float *const *states = readStruct(batch, getDefaultBatch(), "lariat_batch").initial_states;
  if (states) {
    request.initialState.emplace();
    for (size_t index = 0; index < request.sequences.size(); ++index)
      request.initialState->push_back({.data = states[index],
                                       .numRows = static_cast<int64_t>(request.sequences[index].size()),
                                       .width = session->session->getFacts().stateWidth});
  }
  return request;
}

requests::GenerateRequest runtime_c::readGenerate(const lariat_batch *batch, const char *options,
                                                  const std::shared_ptr<SessionObject> &session,
                                                  std::shared_ptr<bool> wasStopped) {
  requests::GenerateRequest request;
  static_cast<requests::Request &>(request) = readBatch(batch, session, std::move(wasStopped));
  readText(options, request);
  return request;
}

//===----------------------------------------------------------------------===//
// Texts
//===----------------------------------------------------------------------===//

char *runtime_c::copyText(std::string_view text) {
  auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy) {
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
  }
  return copy;
}

lariat_status runtime_c::fail(const Failure &failure, char **error) {
  if (error)
    *error = copyText(failure.text.empty() ? "there is no memory" : failure.text);
  return failure.status;
}

std::string runtime_c::describeSlots(const std::vector<runtime::CacheCount> &counts,
                                     const requests::RequestFacts &facts) {
  using nlohmann::json;
  json caches = json::object();
  for (const runtime::CacheCount &count : counts) {
    json slots = json::array();
    for (const runtime::SlotCount &slot : count.slots)
      slots.push_back({{"computed", slot.computed}, {"filled", slot.filled}});
    json layers = json::array();
    for (int64_t layer = 0; layer < facts.caches[count.cache].layers; ++layer)
      layers.push_back(slots);
    caches[facts.caches[count.cache].name] = std::move(layers);
  }
  return caches.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}
