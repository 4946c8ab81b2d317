// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opening, closing and asking a model. What can be wrong with a call is in Runner.cpp.

#include "lariat/Runtime/Call/Model.h"

#include "ModelState.h"
#include "Runner.h"

#include <algorithm>
#include <unistd.h>

using namespace lariat;
using namespace lariat::runtime;

/// Slots that a cache may have where its manifest sets no bound.
static constexpr int64_t kMostSlots = int64_t(1) << 20;

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

Status ModelState::verifyProcess() const {
  if (process == getpid())
    return Status::success();
  return makeError(artefact->getPath(), " was opened by process ", process, ", this is its child ", getpid(),
                   ", which has to open it again");
}

Status ModelState::verifyOpen() const {
  return closed ? Status(makeError(artefact->getPath(), " is closed")) : Status::success();
}

static std::vector<CacheFacts> describeCaches(const Manifest &manifest) {
  std::vector<CacheFacts> facts;
  for (const Cache &cache : manifest.caches)
    facts.push_back({cache.name,
                     {cache.layers * cache.heads, cache.dim, getElementBytes(cache.type)},
                     cache.slotsAtMost.value_or(kMostSlots),
                     cache.transient});
  return facts;
}

/// The missing mode that the model declares: that of its first cache with one.
static std::optional<std::string> findDeclaredMissing(const nlohmann::json &manifest) {
  auto caches = manifest.find("caches");
  if (caches == manifest.end() || !caches->is_array())
    return std::nullopt;
  for (const nlohmann::json &cache : *caches)
    if (cache.is_object())
      if (auto missing = cache.find("missing"); missing != cache.end() && missing->is_string())
        return missing->get<std::string>();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Life
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<Model>> Model::open(const std::string &path, const OpenOptions &options) {
  if (options.kvBytes < 0)
    return makeError("a limit of ", options.kvBytes, " bytes of pages, expected 0 for none or more");
  if (options.threads < 0)
    return makeError(options.threads, " threads, expected 0 for one per core or 1 to ", kMaxThreads);
  auto state = std::make_shared<ModelState>();
  state->process = getpid();
  state->numThreads = options.threads == 0 ? getDefaultNumThreads() : options.threads;
  Expected<std::unique_ptr<Artefact>> artefact =
      Artefact::load(path, {.isa = options.isa, .verify = options.verify}, &getServices());
  if (!artefact)
    return artefact.takeError();
  state->artefact = std::move(*artefact);
  Expected<std::shared_ptr<ThreadPool>> threads = ThreadPool::get(state->numThreads, options.pinThreads);
  if (!threads)
    return threads.takeError();
  state->threads = std::move(*threads);
  const Manifest &manifest = state->getManifest();
  state->kv = std::make_unique<KVPool>(describeCaches(manifest), options.kvBytes);
  for (const State &entry : manifest.states)
    state->stateShapes.push_back({entry.layers, entry.width, getElementBytes(entry.type)});
  state->declaredMissing = findDeclaredMissing(manifest.json);
  return std::unique_ptr<Model>(new Model(std::move(state)));
}

Model::~Model() { close(); }

void Model::close() {
  if (state->verifyProcess())
    return;
  std::lock_guard lock(state->mutex);
  state->closed = true;
  state->artefact->unload();
  state->kv.reset();
  state->memory = {};
  state->states.clear();
}

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

const Manifest &Model::getManifest() const { return state->getManifest(); }
const std::string &Model::getPath() const { return state->artefact->getPath(); }
const std::string &Model::getIsa() const { return state->artefact->getIsa(); }
int64_t Model::getNumThreads() const { return state->numThreads; }

MemoryUse Model::getMemoryUse() const {
  MemoryUse use;
  if (state->verifyProcess())
    return use;
  std::lock_guard lock(state->mutex);
  if (state->closed)
    return use;
  use.limitBytes = state->kv->getBudget().limit;
  use.weightBytes = state->artefact->getWeightBytes();
  use.arenaBytes = state->memory.getArenaBytes();
  use.cellBytes = state->memory.getCellBytes();
  use.scratchBytes = state->memory.getScratchBytes();
  for (int64_t index = 0; index < state->kv->getNumCaches(); ++index) {
    use.pageBytes += state->kv->getPages(index).getNumTaken() * state->kv->getPages(index).getPageBytes();
    for (const SequenceMemory *sequence : state->sequences)
      for (const std::unique_ptr<Table> &table : sequence->caches[index].getTables())
        use.liveBytes += table ? table->size() * state->kv->getFacts(index).layout.getEntryBytes() : 0;
  }
  return use;
}

/// "forward (generate, missing = skip, derived)".
static std::string describe(std::string_view name, std::string_view mode, const std::optional<std::string> &missing,
                            bool derived) {
  std::string text = std::string(name) + " (" + std::string(mode);
  if (missing)
    text += ", missing = " + *missing;
  return text + (derived ? ", derived)" : ")");
}

Expected<const Function *> Model::findFunction(const FunctionKey &key) const {
  auto isDeclared = [&](const std::optional<std::string> &missing) {
    return !missing || missing == state->declaredMissing;
  };
  auto fits = [&](const auto &variant) {
    return variant.mode == key.mode && variant.derived == key.derived &&
           (variant.missing == key.missing || (isDeclared(variant.missing) && isDeclared(key.missing)));
  };
  const Manifest &manifest = getManifest();
  std::string offered;
  for (const Function &function : manifest.functions) {
    if (function.name == key.name && fits(function))
      return &function;
    offered +=
        (offered.empty() ? "" : ", ") + describe(function.name, function.mode, function.missing, function.derived);
  }
  std::string wanted = describe(key.name, key.mode, key.missing, key.derived);
  for (const RefusedVariant &variant : manifest.refused)
    if (fits(variant))
      return makeError(getPath(), " has no function ", wanted, ": ", variant.error);
  return makeError(getPath(), " has no function ", wanted, ", only ", offered.empty() ? "none" : offered);
}

//===----------------------------------------------------------------------===//
// Use
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<Sequence>> Model::createSequence() {
  if (Status status = state->verifyProcess())
    return status.takeError();
  std::lock_guard lock(state->mutex);
  if (Status status = state->verifyOpen())
    return status.takeError();
  auto memory = std::make_unique<SequenceMemory>(state->kv->getNumCaches(), state->stateShapes.size());
  state->sequences.insert(memory.get());
  return std::unique_ptr<Sequence>(new Sequence(state, std::move(memory)));
}

Expected<std::unique_ptr<ThreadPool::Lease>> Model::holdThreads() {
  if (Status status = state->verifyProcess())
    return status.takeError();
  return std::make_unique<ThreadPool::Lease>(*state->threads);
}

Status Model::call(const CallRequest &request, CallResult &result) {
  if (Status status = state->verifyProcess())
    return status;
  ThreadPool::Lease lease(*state->threads);
  std::lock_guard lock(state->mutex);
  if (Status status = state->verifyOpen())
    return status;
  const std::vector<Function> &functions = getManifest().functions;
  bool isOurs = std::ranges::any_of(functions, [&](const Function &known) { return &known == request.function; });
  if (!isOurs)
    return makeError("the call names no function of ", getPath());
  return Runner(*state, request, result).run();
}
