// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. What a model and its sequences share, and what one call of compiled code needs of it. Everything but what is
// said to be constant is guarded by `mutex`.

#ifndef LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H
#define LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H

#include "lariat/Runtime/Call/Call.h"
#include "lariat/Runtime/KV/KVPool.h"
#include "lariat/Runtime/Load/Artefact.h"
#include "lariat/Runtime/Memory/CallMemory.h"
#include "lariat/Runtime/Memory/States.h"
#include "lariat/Runtime/Threads/ThreadPool.h"

#include <mutex>
#include <set>
#include <span>
#include <sys/types.h>

namespace lariat::runtime {

/// What a sequence keeps between calls.
class SequenceMemory {
public:
  SequenceMemory(size_t numCaches, size_t numStates) : caches(numCaches), states(numStates) {}

  std::vector<SequenceCache> caches;
  std::vector<SequenceState> states;
  int64_t length = 0;
  std::string failure; ///< of a call that broke off; empty: none
};

struct ModelState {
  std::mutex mutex;
  std::unique_ptr<Artefact> artefact;         ///< constant; without code once closed
  std::shared_ptr<ThreadPool> threads;        ///< constant; who wants both takes the lease before the lock
  int64_t numThreads = 1;                     ///< constant
  pid_t process = 0;                          ///< constant: who opened it
  std::optional<std::string> declaredMissing; ///< constant
  std::vector<StateShape> stateShapes;        ///< constant
  bool closed = false;
  std::unique_ptr<KVPool> kv;
  CallMemory memory;
  std::vector<BatchState> states;
  ViewMemory views;
  std::set<SequenceMemory *> sequences; ///< all that live

  const Manifest &getManifest() const { return artefact->getManifest(); }
  /// Whether the calling process is the one that opened the model. To be asked before the lock, which a child of fork
  /// may find taken for ever.
  Status verifyProcess() const;
  Status verifyOpen() const;
};

/// abi::Call::runtime.
struct CallContext {
  ModelState &model;
  std::span<SequenceMemory *const> sequences;
  LaunchCounts *launches; ///< or null
  Status status;          ///< the first thing that went wrong

  void fail(Error error) {
    if (status.ok())
      status = std::move(error);
  }
};

/// What compiled code is bound to.
const abi::Services &getServices();
/// Addresses of abi::kLibraryFunctions.
void *const *getLibrary();

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H
