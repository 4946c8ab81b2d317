// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. A loaded model. Example:
//
//   Expected<std::unique_ptr<Model>> model = Model::open("ouro.lariat", {.threads = 2});
//   if (!model) ... model.text() ...
//   Expected<const Function *> forward = (*model)->findFunction({.name = "forward", .mode = "generate"});
//   Expected<std::unique_ptr<Sequence>> sequence = (*model)->createSequence();
//   Sequence *sequences[] = {sequence->get()};
//   Row rows[] = {{.position = 0}, {.position = 1, .flags = abi::kWanted}};
//   int32_t ids[] = {1, 17};
//   int64_t loops[] = {4, 4};
//   CallRequest request{.function = *forward, .sequences = sequences, .rows = rows,
//                       .inputs = {{}, {ids, 2}, {loops, 2}}, .loops = 4};
//   CallResult result; // keep it: its memory is used again
//   if (Status status = (*model)->call(request, result)) ... status.text() ...
//   const float *logits = result.outputs[0].line<float>(0);
//
// All members may be called from any thread; calls of one model wait for each other. A model must not be used in a
// child of fork, which has no threads: every call there is an error.

#ifndef LARIAT_RUNTIME_CALL_MODEL_H
#define LARIAT_RUNTIME_CALL_MODEL_H

#include "lariat/Runtime/Call/Call.h"
#include "lariat/Runtime/Device/Device.h"
#include "lariat/Runtime/KV/PrefixKey.h"
#include "lariat/Runtime/Load/Artefact.h"

#include <memory>
#include <string>

namespace lariat::runtime {

struct OpenOptions {
  int64_t threads = 0; ///< 0: one per core that this process may use
  bool pinThreads = true;
  std::string isa = {}; ///< empty: the best that the artefact has and the machine runs
  Verify verify = Verify::Full;
  int64_t kvBytes = 0;                 ///< most bytes of pages of all caches together; 0: no limit
  std::shared_ptr<Device> device = {}; ///< null: the CPU, with these threads
};

/// Which function is asked for.
struct FunctionKey {
  std::string name = "forward";
  std::string mode = "score";
  std::optional<std::string> missing = {}; ///< none: the declared mode
  bool derived = false;
};

/// Memory of a model and all its sequences, retained ones too, in bytes. What several share counts once.
struct MemoryUse {
  int64_t liveBytes = 0;    ///< of keys and values: entries * bytes per entry
  int64_t pageBytes = 0;    ///< pages that tables hold
  int64_t limitBytes = 0;   ///< of pages; 0: none
  int64_t weightBytes = 0;  ///< mapped from their file
  int64_t tableBytes = 0;   ///< of rotary tables, as far as positions were reached
  int64_t arenaBytes = 0;   ///< of the largest call so far
  int64_t cellBytes = 0;    ///< the same
  int64_t scratchBytes = 0; ///< the same, of all threads
};

class Model {
public:
  static Expected<std::unique_ptr<Model>> open(const std::string &path, const OpenOptions &options);
  /// Closes. Sequences may outlive their model.
  ~Model();

  /// Frees code, weights and pages; waits for a call that runs. Everything afterwards is an error, nothing crashes.
  void close();

  /// Stays valid after close().
  const Manifest &getManifest() const;
  const std::string &getPath() const;
  const std::string &getIsa() const;
  int64_t getNumThreads() const;
  /// Where the data of InputArray::onDevice may be.
  DeviceMemory &getDeviceMemory() const;
  MemoryUse getMemoryUse() const;
  /// MemoryUse::pageBytes alone, which costs nothing.
  int64_t getPageBytes() const;

  /// The function of a variant; an error lists what there is, or says why the compiler refused the variant.
  Expected<const Function *> findFunction(const FunctionKey &key) const;

  Expected<std::unique_ptr<Sequence>> createSequence();
  /// One for a request under a key, which begins with the rows that others have settled: getLength() of them. Of models
  /// of free order without states only.
  Expected<std::unique_ptr<Sequence>> createSequence(const PrefixKey &key, const PhasedTokens &rows);
  /// Rows that such a sequence would begin with.
  int64_t countSettled(const PrefixKey &key, const PhasedTokens &rows) const;
  /// Keeps the settled rows of a sequence with a key for those to come, as long as pages last.
  void retain(std::unique_ptr<Sequence> sequence, const void *owner);
  /// Drops what an owner retained.
  void dropRetained(const void *owner);

  /// An error where the keys and values of so many rows of one sequence at so many loop steps are more than the limit
  /// of pages or the memory that is left.
  Status verifyRoom(int64_t rows, int64_t loops) const;

  /// Runs a function. An error before code runs (wrong shapes, no pages left, ...) changes nothing. An error that code
  /// reports leaves the sequences of this call unusable, and says so at their next call; others are not harmed.
  Status call(const CallRequest &request, CallResult &result);

private:
  explicit Model(std::shared_ptr<ModelState> state) : state(std::move(state)) {}

  std::shared_ptr<ModelState> state;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_CALL_MODEL_H
