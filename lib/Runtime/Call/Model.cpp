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

static std::vector<CacheSpec> describeCaches(const Artefact &artefact) {
  std::vector<CacheSpec> facts;
  for (const Cache &cache : artefact.getManifest().getAllCaches())
    facts.push_back({cache.name,
                     {cache.layers * cache.heads, cache.dim, getElementBytes(cache.type), artefact.getLayout().keys},
                     cache.slotsAtMost.value_or(kMaxSlots),
                     cache.transient,
                     cache.looped,
                     cache.prompt,
                     cache.generated,
                     cache.anySlot,
                     cache.depthFactor,
                     cache.followsLoops()});
  return facts;
}

/// The tables of a loaded artefact, whose weights hold the frequencies.
static std::vector<RopeFacts> describeRopeTables(const Artefact &artefact) {
  std::vector<RopeFacts> facts;
  for (const RopeTable &table : artefact.getManifest().code->ropeTables) {
    const auto *frequencies = reinterpret_cast<const double *>(artefact.getWeights() + table.frequencies);
    facts.push_back({table.offset,
                     table.positions,
                     table.lineBytes,
                     {frequencies, static_cast<size_t>(table.pairs)},
                     table.magnitude,
                     {table.angleDigits, table.angleMinExponent}});
  }
  return facts;
}

/// Has weights where the kernels of a device read them.
static Status placeWeights(ModelState &state) {
  const Artefact &artefact = *state.artefact;
  state.weights = artefact.getWeights();
  DeviceMemory &memory = state.getMemory();
  if (memory.isHost() || artefact.getWeightBytes() == 0)
    return Status::success();
  if (Status status = state.weightCopy.reserve(memory, Space::Device, artefact.getWeightBytes(), "weights"))
    return status;
  memory.upload(state.weightCopy.data(), artefact.getWeights(), artefact.getWeightBytes());
  state.weights = state.weightCopy.data();
  return memory.takeFault();
}

/// A missing mode as requests name it.
static std::optional<std::string> getWord(std::optional<abi::MissingMode> missing) {
  return missing ? std::optional<std::string>(abi::getName(*missing)) : std::nullopt;
}

/// The missing mode that the model declares: that of its first cache with one.
static std::optional<std::string> findDeclaredMissing(const Manifest &manifest) {
  for (const Cache &cache : manifest.caches)
    if (cache.missing)
      return getWord(cache.missing);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Life
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<Model>> Model::open(const std::string &path, const OpenOptions &options) {
  if (options.kvBytes < 0)
    return makeError("a limit of ", options.kvBytes, " bytes of pages, expected 0 for none or more");
  if (Status status = verifyNumThreads(options.threads))
    return status.takeError();
  Expected<std::unique_ptr<Artefact>> artefact =
      Artefact::load(path, {.isa = options.isa, .verify = options.verify}, &getServices());
  if (!artefact)
    return artefact.takeError();
  std::shared_ptr<Device> device = options.device;
  if (!device) {
    Expected<std::shared_ptr<Device>> cpu = openCPU(options.threads, options.pinThreads);
    if (!cpu)
      return cpu.takeError();
    device = std::move(*cpu);
  }
  auto state = std::make_shared<ModelState>(std::move(*artefact), std::move(device));
  state->process = getpid();
  const Manifest &manifest = state->getManifest();
  state->kv = std::make_unique<KVPool>(state->getMemory(), describeCaches(*state->artefact), options.kvBytes);
  for (const State &entry : manifest.states)
    state->stateShapes.push_back({entry.layers, entry.width, getElementBytes(entry.type), entry.depthFactor});
  if (Status status = placeWeights(*state))
    return status.takeError();
  if (Status status = state->ropeTables.reserve(state->getMemory(), describeRopeTables(*state->artefact)))
    return status.takeError();
  state->declaredMissing = findDeclaredMissing(manifest);
  return std::unique_ptr<Model>(new Model(std::move(state)));
}

Model::~Model() { close(); }

void Model::close() {
  if (state->verifyProcess())
    return;
  std::lock_guard lock(state->mutex);
  state->closed = true;
  state->ropeTables.release();
  state->artefact->unload();
  state->weights = nullptr;
  state->weightCopy.release();
  state->prefixes.forget();
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
int64_t Model::getNumThreads() const { return state->device->getNumThreads(); }
DeviceMemory &Model::getDeviceMemory() const { return state->getMemory(); }

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
  use.tableBytes = state->ropeTables.getBytes();
  use.cellBytes = state->memory.getCellBytes();
  use.scratchBytes = state->memory.getScratchBytes();
  use.pageBytes = state->kv->getBudget().used;
  for (int64_t index = 0; index < state->kv->getNumCaches(); ++index) {
    EntryCount entries(state->kv->getPages(index));
    for (const auto &[number, sequence] : state->sequences)
      entries.add(sequence->caches[index]);
    for (const PrefixCache::Entry &entry : state->prefixes.getEntries())
      entries.add(entry.memory->caches[index]);
    use.liveBytes += entries.get() * state->kv->getFacts(index).layout.getEntryBytes();
  }
  return use;
}

int64_t Model::getPageBytes() const {
  if (state->verifyProcess())
    return 0;
  std::lock_guard lock(state->mutex);
  return state->closed ? 0 : state->kv->getBudget().used;
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
    std::optional<std::string> missing = getWord(variant.missing);
    return abi::getName(variant.mode) == key.mode && variant.derived == key.derived &&
           (missing == key.missing || (isDeclared(missing) && isDeclared(key.missing)));
  };
  const Manifest &manifest = getManifest();
  std::string offered;
  for (const Function &function : manifest.code->functions) {
    if (function.name == key.name && fits(function))
      return &function;
    offered += (offered.empty() ? "" : ", ") +
               describe(function.name, abi::getName(function.mode), getWord(function.missing), function.derived);
  }
  std::string wanted = describe(key.name, key.mode, key.missing, key.derived);
  for (const RefusedVariant &variant : manifest.code->refused)
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
  state->addSequence(*memory);
  return std::unique_ptr<Sequence>(new Sequence(state, std::move(memory)));
}

