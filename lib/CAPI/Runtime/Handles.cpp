// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of handles. It is never taken down: a process that ends while it has sessions leaves them to the system, as
// a child of fork must.

#include "Handles.h"

#include <array>
#include <mutex>
#include <unistd.h>
#include <unordered_map>
#include <variant>

using namespace lariat::runtime_c;

namespace {

using Object = std::variant<std::shared_ptr<SessionObject>, std::shared_ptr<ScoresObject>,
                            std::shared_ptr<GenerationObject>, std::shared_ptr<EngineObject>>;

struct Table {
  std::mutex mutex;
  std::unordered_map<uintptr_t, Object> objects;
  uintptr_t next = 1;
};

} // namespace

static Table &getTable() {
  static auto *table = new Table;
  return *table;
}

/// Who has sessions open; 0: nobody.
static std::atomic<pid_t> owner = 0;
static int64_t numOpen = 0; ///< sessions; guarded by the table's mutex
static thread_local const SessionObject *serving = nullptr;

//===----------------------------------------------------------------------===//
// Handles
//===----------------------------------------------------------------------===//

template <typename T>
static uintptr_t insert(std::shared_ptr<T> object) {
  Table &table = getTable();
  std::lock_guard lock(table.mutex);
  // Not aligned as a pointer to anything is, so that nothing else can be taken for it.
  uintptr_t number = table.next++ * 16 + 7;
  table.objects.emplace(number, std::move(object));
  return number;
}

template <typename T>
static std::shared_ptr<T> look(const void *handle, bool drops) {
  Table &table = getTable();
  std::lock_guard lock(table.mutex);
  auto it = table.objects.find(reinterpret_cast<uintptr_t>(handle));
  if (it == table.objects.end() || !std::holds_alternative<std::shared_ptr<T>>(it->second))
    return nullptr;
  std::shared_ptr<T> object = std::get<std::shared_ptr<T>>(it->second);
  if (drops)
    table.objects.erase(it);
  return object;
}

template <typename T>
static std::shared_ptr<T> findObject(const void *handle, const char *what) {
  verifyProcess();
  if (!handle)
    throw Failure{LARIAT_STATUS_MISUSE, std::string("the ") + what + " is null"};
  if (std::shared_ptr<T> object = look<T>(handle, /*drops=*/false))
    return object;
  throw Failure{LARIAT_STATUS_MISUSE,
                std::string("the ") + what + " is none that exists: it was destroyed, or is a handle of another kind"};
}

template <typename T>
static std::shared_ptr<T> dropObject(const void *handle) {
  return !handle || isForked() ? nullptr : look<T>(handle, /*drops=*/true);
}

lariat_session *lariat::runtime_c::makeHandle(std::shared_ptr<SessionObject> object) {
  CancelCount *cancels = object->cancels;
  uintptr_t handle = insert(std::move(object));
  if (cancels)
    cancels->handle.store(handle, std::memory_order_release);
  return reinterpret_cast<lariat_session *>(handle);
}
lariat_scores *lariat::runtime_c::makeHandle(std::shared_ptr<ScoresObject> object) {
  return reinterpret_cast<lariat_scores *>(insert(std::move(object)));
}
lariat_generation *lariat::runtime_c::makeHandle(std::shared_ptr<GenerationObject> object) {
  return reinterpret_cast<lariat_generation *>(insert(std::move(object)));
}
lariat_engine *lariat::runtime_c::makeHandle(std::shared_ptr<EngineObject> object) {
  return reinterpret_cast<lariat_engine *>(insert(std::move(object)));
}

std::shared_ptr<SessionObject> lariat::runtime_c::find(lariat_session *handle) {
  return findObject<SessionObject>(handle, "session");
}
std::shared_ptr<ScoresObject> lariat::runtime_c::find(lariat_scores *handle) {
  return findObject<ScoresObject>(handle, "lariat_scores");
}
std::shared_ptr<GenerationObject> lariat::runtime_c::find(lariat_generation *handle) {
  return findObject<GenerationObject>(handle, "generation");
}
std::shared_ptr<EngineObject> lariat::runtime_c::find(lariat_engine *handle) {
  return findObject<EngineObject>(handle, "engine");
}

