// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Reading the structures of the C interface, and the frame that every function runs in.

#ifndef LARIAT_LIB_CAPI_RUNTIME_OPTIONS_H
#define LARIAT_LIB_CAPI_RUNTIME_OPTIONS_H

#include "Handles.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <new>
#include <span>

namespace lariat::runtime_c {

/// Defaults of each kind.
lariat_session_options getDefaultSessionOptions();
lariat_batch getDefaultBatch();
lariat_engine_options getDefaultEngineOptions();
lariat_engine_experiment getDefaultEngineExperiment();

/// The sizes that a structure has had, oldest first. Who adds a member enters the size before it here, and adds it so
/// that the size grows.
template <typename T>
struct KnownSizes {
  static constexpr std::array values{sizeof(T)};
};
template <>
struct KnownSizes<lariat_session_options> {
  static constexpr std::array values{offsetof(lariat_session_options, order), sizeof(lariat_session_options)};
};
template <>
struct KnownSizes<lariat_session_info> {
  static constexpr std::array values{offsetof(lariat_session_info, weight_bytes), sizeof(lariat_session_info)};
};
template <>
struct KnownSizes<lariat_engine_options> {
  static constexpr std::array values{offsetof(lariat_engine_options, wants_stop), sizeof(lariat_engine_options)};
};

/// Throws a Failure where no version of a structure had its size.
void verifySize(size_t found, std::span<const size_t> known, const char *name);

/// The structure that a caller gave, or the defaults for null and for members that it does not have.
template <typename T>
T readStruct(const T *given, const T &defaults, const char *name) {
  T result = defaults;
  if (!given)
    return result;
  verifySize(given->struct_size, KnownSizes<T>::values, name);
  std::memcpy(static_cast<void *>(&result), given, given->struct_size);
  return result;
}

/// Throws a Failure where a caller gave no structure for results, or one of a wrong size.
template <typename T>
void verifyResult(const T *given, const char *name) {
  if (!given)
    throw Failure{LARIAT_STATUS_MISUSE, std::string("the ") + name + " is null"};
  verifySize(given->struct_size, KnownSizes<T>::values, name);
}

/// Fills a structure of results that a caller gave.
template <typename T>
void writeStruct(T *given, T value, const char *name) {
  verifyResult(given, name);
  value.struct_size = given->struct_size;
  std::memcpy(static_cast<void *>(given), &value, value.struct_size);
}

/// Sets as many bytes of a caller's structure as it has.
template <typename T>
void initStruct(T *given, size_t structSize, T defaults) {
  if (!given || structSize < sizeof(size_t))
    return;
  std::memset(static_cast<void *>(given), 0, structSize);
  defaults.struct_size = structSize;
  std::memcpy(static_cast<void *>(given), &defaults, structSize < sizeof(T) ? structSize : sizeof(T));
}

/// Throws a Failure for null.
template <typename T>
void verifyNotNull(const T *pointer, const char *name) {
  if (!pointer)
    throw Failure{LARIAT_STATUS_MISUSE, std::string("the argument '") + name + "' is null"};
}

/// Holds an object for one call; a second one at the same time is an error.
class Use {
public:
  Use(std::atomic<bool> &isBusy, const SessionObject &session, const char *what) : isBusy(isBusy) {
    verifyNoCallback(session);
    if (isBusy.exchange(true))
      throw Failure{LARIAT_STATUS_MISUSE, std::string("the ") + what + " is in use by another call"};
  }
  ~Use() { isBusy = false; }
  Use(const Use &) = delete;
  Use &operator=(const Use &) = delete;

private:
  std::atomic<bool> &isBusy;
};

/// Asks a caller's callback, which may be null, and whether the session was told to cancel since now.
runtime::StopQuestion askCaller(lariat_stop_callback ask, void *user, const std::shared_ptr<SessionObject> &session,
                                std::shared_ptr<bool> wasStopped);

/// What every request has.
requests::Request readBatch(const lariat_batch *batch, const std::shared_ptr<SessionObject> &session,
                            std::shared_ptr<bool> wasStopped);
requests::ScoreRequest readScore(const lariat_batch *batch, const char *options,
                                 const std::shared_ptr<SessionObject> &session, std::shared_ptr<bool> wasStopped);
requests::GenerateRequest readGenerate(const lariat_batch *batch, const char *options,
                                       const std::shared_ptr<SessionObject> &session, std::shared_ptr<bool> wasStopped);

/// Opens an engine. `change` may change its options, and what its handle keeps.
lariat_engine *openEngine(lariat_session *session, const lariat_engine_options *options,
                          const std::function<void(runtime::EngineOptions &, EngineObject &)> &change);
/// The requests of a batch to an engine.
std::vector<runtime::EngineRequest> readRequests(const EngineObject &engine, const lariat_batch *batch,
                                                 const char *options);
/// A text for the caller to free; null where there is no memory.
char *copyText(std::string_view text);

/// Cache entries as JSON.
std::string describeSlots(const std::vector<runtime::CacheCount> &counts, const requests::RequestFacts &facts);

/// A profile as JSON; throws a Failure where none is kept.
std::string describeProfile(const std::optional<runtime::EngineProfile> &profile, const runtime::Session &session);

lariat_status fail(const Failure &failure, char **error);

/// Runs the body of a function of the interface; no exception leaves it.
template <typename Body>
lariat_status guard(char **error, Body body) noexcept {
  try {
    verifyProcess();
    body();
    return LARIAT_STATUS_OK;
  } catch (const Failure &failure) {
    return fail(failure, error);
  } catch (const std::bad_alloc &) {
    return fail({LARIAT_STATUS_MEMORY, {}}, error);
  } catch (...) {
    return fail({LARIAT_STATUS_REQUEST, "an unexpected exception ended the call"}, error);
  }
}

} // namespace lariat::runtime_c

#endif // LARIAT_LIB_CAPI_RUNTIME_OPTIONS_H
