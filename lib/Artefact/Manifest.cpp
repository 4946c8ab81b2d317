// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The schema of manifest.json: every key stands here once. Numbers have upper bounds far above any model, low enough
// that their products are checked once, here, and need no check afterwards.

#include "ManifestFields.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

using nlohmann::json;

// All in the namespace of the structures, where the three ways through fields find their descriptions.
namespace lariat::manifest {

static constexpr int64_t kAnyNumber = int64_t(1) << 62;
static constexpr int64_t kMaxIndex = std::numeric_limits<int32_t>::max(); // ids and positions
static constexpr int64_t kMaxPositions = int64_t(1) << 31;
static constexpr int64_t kLineBytes = 64;              // of rotary tables
static constexpr int64_t kMaxCount = int64_t(1) << 20; // layers, heads, slots
static constexpr int64_t kMaxWidth = int64_t(1) << 32; // columns of a line
static constexpr int64_t kMaxBytes = int64_t(1) << 46; // of a file, a page, a row

//===----------------------------------------------------------------------===//
// Caches and states
//===----------------------------------------------------------------------===//

template <typename Fields>
static void describe(Fields &fields, abi::SlotRule &rule) {
  fields.named("slot", rule.kind);
  fields.integer("slots", rule.slots, 0, kMaxCount);
  fields.named("order", rule.order);
  bool shares = rule.kind == abi::SlotRule::Shared || rule.kind == abi::SlotRule::Ring;
  fields.require(!shares || rule.slots >= 1, "'slots': expected at least 1 of a rule that shares slots, found 0");
}

/// Name and numbers of a cache of any kind; whether its pages have a size.
template <typename Fields, typename T>
static bool describeLayout(Fields &fields, T &cache) {
  fields.text("name", cache.name);
  fields.integer("layers", cache.layers, 1, kMaxCount);
  fields.integer("heads", cache.heads, 1, kMaxCount);
  fields.integer("dim", cache.dim, 1, kMaxCount);
  bool fits = cache.layers * cache.heads <= kMaxBytes / (8 * abi::kPageEntries) / std::max<int64_t>(cache.dim, 1);
  fields.require(fits, cache.layers, " layers * ", cache.heads, " heads * ", cache.dim,
                 " elements make pages of more than ", kMaxBytes, " bytes");
  return fits;
}

template <typename Fields>
static void describe(Fields &fields, Cache &cache) {
  bool fits = describeLayout(fields, cache);
  fields.named("type", cache.type);
  fields.require(cache.type == abi::ElementType::F32 || cache.type == abi::ElementType::BF16, "type '",
                 abi::getName(cache.type), "', expected f32 or bf16");
  fields.flag("looped", cache.looped);
  fields.flag("any_slot", cache.anySlot);
  fields.integer("depth_factor", cache.depthFactor, 1, abi::kMaxDepth);
  fields.optionalInteger("depths", cache.depths, 1, abi::kMaxDepth);
  fields.optionalInteger("slots_at_most", cache.slotsAtMost, 1, kMaxCount);
  fields.object("prompt", cache.prompt);
  fields.object("generated", cache.generated);
  fields.text("policy", cache.policy);
  fields.optionalText("declared_policy", cache.declared);
  fields.optionalNamed("missing", cache.missing);
  fields.allNamed("allowed", cache.allowed);
  fields.allNamed("filling", cache.filling);
  fields.named("order", cache.order);
  fields.named("generated_order", cache.generatedOrder);
  fields.integer("slots", cache.slots, 1, kMaxCount);
  fields.text("formula", cache.formula);
  fields.integer("bytes_per_token", cache.bytesPerToken, 0, kMaxBytes);
  fields.derived("bytes_per_entry", fits ? cache.getLayerBytes() : 0);
  fields.derived("page_bytes", fits ? cache.getPageBytes() : 0);
}

template <typename Fields>
static void describe(Fields &fields, CallCache &cache) {
  describeLayout(fields, cache);
}

template <typename Fields>
static void describe(Fields &fields, State &state) {
  fields.text("name", state.name);
  fields.integer("layers", state.layers, 1, kMaxCount);
  fields.integer("width", state.width, 1, kMaxCount);
  fields.integer("depth_factor", state.depthFactor, 1, abi::kMaxDepth);
  fields.named("type", state.type);
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

template <typename Fields>
static void describe(Fields &fields, ModelSection &model) {
  fields.text("family", model.family);
  fields.named("kind", model.kind);
  fields.integer("vocab", model.vocab, 1, kMaxIndex);
  fields.integer("context", model.context, 1, kMaxIndex);
  fields.integers("eos", model.eos, 0, kMaxIndex);
  fields.optionalText("shape", model.shape);
}

template <typename Fields>
static void describe(Fields &fields, LoopsSection &loops) {
  fields.integer("default", loops.defaultSteps, 0, abi::kMaxDepth);
  fields.integer("min", loops.minSteps, 0, abi::kMaxDepth);
  fields.integer("max", loops.maxSteps, 0, abi::kMaxDepth);
  fields.optionalInteger("with_exit", loops.stepsWithExit, 0, abi::kMaxDepth);
}

template <typename Fields>
static void describe(Fields &fields, ExitSection &exit) {
  fields.text("rule", exit.rule);
  fields.optionalNumber("never", exit.never);
  fields.optionalNumber("low", exit.low);
  fields.optionalNumber("high", exit.high);
  fields.optionalNumber("default", exit.declared);
  fields.optionalNumber("usual", exit.usual);
  bool isWhole = exit.never.has_value() == exit.low.has_value() && exit.low.has_value() == exit.high.has_value();
  fields.require(isWhole, "'never', 'low' and 'high': expected all of them or none");
}

template <typename Fields>
static void describe(Fields &fields, DepthWeight &weight) {
  fields.text("name", weight.name);
  fields.integer("depths", weight.depths, 1, abi::kMaxDepth);
}

template <typename Fields>
static void describe(Fields &fields, TraitsSection &traits) {
  fields.flag("mixes_call_rows", traits.mixesCallRows);
  fields.flag("top_k", traits.hasTopK);
  fields.flag("prefix_mask", traits.hasPrefixMask);
  fields.optionalText("compute_refused", traits.computeRefusal);
  fields.optionalText("cuts", traits.cutReason);
  fields.objects("depth_weights", traits.depthWeights);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

int64_t Port::getValueBytes() const {
  return isRows ? abi::kNumRowColumns * static_cast<int64_t>(sizeof(int64_t))
                : getNumElements() * abi::getElementBytes(type);
}

int64_t Port::getLineBytes() const {
  int64_t filled = abi::roundUp(width, abi::kLineColumns);
  return isRows || width == 0 ? getValueBytes() : filled * abi::getElementBytes(type);
}

static int64_t findPort(const std::vector<Port> &ports, std::string_view name) {
  auto it = std::ranges::find(ports, name, &Port::name);
  return it == ports.end() ? -1 : it - ports.begin();
}

int64_t Function::findInput(std::string_view name) const { return findPort(inputs, name); }
int64_t Function::findOutput(std::string_view name) const { return findPort(outputs, name); }

template <typename Fields>
static void describe(Fields &fields, Port &port) {
  fields.text("name", port.name);
  abi::PortKind kind = port.isRows ? abi::PortKind::Rows : abi::PortKind::Values;
  fields.named("kind", kind);
  port.isRows = kind == abi::PortKind::Rows;
  if (port.isRows)
    return;
  fields.named("type", port.type);
  fields.integer("width", port.width, 0, kMaxWidth);
  fields.integer("rows", port.rowSet, -1, kMaxCount);
}

/// What functions and refused variants are of.
template <typename Fields, typename T>
static void describeVariant(Fields &fields, T &variant) {
  fields.named("mode", variant.mode);
  fields.optionalNamed("missing", variant.missing);
  fields.flag("derived", variant.derived);
}

/// Whether outputs are a record by their types.
static bool fitsRecord(const Function &function) {
  if (function.record.size() != function.outputs.size() || !abi::isRecord(function.record))
    return false;
  for (size_t index = 0; index < function.record.size(); ++index) {
    const Port &port = function.outputs[index];
    abi::RecordPart part = function.record[index];
    bool isEntered = part == abi::RecordPart::Entered, isMax = part == abi::RecordPart::Max;
    if (port.isRows || (isEntered && (port.type != abi::ElementType::I1 || port.width != 0)) ||
        (isMax && (port.type != abi::ElementType::Index || port.width != 0)))
      return false;
  }
  return true;
}

template <typename Fields>
static void describe(Fields &fields, Function &function) {
  fields.text("name", function.name);
  describeVariant(fields, function);
  fields.text("symbol", function.symbol);
  fields.objects("inputs", function.inputs);
  fields.objects("outputs", function.outputs);
  fields.allNamed("record", function.record);
  fields.require(function.record.empty() || fitsRecord(function),
                 "'record': expected the part of each output: entered (i1), carried, invariant, max (index), coda");
  auto numInputs = static_cast<int64_t>(function.inputs.size());
  int64_t numPorts = numInputs + static_cast<int64_t>(function.outputs.size());
  fields.integer("arena_bytes_per_row", function.arenaBytesPerRow, 0, kMaxBytes);
  fields.integer("cells", function.cells, numPorts, kMaxCount * 16);
  fields.integer("scratch_bytes", function.scratchBytes, 0, kMaxBytes);
  for (const Port &port : function.inputs) {
    bool fits = port.isRows || (port.rowSet >= 0 && port.rowSet < numInputs && function.inputs[port.rowSet].isRows);
    fields.require(fits, "input '", port.name, "' belongs to input ", port.rowSet, ", which is not a row set");
  }
}

template <typename Fields>
static void describe(Fields &fields, RefusedVariant &variant) {
  describeVariant(fields, variant);
  fields.text("error", variant.error);
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

template <typename Fields>
static void describe(Fields &fields, CodeObject &object) {
  fields.text("isa", object.isa);
  fields.text("layout", object.layout);
  fields.text("file", object.file);
  fields.texts("requires", object.features);
  fields.integer("kernels", object.kernels, 0, kMaxCount);
}

template <typename Fields>
static void describe(Fields &fields, WeightsFile &weights) {
  fields.text("file", weights.file);
  fields.integer("bytes", weights.bytes, 0, kMaxBytes);
}

template <typename Fields>
static void describe(Fields &fields, Layout &layout) {
  fields.text("name", layout.name);
  fields.integer("panel_columns", layout.panelColumns, abi::kLineColumns, kMaxCount);
  fields.require(layout.panelColumns % abi::kLineColumns == 0, "'panel_columns': expected a multiple of ",
                 abi::kLineColumns, ", found ", layout.panelColumns);
  fields.named("keys", layout.keys);
  fields.object("weights", layout.weights);
}

template <typename Fields>
static void describe(Fields &fields, RopeTable &table) {
  fields.integer("offset", table.offset, 0, kMaxBytes);
  fields.integer("line_bytes", table.lineBytes, 8, kMaxCount);
  fields.integer("positions", table.positions, 1, kMaxPositions);
  fields.integer("pairs", table.pairs, 1, kMaxCount);
  fields.integer("frequencies", table.frequencies, 0, kMaxBytes);
  fields.number("magnitude", table.magnitude);
  fields.integer("angle_digits", table.angleDigits, 1, 53);
  fields.integer("angle_min_exponent", table.angleMinExponent, -1022, 0);
  bool fits = table.lineBytes % kLineBytes == 0 && table.offset % kLineBytes == 0 && table.pairs * 8 <= table.lineBytes;
  fields.require(fits, "lines of ", table.lineBytes, " bytes from ", table.offset, " on do not hold ", table.pairs,
                 " pairs in multiples of ", kLineBytes, " bytes");
}

template <typename Fields>
static void describe(Fields &fields, Sums &sums) {
  fields.optionalText("attend", sums.attend);
  fields.optionalText("gemm", sums.gemm);
}

const Layout *CodeSection::findLayout(std::string_view name) const {
  auto it = std::ranges::find(layouts, name, [](const Layout &layout) -> const std::string & { return layout.name; });
  return it == layouts.end() ? nullptr : &*it;
}

/// What objects and rotary tables say of layouts.
template <typename Fields>
static void verifyLayouts(Fields &fields, const CodeSection &code) {
  for (const Layout &layout : code.layouts) {
    fields.require(code.findLayout(layout.name) == &layout, "'layouts': '", layout.name, "' is there twice");
    for (const RopeTable &table : code.ropeTables)
      fields.require(table.frequencies % 8 == 0 && table.frequencies + table.pairs * 8 <= layout.weights.bytes,
                     "'rope_tables': 'frequencies': ", table.pairs, " numbers from ", table.frequencies,
                     " on do not lie in a file of ", layout.weights.bytes, " bytes");
  }
  for (const CodeObject &object : code.objects)
    fields.require(code.findLayout(object.layout) != nullptr, "'objects': '", object.isa, "' has the layout '",
                   object.layout, "', which is not among 'layouts'");
}

template <typename Fields>
static void describe(Fields &fields, CodeSection &code) {
  int64_t version = abi::kAbiVersion;
  fields.integer("abi_version", version, -kAnyNumber, kAnyNumber);
  fields.require(version == abi::kAbiVersion, "code of version ", version, ", this version runs ", abi::kAbiVersion);
  fields.objects("objects", code.objects);
  fields.require(!code.objects.empty(), "'objects': expected at least one, found none");
  fields.objects("layouts", code.layouts);
  fields.object("sums", code.sums);
  fields.objects("call_caches", code.callCaches);
  fields.objects("rope_tables", code.ropeTables);
  fields.objects("functions", code.functions);
  fields.objects("refused", code.refused);
  verifyLayouts(fields, code);
  for (size_t index = 0; index < code.functions.size(); ++index)
    code.functions[index].index = static_cast<int64_t>(index);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

template <typename Fields>
static void describe(Fields &fields, FileFacts &facts) {
  fields.integer("bytes", facts.bytes, 0, kMaxBytes);
  fields.text("sha256", facts.sha256);
  bool isSum = facts.sha256.size() == 64 && facts.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  fields.require(isSum, "'sha256': expected 64 hex digits, found '", facts.sha256, "'");
}

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

template <typename Fields>
static void verifyPaths(Fields &fields, const Manifest &manifest) {
  auto verify = [&](const std::string &path) {
    std::string problem = findPathProblem(path);
    fields.require(problem.empty(), "the path '", path, "' ", problem);
  };
  auto verifyListed = [&](const std::string &path) {
    verify(path);
    fields.require(manifest.files.count(path) != 0, "'", path, "' is not among the files of the manifest");
  };
  for (const auto &[path, facts] : manifest.files)
    verify(path);
  if (!manifest.code)
    return;
  for (const CodeObject &object : manifest.code->objects)
    verifyListed(object.file);
  for (const Layout &layout : manifest.code->layouts)
    verifyListed(layout.weights.file);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

namespace {

/// What every version has.
struct Head {
  int64_t formatVersion = kArtefactFormatVersion;
  std::string lariatVersion;
};

} // namespace

template <typename Fields>
static void describe(Fields &fields, Head &head) {
  fields.integer("format_version", head.formatVersion, -kAnyNumber, kAnyNumber);
  fields.text("lariat_version", head.lariatVersion);
}

template <typename Fields>
static void describe(Fields &fields, Manifest &manifest) {
  Head head{.lariatVersion = manifest.lariatVersion};
  describe(fields, head);
  manifest.lariatVersion = head.lariatVersion;
  fields.named("pipeline", manifest.pipeline);
  fields.text("dtype", manifest.dtype);
  fields.text("kv_dtype", manifest.kvDtype);
  fields.texts("targets", manifest.targets);
  fields.object("model", manifest.model);
  fields.object("loops", manifest.loops);
  fields.optionalObject("exit", manifest.exit);
  fields.object("traits", manifest.traits);
  fields.texts("modes", manifest.modes);
  fields.objects("caches", manifest.caches);
  uint64_t bytesPerToken = 0;
  for (const Cache &cache : manifest.caches)
    bytesPerToken += static_cast<uint64_t>(cache.bytesPerToken);
  fields.derived("bytes_per_token", static_cast<int64_t>(bytesPerToken));
  fields.objects("states", manifest.states);
  fields.optionalObject("code", manifest.code);
  fields.require(manifest.code.has_value() == (manifest.pipeline == abi::Pipeline::Fast),
                 "'code': expected of pipeline 'fast' and of no other");
  fields.entries("files", manifest.files);
  verifyPaths(fields, manifest);
}

std::vector<Cache> Manifest::getAllCaches() const {
  std::vector<Cache> all = caches;
  if (code)
    for (const CallCache &cache : code->callCaches) {
      Cache &added = all.emplace_back();
      added.name = cache.name;
      added.layers = cache.layers;
      added.heads = cache.heads;
      added.dim = cache.dim;
      added.depths = added.slotsAtMost = 1;
      added.transient = true;
    }
  return all;
}

std::string print(Manifest manifest) {
  return Writer::write(manifest).dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

/// Parses a text; nothing where it is no JSON or has a key twice, which `problem` names.
static std::optional<json> parseText(std::string_view text, const std::string &place, std::string &problem) {
  std::vector<std::set<std::string>> keys;
  auto watch = [&](int, json::parse_event_t event, json &parsed) {
    if (event == json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == json::parse_event_t::key)
      if (auto name = parsed.get<std::string>(); !keys.back().insert(name).second && problem.empty())
        problem = place + ": key '" + name + "' is there twice";
    return true;
  };
  json value = json::parse(text, watch, /*allow_exceptions=*/false);
  if (value.is_discarded())
    problem = place + ": not JSON";
  return problem.empty() ? std::optional(std::move(value)) : std::nullopt;
}

std::optional<Manifest> parse(std::string_view text, const std::string &place, std::string &problem) {
  std::optional<json> value = parseText(text, place, problem);
  if (!value)
    return std::nullopt;
  Reader top(*value, place, problem);
  Head head;
  describe(top, head);
  if (problem.empty() && head.formatVersion != kArtefactFormatVersion)
    problem = place + " has format version " + std::to_string(head.formatVersion) + ", this version reads " +
              std::to_string(kArtefactFormatVersion);
  Manifest manifest;
  if (problem.empty())
    top.read(manifest);
  return problem.empty() ? std::optional(std::move(manifest)) : std::nullopt;
}

bool isManifest(std::string_view text) {
  std::string problem;
  std::optional<json> value = parseText(text, kFile, problem);
  Head head;
  if (value) {
    Reader top(*value, kFile, problem);
    describe(top, head);
  }
  return problem.empty();
}

std::vector<Key> listKeys() {
  std::vector<Key> keys;
  Lister lister("", keys);
  Manifest manifest;
  describe(lister, manifest);
  return keys;
}

} // namespace lariat::manifest
