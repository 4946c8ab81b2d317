// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads and checks a manifest. Numbers have upper bounds far above any model, low enough that their products are checked
// once, here, and need no check afterwards.

#include "lariat/Runtime/Load/Manifest.h"

#include "JsonReader.h"
#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/Version.h"
#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <set>

using namespace lariat;
using namespace lariat::runtime;
using nlohmann::json;

static constexpr int64_t kMostPositions = int64_t(1) << 31;
static constexpr int64_t kLineBytes = 64;               // of rotary tables
static constexpr int64_t kMostCount = int64_t(1) << 20; // layers, heads, slots
static constexpr int64_t kMostWidth = int64_t(1) << 32; // columns of a line
static constexpr int64_t kMostBytes = int64_t(1) << 46; // of a file, a page, a row

static constexpr std::pair<std::string_view, ElementType> kTypeNames[] = {{"f32", ElementType::F32},
                                                                          {"bf16", ElementType::BF16},
                                                                          {"i32", ElementType::I32},
                                                                          {"index", ElementType::Index},
                                                                          {"i1", ElementType::I1}};

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

int64_t lariat::runtime::getElementBytes(ElementType type) {
  switch (type) {
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::BF16:
    return 2;
  case ElementType::Index:
    return 8;
  case ElementType::I1:
    return 1;
  }
  return 0;
}

std::string_view lariat::runtime::getTypeName(ElementType type) {
  for (auto [name, candidate] : kTypeNames)
    if (candidate == type)
      return name;
  return {};
}

int64_t Port::getValueBytes() const {
  return isRows ? abi::kNumRowColumns * static_cast<int64_t>(sizeof(int64_t))
                : getNumElements() * getElementBytes(type);
}

int64_t Port::getLineBytes() const {
  return isRows || width == 0 ? getValueBytes() : roundUp(width, abi::kPanelColumns) * getElementBytes(type);
}

int64_t Cache::getPageBytes() const { return getEntryBytes() * abi::kPageEntries; }

int64_t SlotRule::getSlot(int64_t depth) const {
  switch (kind) {
  case Own:
    return depth;
  case First:
    return depth == 0 ? 0 : -1;
  case Shared:
    return std::min(depth, slots - 1);
  case Ring:
    return depth % slots;
  }
  return -1;
}

int64_t SlotRule::getNumSlots(int64_t loops) const {
  return kind == Own ? loops : std::min(loops, kind == First ? 1 : slots);
}

static int64_t findPort(const std::vector<Port> &ports, std::string_view name) {
  auto it = std::ranges::find(ports, name, &Port::name);
  return it == ports.end() ? -1 : it - ports.begin();
}

int64_t Function::findInput(std::string_view name) const { return findPort(inputs, name); }
int64_t Function::findOutput(std::string_view name) const { return findPort(outputs, name); }

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Why a path may not be in a manifest; empty if it may.
static std::string findPathProblem(std::string_view path) {
  if (path.empty() || path.front() == '/')
    return "is not relative";
  if (path.find('\0') != std::string_view::npos)
    return "has a null character";
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..")
      return "has an empty part, '.' or '..'";
    begin = end + 1;
  }
  return {};
}

static void verifyPath(const JsonReader &reader, const std::string &path) {
  if (std::string problem = findPathProblem(path); !problem.empty())
    reader.fail(makeError(reader.getPlace(), ": the path '", path, "' ", problem));
}

static ElementType readType(const JsonReader &reader) {
  std::string found = reader.string("type");
  for (auto [name, type] : kTypeNames)
    if (name == found)
      return type;
  reader.fail(makeError(reader.getPlace(), ": type '", found, "', expected f32, bf16, i32, index or i1"));
  return ElementType::F32;
}

static Port readPort(const JsonReader &reader, bool isInput) {
  Port port;
  port.name = reader.string("name");
  std::string kind = reader.string("kind");
  port.isRows = kind == "rows";
  if (kind != "rows" && kind != "values")
    reader.fail(makeError(reader.getPlace(), ": kind '", kind, "', expected rows or values"));
  if (!port.isRows) {
    port.type = readType(reader);
    port.width = reader.integer("width", 0, kMostWidth);
    if (isInput)
      port.rowSet = reader.integer("rows", 0, kMostCount);
  }
  return port;
}

static void verifyRowSets(const JsonReader &reader, const Function &function) {
  for (const Port &port : function.inputs) {
    auto numInputs = static_cast<int64_t>(function.inputs.size());
    if (!port.isRows && (port.rowSet >= numInputs || !function.inputs[port.rowSet].isRows))
      reader.fail(makeError(reader.getPlace(), ": input '", port.name, "' belongs to input ", port.rowSet,
                            ", which is not a row set"));
  }
}

