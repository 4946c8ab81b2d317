// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. What a model and its sequences share, and what one call of compiled code needs of it. Everything but what is
// said to be constant is guarded by `mutex`.

#ifndef LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H
#define LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H

#include "PrefixCache.h"
#include "lariat/Artefact/Fault.h"
#include "lariat/Runtime/Call/Call.h"
#include "lariat/Runtime/Device/Device.h"
#include "lariat/Runtime/Load/Artefact.h"
#include "lariat/Runtime/Memory/CallMemory.h"
#include "lariat/Runtime/Memory/RopeTables.h"

#include <array>
#include <map>
#include <mutex>
#include <span>
#include <sys/types.h>

namespace lariat::runtime {

/// A sequence that has entries a request needs, and of how many of its rows.
struct PrefixSource {
  const SequenceMemory *memory = nullptr;
  int64_t numRows = 0;
  bool isRetained = false;
};

struct ModelState {
  ModelState(std::unique_ptr<Artefact> artefact, std::shared_ptr<Device> device)
      : artefact(std::move(artefact)), device(std::move(device)), views(getMemory()) {}

  std::mutex mutex;
  std::unique_ptr<Artefact> artefact;         ///< constant; without code once closed
  std::shared_ptr<Device> device;             ///< constant; who wants both holds it before the lock
  pid_t process = 0;                          ///< constant: who opened it
  std::optional<std::string> declaredMissing; ///< constant
  std::vector<StateShape> stateShapes;        ///< constant
  bool closed = false;
  const std::byte *weights = nullptr; ///< that kernels read: the mapped ones, or a copy of them
  DeviceBuffer weightCopy;
  std::unique_ptr<KVPool> kv;
  CallMemory memory;
  RopeTables ropeTables;
  std::vector<BatchState> states;
  ViewMemory views;
  int64_t numSequences = 0;                      ///< so far
  std::map<int64_t, SequenceMemory *> sequences; ///< all that callers hold, in the order that they were made
  PrefixCache prefixes;                          ///< all that are retained

  const Manifest &getManifest() const { return artefact->getManifest(); }
  DeviceMemory &getMemory() const { return device->getMemory(); }
  /// Whether the calling process is the one that opened the model. To be asked before the lock, which a child of fork
  /// may find taken for ever.
  Status verifyProcess() const;
  Status verifyOpen() const;
  /// Gives a sequence that a caller is to hold its number.
  void addSequence(SequenceMemory &sequence);
  /// Who has most of a request's rows: of several, one that is retained, then the oldest.
  PrefixSource findSource(const PrefixKey &key, const PhasedTokens &rows) const;
  /// The memory of a sequence that begins with the rows of a source, or with none where pages lack.
  std::unique_ptr<SequenceMemory> start(const PrefixSource &source);
};

/// abi::Call::runtime.
struct CallContext {
  ModelState &model;
  std::span<SequenceMemory *const> sequences;
  LaunchCounts *launches;         ///< or null
  StopPoll *stop;                 ///< or null
  int64_t numDepths;              ///< that its rows may reach
  Status status;                  ///< the first thing that went wrong
  StopPoll::Time lastRegion = {}; ///< when it ended; only if there is a question
  bool isSlow = false;            ///< it took so long that the question is to be asked between kernels, too

  void fail(Error error) {
    if (status.ok())
      status = std::move(error);
  }
  /// Whether the rest of the call is of no use: it failed or was stopped. Code then runs to its end without kernels,
  /// with empty row sets, and with entries and views of nothing.
  bool isOver() const { return !status.ok(); }
  /// As `fail`, in the words of Artefact/Fault.h; `name` is that of the cache or weight.
  void fault(const std::array<int64_t, abi::kNumFaultWords> &words, std::string_view name) {
    fail(makeError(abi::describeFault(words.data(), name)));
  }
};

/// What compiled code is bound to.
const abi::Services &getServices();
/// Addresses of abi::kLibraryFunctions.
void *const *getLibrary();

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_CALL_MODELSTATE_H