void ModelState::addSequence(SequenceMemory &sequence) {
  sequence.number = numSequences++;
  sequences[sequence.number] = &sequence;
}

PrefixSource ModelState::findSource(const PrefixKey &key, const PhasedTokens &rows) const {
  PrefixSource best;
  auto look = [&](const SequenceMemory &memory, bool isRetained) {
    if (memory.key != key || !memory.failure.empty())
      return;
    if (int64_t count = countSparedRows(key, rows, memory.getSettled()); count > best.numRows)
      best = {&memory, count, isRetained};
  };
  for (const PrefixCache::Entry &entry : prefixes.getEntries())
    look(*entry.memory, /*isRetained=*/true);
  for (const auto &[number, memory] : sequences)
    look(*memory, /*isRetained=*/false);
  return best;
}

std::unique_ptr<SequenceMemory> ModelState::start(const PrefixSource &source) {
  if (source.isRetained && source.numRows == static_cast<int64_t>(source.memory->settled.size()))
    return prefixes.take(source.memory);
  auto memory = std::make_unique<SequenceMemory>(kv->getNumCaches(), stateShapes.size());
  if (source.numRows == 0)
    return memory;
  if (source.isRetained)
    prefixes.touch(source.memory);
  Status status;
  do
    status = kv->share(source.memory->caches, memory->caches, static_cast<int32_t>(source.numRows));
  while (status.lacksPages() && prefixes.freePages(*kv, source.memory));
  if (!status.ok())
    return memory;
  memory->settled.assign(source.memory->settled.begin(), source.memory->settled.begin() + source.numRows);
  memory->length = source.numRows;
  return memory;
}

Expected<std::unique_ptr<Sequence>> Model::createSequence(const PrefixKey &key, const PhasedTokens &rows) {
  if (Status status = state->verifyProcess())
    return status.takeError();
  std::lock_guard lock(state->mutex);
  if (Status status = state->verifyOpen())
    return status.takeError();
  std::unique_ptr<SequenceMemory> memory = state->start(state->findSource(key, rows));
  memory->key = key;
  memory->numPrompt = rows.numPrompt;
  state->addSequence(*memory);
  return std::unique_ptr<Sequence>(new Sequence(state, std::move(memory)));
}

int64_t Model::countSettled(const PrefixKey &key, const PhasedTokens &rows) const {
  if (state->verifyProcess())
    return 0;
  std::lock_guard lock(state->mutex);
  return state->findSource(key, rows).numRows;
}

void Model::retain(std::unique_ptr<Sequence> sequence, const void *owner) {
  if (state->verifyProcess())
    return;
  std::lock_guard lock(state->mutex);
  SequenceMemory &memory = *sequence->memory;
  auto length = static_cast<int64_t>(memory.settled.size());
  bool isOfUse = memory.key && length > 0 && length >= memory.key->prefix && memory.failure.empty();
  if (state->closed || !isOfUse || !state->kv->truncate(memory.caches, static_cast<int32_t>(length)))
    return; // its destructor gives the pages back, after the lock
  memory.length = length;
  state->sequences.erase(memory.number);
  state->prefixes.add(std::move(sequence->memory), owner, *state->kv);
}

void Model::dropRetained(const void *owner) {
  if (state->verifyProcess())
    return;
  std::lock_guard lock(state->mutex);
  if (!state->closed)
    state->prefixes.drop(owner, *state->kv);
}

Status Model::verifyRoom(int64_t rows, int64_t loops) const {
  if (Status status = state->verifyProcess())
    return status;
  std::lock_guard lock(state->mutex);
  return state->closed ? Status::success() : state->kv->verifyRoom(rows, loops);
}

Status Model::call(const CallRequest &request, CallResult &result) {
  if (Status status = state->verifyProcess())
    return status;
  std::unique_ptr<Device::Hold> hold = state->device->hold();
  std::lock_guard lock(state->mutex);
  if (Status status = state->verifyOpen())
    return status;
  const std::vector<Function> &functions = getManifest().code->functions;
  bool isOurs = std::ranges::any_of(functions, [&](const Function &known) { return &known == request.function; });
  if (!isOurs)
    return makeError("the call names no function of ", getPath());
  return Runner(*state, request, result).run();
}