static Function readFunction(const JsonReader &reader, int64_t index) {
  Function function;
  function.name = reader.string("name");
  function.mode = reader.string("mode");
  function.missing = reader.optionalString("missing");
  function.derived = reader.boolean("derived");
  function.symbol = reader.string("symbol");
  for (const JsonReader &port : reader.objects("inputs"))
    function.inputs.push_back(readPort(port, /*isInput=*/true));
  for (const JsonReader &port : reader.objects("outputs"))
    function.outputs.push_back(readPort(port, /*isInput=*/false));
  auto numPorts = static_cast<int64_t>(function.inputs.size() + function.outputs.size());
  function.arenaBytesPerRow = reader.integer("arena_bytes_per_row", 0, kMostBytes);
  function.cells = reader.integer("cells", numPorts, kMostCount * 16);
  function.scratchBytes = reader.integer("scratch_bytes", 0, kMostBytes);
  function.index = index;
  verifyRowSets(reader, function);
  return function;
}

/// A word of a list, by its place.
static int64_t readWord(const JsonReader &reader, const char *key, std::initializer_list<std::string_view> words) {
  std::string found = reader.string(key), list;
  const auto *it = std::ranges::find(words, found);
  if (it != words.end())
    return it - words.begin();
  for (std::string_view word : words)
    list += (list.empty() ? "" : ", ") + std::string(word);
  reader.fail(makeError(reader.getPlace(), ": '", key, "' is '", found, "', expected one of ", list));
  return 0;
}

/// A cache that says nothing has a slot for each depth.
static SlotRule readSlotRule(const JsonReader &cache, const char *key) {
  if (!cache.has(key))
    return {};
  JsonReader reader = cache.object(key);
  return {static_cast<SlotRule::Kind>(readWord(reader, "slot", {"own", "first", "shared", "ring"})),
          reader.integer("slots", 1, kMostCount),
          static_cast<RowOrder>(readWord(reader, "order", {"free", "atomic", "sequential"}))};
}

static Cache readCache(const JsonReader &reader) {
  Cache cache;
  cache.name = reader.string("name");
  cache.layers = reader.integer("layers", 1, kMostCount);
  cache.heads = reader.integer("heads", 1, kMostCount);
  cache.dim = reader.integer("dim", 1, kMostCount);
  cache.type = readType(reader);
  if (cache.type != ElementType::F32 && cache.type != ElementType::BF16)
    reader.fail(makeError(reader.getPlace(), ": type '", getTypeName(cache.type), "', expected f32 or bf16"));
  cache.looped = reader.boolean("looped");
  cache.slotsAtMost = reader.optionalInteger("slots_at_most", 1, kMostCount);
  cache.depthFactor = reader.optionalInteger("depth_factor", 1, kMostDepth).value_or(1);
  cache.anySlot = reader.has("any_slot") && reader.boolean("any_slot");
  cache.followsLoops = !cache.slotsAtMost || (reader.has("follows_loops") && reader.boolean("follows_loops"));
  cache.prompt = readSlotRule(reader, "prompt");
  cache.generated = readSlotRule(reader, "generated");
  int64_t product = 0;
  if (!multiply(cache.layers * cache.heads, cache.dim, product) || product > kMostBytes / (8 * abi::kPageEntries))
    reader.fail(makeError(reader.getPlace(), ": ", cache.layers, " layers * ", cache.heads, " heads * ", cache.dim,
                          " elements make pages of more than ", kMostBytes, " bytes"));
  return cache;
}

static State readState(const JsonReader &reader) {
  State state;
  state.name = reader.string("name");
  state.layers = reader.integer("layers", 1, kMostCount);
  state.width = reader.integer("width", 1, kMostCount);
  state.depthFactor = reader.optionalInteger("depth_factor", 1, kMostDepth).value_or(1);
  state.type = readType(reader);
  return state;
}

static RopeTable readRopeTable(const JsonReader &reader, int64_t weightBytes) {
  RopeTable table;
  table.offset = reader.integer("offset", 0, kMostBytes);
  table.lineBytes = reader.integer("line_bytes", 8, kMostCount);
  table.positions = reader.integer("positions", 1, kMostPositions);
  table.pairs = reader.integer("pairs", 1, kMostCount);
  table.frequencies = reader.integer("frequencies", 0, kMostBytes);
  table.magnitude = reader.number("magnitude");
  table.angleDigits = reader.integer("angle_digits", 1, 53);
  table.angleMinExponent = reader.integer("angle_min_exponent", -1022, 0);
  if (table.lineBytes % kLineBytes != 0 || table.offset % kLineBytes != 0 || table.pairs * 8 > table.lineBytes)
    reader.fail(makeError(reader.getPlace(), ": lines of ", table.lineBytes, " bytes from ", table.offset,
                          " on do not hold ", table.pairs, " pairs in multiples of ", kLineBytes, " bytes"));
  if (table.frequencies % 8 != 0 || table.frequencies + table.pairs * 8 > weightBytes)
    reader.fail(makeError(reader.getPlace(), ": 'frequencies': ", table.pairs, " numbers from ", table.frequencies,
                          " on do not lie in a file of ", weightBytes, " bytes"));
  return table;
}

