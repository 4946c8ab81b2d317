// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sessions and scores of include/lariat-c/Runtime.h.

#include "Options.h"

#include "lariat/Requests/Options.h"

#include <algorithm>
#include <cstdlib>

using namespace lariat;
using namespace lariat::runtime_c;

extern "C" {

uint32_t lariat_runtime_version(void) { return LARIAT_RUNTIME_VERSION_MAJOR << 16 | LARIAT_RUNTIME_VERSION_MINOR; }

void lariat_text_destroy(char *text) { std::free(text); }

void lariat_session_options_init(lariat_session_options *options, size_t struct_size) {
  initStruct(options, struct_size, getDefaultSessionOptions());
}
void lariat_batch_init(lariat_batch *batch, size_t struct_size) { initStruct(batch, struct_size, getDefaultBatch()); }

const char *lariat_request_options(void) {
  static const std::string text = requests::describeOptions();
  return text.c_str();
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

lariat_status lariat_session_open(const char *path, const lariat_session_options *options, lariat_session **session,
                                  char **error) {
  return guard(error, [&] {
    verifyNotNull(path, "path");
    verifyNotNull(session, "session");
    lariat_session_options given = readStruct(options, getDefaultSessionOptions(), "lariat_session_options");
    if (given.threads < 0 || given.max_rows < 1 || given.kv_bytes < 0)
      throw Failure{LARIAT_STATUS_MISUSE, "threads, max_rows and kv_bytes are " + std::to_string(given.threads) + ", " +
                                              std::to_string(given.max_rows) + " and " +
                                              std::to_string(given.kv_bytes) + ", expected at least 0, 1 and 0"};
    runtime::SessionOptions chosen;
    if (given.order < LARIAT_ORDER_OLDEST || given.order > LARIAT_ORDER_DEEPEST)
      throw Failure{LARIAT_STATUS_MISUSE, "the order is " + std::to_string(given.order) + ", expected 0 to 2"};
    chosen.maxRows = given.max_rows;
    chosen.order = static_cast<runtime::Order>(given.order);
    chosen.open = {.threads = given.threads,
                   .pinThreads = given.pin_threads != 0,
                   .isa = given.isa ? given.isa : "",
                   .verify = given.verify_weights ? runtime::Verify::Full : runtime::Verify::Code,
                   .kvBytes = given.kv_bytes};
    auto object = std::make_shared<SessionObject>();
    claimProcess();
    runtime::Expected<std::unique_ptr<runtime::Session>> opened = runtime::Session::open(path, chosen);
    if (!opened) {
      leaveProcess();
      throw Failure{LARIAT_STATUS_ARTEFACT, opened.text()};
    }
    object->session = std::move(*opened);
    *session = makeHandle(std::move(object));
  });
}

lariat_status lariat_session_close(lariat_session *session, char **error) {
  return guard(error, [&] {
    std::shared_ptr<SessionObject> object = find(session);
    verifyNoCallback(*object);
    object->close();
  });
}

void lariat_session_destroy(lariat_session *session) {
  (void)guard(nullptr, [&] {
    if (std::shared_ptr<SessionObject> object = drop(session))
      object->close();
  });
}

void lariat_session_cancel(lariat_session *session) { cancel(session); }

lariat_status lariat_session_manifest(lariat_session *session, char **text, char **error) {
  return guard(error, [&] {
    std::shared_ptr<SessionObject> object = find(session);
    verifyNotNull(text, "text");
    *text = copyText(manifest::print(object->session->getModel().getManifest()));
    if (!*text)
      throw std::bad_alloc();
  });
}

lariat_status lariat_session_get_info(lariat_session *session, lariat_session_info *info, char **error) {
  return guard(error, [&] {
    std::shared_ptr<SessionObject> object = find(session);
    verifyNoCallback(*object);
    const runtime::Model &model = object->session->getModel();
    runtime::MemoryUse use = model.getMemoryUse();
    lariat_session_info value{};
    value.threads = model.getNumThreads();
    value.state_columns = object->session->getFacts().stateWidth;
    value.kv_live_bytes = use.liveBytes;
    value.kv_page_bytes = use.pageBytes;
    model.getIsa().copy(value.isa, sizeof value.isa - 1);
    value.weight_bytes = use.weightBytes;
    value.arena_bytes = use.arenaBytes;
    value.cell_bytes = use.cellBytes;
    value.scratch_bytes = use.scratchBytes;
    writeStruct(info, value, "lariat_session_info");
  });
}

} // extern "C"

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Scores or encodes, and keeps the result.
template <typename Run>
static lariat_scores *runScores(const std::shared_ptr<SessionObject> &session, const std::shared_ptr<bool> &wasStopped,
                                Run run) {
  runtime::Expected<std::vector<runtime::SequenceScores>> scores = run();
  if (!scores)
    throw Failure{*wasStopped ? LARIAT_STATUS_STOPPED : LARIAT_STATUS_REQUEST, scores.text()};
  auto object = std::make_shared<ScoresObject>();
  object->scores = std::move(*scores);
  for (const runtime::SequenceScores &score : object->scores)
    object->slots.push_back(describeSlots(score.caches, session->session->getFacts()));
  return makeHandle(std::move(object));
}

extern "C" {

lariat_status lariat_score(lariat_session *session, const lariat_batch *batch, const char *options,
                           lariat_scores **scores, char **error) {
  return guard(error, [&] {
    std::shared_ptr<SessionObject> object = find(session);
    verifyNoCallback(*object);
    verifyNotNull(scores, "scores");
    auto wasStopped = std::make_shared<bool>(false);
    requests::ScoreRequest request = readScore(batch, options, object, wasStopped);
    *scores = runScores(object, wasStopped, [&] { return object->session->score(request); });
  });
}

lariat_status lariat_encode(lariat_session *session, const lariat_batch *batch, lariat_scores **scores, char **error) {
  return guard(error, [&] {
    std::shared_ptr<SessionObject> object = find(session);
    verifyNoCallback(*object);
    verifyNotNull(scores, "scores");
    auto wasStopped = std::make_shared<bool>(false);
    requests::Request request = readBatch(batch, object, wasStopped);
    *scores = runScores(object, wasStopped, [&] { return object->session->encode(request); });
  });
}

lariat_status lariat_scores_get(lariat_scores *scores, int64_t sequence, lariat_sequence_scores *result, char **error) {
  return guard(error, [&] {
    std::shared_ptr<ScoresObject> object = find(scores);
    if (sequence < 0 || sequence >= static_cast<int64_t>(object->scores.size()))
      throw Failure{LARIAT_STATUS_MISUSE, "sequence " + std::to_string(sequence) + " is not one of the " +
                                              std::to_string(object->scores.size()) + " of the result"};
    const runtime::SequenceScores &score = object->scores[sequence];
    lariat_sequence_scores value{};
    value.num_rows = static_cast<int64_t>(score.steps.size());
    value.num_logits = score.logits.numColumns;
    value.logits = value.num_logits ? score.logits.data() : nullptr;
    value.num_hidden = score.hidden.numColumns;
    value.hidden = value.num_hidden ? score.hidden.data() : nullptr;
    value.steps = score.steps.data();
    value.slots = object->slots[sequence].c_str();
    writeStruct(result, value, "lariat_sequence_scores");
  });
}

void lariat_scores_destroy(lariat_scores *scores) {
  (void)guard(nullptr, [&] { drop(scores); });
}

} // extern "C"
