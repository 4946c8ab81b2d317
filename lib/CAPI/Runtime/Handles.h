// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. What handles of the C interface stand for. A handle is a number that is never given twice, so one that was
// destroyed is noticed; whoever uses an object shares it, so it may be destroyed meanwhile.

#ifndef LARIAT_LIB_CAPI_RUNTIME_HANDLES_H
#define LARIAT_LIB_CAPI_RUNTIME_HANDLES_H

#include "lariat-c/Experimental.h"
#include "lariat-c/Runtime.h"
#include "lariat/Runtime/Engine/Baselines.h"
#include "lariat/Runtime/Session/Session.h"

#include <atomic>
#include <memory>

namespace lariat::runtime_c {

/// What a function came to, if not to success.
struct Failure {
  lariat_status status;
  std::string text;
};

/// How often a session was told to cancel. In a fixed table, so that a handler of a signal can find it without a lock.
struct CancelCount {
  std::atomic<uintptr_t> handle = 0; ///< 0: nobody's
  std::atomic<uint32_t> count = 0;
};

struct SessionObject {
  SessionObject();
  ~SessionObject();
  SessionObject(const SessionObject &) = delete;
  SessionObject &operator=(const SessionObject &) = delete;

  uint32_t getNumCancels() const { return cancels ? cancels->count.load(std::memory_order_relaxed) : 0; }

  /// Closes the session, which counts as open until the first call of this.
  void close();

  std::unique_ptr<runtime::Session> session;
  std::atomic<bool> isClosed = false;
  CancelCount *cancels = nullptr; ///< null where the table was full
};

/// Counts in the entry of a handle, if it has one. For handlers of signals.
void cancel(const void *handle);

struct ScoresObject {
  std::vector<runtime::SequenceScores> scores;
  std::vector<std::string> slots; ///< JSON
};

/// Tokens as the interface shows them.
struct ShownTokens {
  std::vector<lariat_token> list;
  std::vector<std::vector<int64_t>> topIds;
  std::vector<std::vector<float>> topLogprobs;

  void clear();
  void add(int64_t sequence, const runtime::Choice &choice, int32_t steps);
};

struct GenerationObject {
  std::shared_ptr<SessionObject> session;
  std::unique_ptr<runtime::Generation> generation;
  std::atomic<bool> isBusy = false;
  std::shared_ptr<bool> wasStopped; ///< by a callback
  // What the caller was shown last.
  ShownTokens tokens;
  std::vector<std::string> slots;
};

struct EngineObject {
  std::shared_ptr<SessionObject> session;
  lariat_stop_callback wantsStop = nullptr;
  void *user = nullptr;
  std::unique_ptr<runtime::Engine> engine;
  std::shared_ptr<runtime::BaselinePolicy> baseline; ///< of an experiment
  std::shared_ptr<runtime::Schedule> schedule;       ///< what is recorded, if anything
  std::atomic<bool> isBusy = false;
  bool isBroken = false; ///< an exception left a tick
  // What the caller was shown last.
  ShownTokens tokens;
  std::vector<runtime::EngineEnd> ends;
  std::vector<lariat_request_end> shownEnds;
};

lariat_session *makeHandle(std::shared_ptr<SessionObject> object);
lariat_scores *makeHandle(std::shared_ptr<ScoresObject> object);
lariat_generation *makeHandle(std::shared_ptr<GenerationObject> object);
lariat_engine *makeHandle(std::shared_ptr<EngineObject> object);

/// The object of a handle; throws a Failure where there is none.
std::shared_ptr<SessionObject> find(lariat_session *handle);
std::shared_ptr<ScoresObject> find(lariat_scores *handle);
std::shared_ptr<GenerationObject> find(lariat_generation *handle);
std::shared_ptr<EngineObject> find(lariat_engine *handle);

/// Ends a handle; null where there is none.
std::shared_ptr<SessionObject> drop(lariat_session *handle);
std::shared_ptr<ScoresObject> drop(lariat_scores *handle);
std::shared_ptr<GenerationObject> drop(lariat_generation *handle);
std::shared_ptr<EngineObject> drop(lariat_engine *handle);

/// Whether this is a child of the process that has a session open. Without one, a child inherits nothing that it could
/// not use.
bool isForked();
/// Says that this process opens one, and that one was closed.
void claimProcess();
void leaveProcess();
/// Throws a Failure in such a child. To be asked before any lock is taken, which a child may find taken for ever.
void verifyProcess();

/// Marks that the calling thread runs a callback for a session.
class CallbackScope {
public:
  explicit CallbackScope(const SessionObject &session);
  ~CallbackScope();
  CallbackScope(const CallbackScope &) = delete;
  CallbackScope &operator=(const CallbackScope &) = delete;

private:
  const SessionObject *outer;
};

/// Throws a Failure where the calling thread runs a callback for the session.
void verifyNoCallback(const SessionObject &session);

} // namespace lariat::runtime_c

#endif // LARIAT_LIB_CAPI_RUNTIME_HANDLES_H