std::shared_ptr<SessionObject> lariat::runtime_c::drop(lariat_session *handle) {
  return dropObject<SessionObject>(handle);
}
std::shared_ptr<ScoresObject> lariat::runtime_c::drop(lariat_scores *handle) {
  return dropObject<ScoresObject>(handle);
}
std::shared_ptr<GenerationObject> lariat::runtime_c::drop(lariat_generation *handle) {
  return dropObject<GenerationObject>(handle);
}
std::shared_ptr<EngineObject> lariat::runtime_c::drop(lariat_engine *handle) {
  return dropObject<EngineObject>(handle);
}

//===----------------------------------------------------------------------===//
// Cancelling
//===----------------------------------------------------------------------===//

/// An entry that no session has a handle for yet.
static constexpr uintptr_t kTaken = 1;

/// More sessions than this at a time have no entry; they are only cancelled by their callbacks.
static std::array<CancelCount, 1024> cancelCounts;

SessionObject::SessionObject() {
  for (CancelCount &entry : cancelCounts) {
    uintptr_t free = 0;
    if (!entry.handle.compare_exchange_strong(free, kTaken))
      continue;
    cancels = &entry;
    return;
  }
}

void SessionObject::close() {
  session->close();
  if (!isClosed.exchange(true))
    leaveProcess();
}

SessionObject::~SessionObject() {
  if (cancels)
    cancels->handle.store(0, std::memory_order_release);
}

void lariat::runtime_c::cancel(const void *handle) {
  static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
  auto number = reinterpret_cast<uintptr_t>(handle);
  if (number == 0 || number == kTaken)
    return;
  for (CancelCount &entry : cancelCounts)
    if (entry.handle.load(std::memory_order_acquire) == number)
      entry.count.fetch_add(1, std::memory_order_relaxed);
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

void ShownTokens::clear() {
  list.clear();
  topIds.clear();
  topLogprobs.clear();
}

void ShownTokens::add(int64_t sequence, const runtime::Choice &choice, int32_t steps) {
  std::vector<int64_t> &ids = topIds.emplace_back();
  std::vector<float> &logprobs = topLogprobs.emplace_back();
  for (const runtime::TokenLogprob &top : choice.top) {
    ids.push_back(top.token);
    logprobs.push_back(top.logprob);
  }
  list.push_back({.sequence = sequence,
                  .id = choice.token,
                  .steps = steps,
                  .logprob = choice.logprob,
                  .top_ids = ids.data(),
                  .top_logprobs = logprobs.data(),
                  .num_top = static_cast<int64_t>(ids.size())});
}

//===----------------------------------------------------------------------===//
// Processes and callbacks
//===----------------------------------------------------------------------===//

bool lariat::runtime_c::isForked() {
  pid_t process = owner;
  return process != 0 && process != getpid();
}

void lariat::runtime_c::claimProcess() {
  std::lock_guard lock(getTable().mutex);
  verifyProcess();
  owner = getpid();
  ++numOpen;
}

void lariat::runtime_c::leaveProcess() {
  std::lock_guard lock(getTable().mutex);
  if (--numOpen == 0)
    owner = 0;
}

void lariat::runtime_c::verifyProcess() {
  if (isForked())
    throw Failure{LARIAT_STATUS_MISUSE, "process " + std::to_string(owner) +
                                            " opened an artefact before it forked, so " + "its child " +
                                            std::to_string(getpid()) + " cannot use the library"};
}

CallbackScope::CallbackScope(const SessionObject &session) : outer(serving) { serving = &session; }
CallbackScope::~CallbackScope() { serving = outer; }

void lariat::runtime_c::verifyNoCallback(const SessionObject &session) {
  if (serving == &session)
    throw Failure{LARIAT_STATUS_MISUSE, "a callback called back into the session that it serves"};
}