static RefusedVariant readRefused(const JsonReader &reader) {
  return {reader.string("mode"), reader.optionalString("missing"), reader.boolean("derived"), reader.string("error")};
}

static std::map<std::string, FileFacts> readFiles(const JsonReader &top) {
  std::map<std::string, FileFacts> files;
  for (const auto &[path, entry] : top.object("files").fields()) {
    verifyPath(entry, path);
    FileFacts facts{entry.integer("bytes", 0, kMostBytes), entry.string("sha256")};
    if (facts.sha256.size() != 64 || facts.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
      entry.fail(makeError(entry.getPlace(), ": 'sha256': expected 64 hex digits, found '", facts.sha256, "'"));
    files[path] = std::move(facts);
  }
  return files;
}

/// A file that code names must be among those with a checksum.
static void verifyListed(const JsonReader &reader, const Manifest &manifest, const std::string &file) {
  verifyPath(reader, file);
  if (!manifest.files.count(file))
    reader.fail(makeError(reader.getPlace(), ": '", file, "' is not among the files of the manifest"));
}

static void readCode(const JsonReader &code, Manifest &manifest) {
  for (const JsonReader &reader : code.objects("objects")) {
    manifest.objects.push_back({reader.string("isa"), reader.string("file"), reader.strings("requires")});
    verifyListed(reader, manifest, manifest.objects.back().file);
  }
  if (manifest.objects.empty())
    code.fail(makeError(code.getPlace(), ": 'objects': expected at least one, found none"));
  JsonReader weights = code.object("weights");
  manifest.weightsFile = weights.string("file");
  manifest.weightBytes = weights.integer("bytes", 0, kMostBytes);
  if (code.has("traits") && code.object("traits").has("depth_weights"))
    for (const JsonReader &weight : code.object("traits").objects("depth_weights"))
      manifest.checkedWeights.push_back(weight.string("name"));
  verifyListed(weights, manifest, manifest.weightsFile);
  for (const JsonReader &reader : code.objects("caches"))
    manifest.caches.push_back(readCache(reader));
  for (const JsonReader &reader : code.objects("call_caches", /*required=*/false)) {
    manifest.caches.push_back(readCache(reader));
    manifest.caches.back().transient = true;
  }
  for (const JsonReader &reader : code.objects("states"))
    manifest.states.push_back(readState(reader));
  for (const JsonReader &reader : code.objects("rope_tables", /*required=*/false))
    manifest.ropeTables.push_back(readRopeTable(reader, manifest.weightBytes));
  for (const JsonReader &reader : code.objects("functions"))
    manifest.functions.push_back(readFunction(reader, static_cast<int64_t>(manifest.functions.size())));
  for (const JsonReader &reader : code.objects("refused", /*required=*/false))
    manifest.refused.push_back(readRefused(reader));
}

/// Versions and pipeline come first: what is wrong afterwards may only be another format.
static Status verifyKind(const JsonReader &top, const Status &status, const std::string &place) {
  constexpr int64_t any = int64_t(1) << 62;
  int64_t version = top.integer("format_version", -any, any);
  if (!status.ok())
    return status;
  if (version != kArtefactFormatVersion)
    return makeError(place, " has format version ", version, ", this version reads ", kArtefactFormatVersion);
  std::string pipeline = top.string("pipeline");
  if (!status.ok())
    return status;
  if (pipeline == "reference")
    return makeError(place, " was compiled with pipeline 'reference', which only lariat-reference runs: compile with "
                            "pipeline 'fast'");
  if (pipeline != "fast")
    return makeError(place, " was compiled with pipeline '", pipeline, "', expected 'fast'");
  int64_t abiVersion = top.object("code").integer("abi_version", -any, any);
  if (!status.ok())
    return status;
  if (abiVersion != abi::kAbiVersion)
    return makeError(place, " has code of version ", abiVersion, ", this version runs ", abi::kAbiVersion);
  return Status::success();
}

Expected<Manifest> lariat::runtime::parseManifest(std::string_view text, const std::string &place) {
  Manifest manifest;
  manifest.json = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (manifest.json.is_discarded())
    return makeError(place, ": not JSON");
  Status status;
  JsonReader top(manifest.json, place, status);
  if (!status.ok())
    return status.takeError();
  if (Status kind = verifyKind(top, status, place))
    return kind.takeError();
  manifest.files = readFiles(top);
  readCode(top.object("code"), manifest);
  if (!status.ok())
    return status.takeError();
  return manifest;
}
