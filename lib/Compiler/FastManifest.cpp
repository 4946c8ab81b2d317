// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the runtime needs to know of compiled code, which holds no facts itself.

#include "lariat/Compiler/FastPath.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <limits>

using namespace mlir;
using namespace lariat;
namespace json = llvm::json;

static std::string printType(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static json::Array describePorts(ArrayRef<PortFacts> ports) {
  json::Array array;
  for (const PortFacts &port : ports)
    array.push_back(json::Object{{"name", port.name},
                                 {"kind", port.isRows ? "rows" : "values"},
                                 {"type", printType(port.type)},
                                 {"width", port.width},
                                 {"rows", port.rows}});
  return array;
}

static void describeVariant(const Variant &variant, json::Object &object) {
  object["mode"] = variant.mode == RunMode::Generate ? "generate" : "score";
  object["missing"] = variant.missing ? json::Value(stringifyMissingMode(*variant.missing)) : json::Value(nullptr);
  object["derived"] = variant.derived;
}

static json::Object describeEntry(const EntryFacts &entry, const EntrySizes &sizes) {
  json::Object object{{"name", entry.name},
                      {"symbol", entry.symbol},
                      {"inputs", describePorts(entry.inputs)},
                      {"outputs", describePorts(entry.outputs)},
                      {"arena_bytes_per_row", sizes.arenaRowBytes},
                      {"cells", sizes.cells},
                      {"scratch_bytes", sizes.scratchBytes}};
  describeVariant(entry.variant, object);
  return object;
}

static EntrySizes getSizes(const FastProgram &program, const EntryFacts &entry) {
  auto it = program.sizes.find(entry.symbol);
  return it == program.sizes.end() ? EntrySizes() : it->second;
}

/// "forward (generate, missing = skip, derived)", as the runtime's messages name it.
static std::string describe(const EntryFacts &entry) {
  const Variant &variant = entry.variant;
  std::string text = entry.name + (variant.mode == RunMode::Generate ? " (generate" : " (score");
  if (variant.missing)
    text += (", missing = " + stringifyMissingMode(*variant.missing)).str();
  return text + (variant.derived ? ", derived)" : ")");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// The most loop steps that a request may ask for; none where there is no limit.
static std::optional<int64_t> getMostLoops(const ModelFacts &facts) {
  LoopsAttr loops = facts.loops;
  if (!facts.hasFreeLoops())
    return std::max(loops.getDefaultSteps(), loops.getStepsWithExit());
  return loops.getMaxSteps() ? std::optional<int64_t>(loops.getMaxSteps()) : std::nullopt;
}

/// Slots that a cache can ever have; none where that grows with the loop steps.
static std::optional<int64_t> getMostSlots(const CacheFacts &cache, const ModelFacts &facts) {
  if (std::optional<int64_t> most = getMostLoops(facts))
    return cache.getNumSlots(*most);
  constexpr int64_t many = 1 << 20;
  int64_t slots = cache.getNumSlots(many);
  return slots == cache.getNumSlots(2 * many) ? std::optional(slots) : std::nullopt;
}

/// Bytes of a page: the entries of all layers.
static int64_t getPageBytes(const CacheFacts &cache) {
  CacheOp op = cache.op;
  return op.getLayers() * cache.getBytesPerEntry() * abi::kPageEntries;
}

template <typename T>
static json::Value orNull(std::optional<T> value) {
  return value ? json::Value(*value) : json::Value(nullptr);
}

/// Which slot rows of the prompt or generated ones write, and their order where depths share one.
static json::Object describeSlotRule(KVPolicyAttrInterface policy) {
  static constexpr StringLiteral names[] = {"own", "first", "shared", "ring"};
  SlotRule rule = policy.getSlotRule();
  int64_t slots = std::max<int64_t>(rule.slots, 1);
  return json::Object{
      {"slot", names[rule.kind]}, {"slots", slots}, {"order", stringifyRowOrder(policy.getRowOrder(slots + 1))}};
}

static json::Object describeCache(const CacheFacts &cache, const ModelFacts &facts) {
  CacheOp op = cache.op;
  json::Object object{{"name", op.getSymName()},
                      {"layers", op.getLayers()},
                      {"heads", op.getHeads()},
                      {"dim", op.getDim()},
                      {"type", printType(op.getType())},
                      {"looped", cache.isLooped},
                      {"depths", op.getDepths() ? json::Value(*op.getDepths()) : json::Value(nullptr)},
                      {"slots_at_most", orNull(getMostSlots(cache, facts))},
                      {"any_slot", cache.writesAnySlot},
                      {"depth_factor", cache.depthFactor},
                      {"follows_loops", !op.getDepths()},
                      {"prompt", describeSlotRule(op.getPolicy().getForRows(/*generated=*/false))},
                      {"generated", describeSlotRule(op.getPolicy().getForRows(/*generated=*/true))},
                      {"page_bytes", getPageBytes(cache)}};
  return object;
}

static json::Object describeState(const StateFacts &facts) {
  StateOp state = facts.op;
  return json::Object{{"name", state.getSymName()},
                      {"layers", state.getLayers()},
                      {"width", state.getWidth()},
                      {"depth_factor", facts.depthFactor},
                      {"type", printType(state.getType())}};
}

/// Where a rotary table lies, and what the runtime computes it from.
static json::Object describeRopeTable(kernel::RopeTableOp table) {
  const llvm::fltSemantics &angles = cast<FloatType>(table.getAngles()).getFloatSemantics();
  return json::Object{{"offset", table.getOffset().value_or(0)},
                      {"line_bytes", table.getLineBytes()},
                      {"positions", table.getPositions()},
                      {"pairs", table.getNumPairs()},
                      {"frequencies", table.getStored().value_or(0)},
                      {"magnitude", table.getMagnitude() ? table.getMagnitude()->convertToDouble() : 1.0},
                      {"angle_digits", llvm::APFloat::semanticsPrecision(angles)},
                      {"angle_min_exponent", llvm::APFloat::semanticsMinExponent(angles)}};
}

/// What decides which requests the model answers, beyond what every manifest says.
static json::Object describeTraits(const ModelFacts &facts) {
  json::Array depthWeights;
  for (WeightOp weight : facts.getCheckedWeights())
    depthWeights.push_back(json::Object{{"name", weight.getSymName()}, {"depths", *weight.getDepths()}});
  return json::Object{
      {"mixes_call_rows", facts.mixesCallRows},
      {"compute_refused", facts.computeRefusal.empty() ? json::Value(nullptr) : json::Value(facts.computeRefusal)},
      {"cuts", facts.cutReason.empty() ? json::Value(nullptr) : json::Value(facts.cutReason)},
      {"top_k", facts.hasTopK},
      {"prefix_mask", facts.hasPrefixMask},
      {"depth_weights", std::move(depthWeights)}};
}

//===----------------------------------------------------------------------===//
// Headlines
//===----------------------------------------------------------------------===//

/// Caches of attention among the rows of one call, in order of number.
static json::Array describeCallCaches(ModuleOp module) {
  SmallVector<kernel::CacheOp> caches;
  for (auto cache : module.getOps<kernel::CacheOp>())
    if (cache.getTransient())
      caches.push_back(cache);
  llvm::sort(caches, [](kernel::CacheOp a, kernel::CacheOp b) { return a.getNumber() < b.getNumber(); });
  json::Array array;
  for (kernel::CacheOp cache : caches)
    array.push_back(json::Object{{"name", cache.getSymName()},
                                 {"layers", cache.getLayers()},
                                 {"heads", cache.getHeads()},
                                 {"dim", cache.getDim()},
                                 {"type", "f32"},
                                 {"looped", false},
                                 {"slots_at_most", 1}});
  return array;
}

json::Object lariat::describeFast(const FastProgram &program, const ModelFacts &facts) {
  json::Array objects, caches, states, ropeTables, functions, refused;
  for (const CodeObject &object : program.objects)
    objects.push_back(json::Object{
        {"isa", object.isa}, {"file", "code/" + object.isa + ".so"}, {"requires", json::Array(object.features)}});
  for (const CacheFacts &cache : facts.caches)
    caches.push_back(describeCache(cache, facts));
  ModuleOp kernelModule = *program.kernels.module;
  json::Array callCaches = describeCallCaches(kernelModule);
  for (const StateFacts &state : facts.states)
    states.push_back(describeState(state));
  for (auto table : kernelModule.getOps<kernel::RopeTableOp>())
    ropeTables.push_back(describeRopeTable(table));
  for (const EntryFacts &entry : program.kernels.entries)
    functions.push_back(describeEntry(entry, getSizes(program, entry)));
  for (const RefusedVariant &variant : program.kernels.refused) {
    json::Object object{{"error", variant.reason}};
    describeVariant(variant.variant, object);
    refused.push_back(std::move(object));
  }
  return json::Object{{"abi_version", abi::kAbiVersion},
                      {"objects", std::move(objects)},
                      {"weights", json::Object{{"file", kWeightsFile}, {"bytes", program.weightBytes}}},
                      {"caches", std::move(caches)},
                      {"call_caches", std::move(callCaches)},
                      {"states", std::move(states)},
                      {"rope_tables", std::move(ropeTables)},
                      {"functions", std::move(functions)},
                      {"refused", std::move(refused)},
                      {"traits", describeTraits(facts)}};
}

static std::string formatSizes(const EntrySizes &sizes) {
  std::string text;
  llvm::raw_string_ostream(text) << sizes.arenaRowBytes << " bytes per row, rows rounded up to " << abi::kRowPadding
                                 << "; " << sizes.cells * 8 << " bytes of cells; " << sizes.scratchBytes
                                 << " bytes of scratch per thread";
  return text;
}

std::string lariat::formatFastMemory(const FastProgram &program, const ModelFacts &facts) {
  std::string text;
  llvm::raw_string_ostream os(text);
  int64_t loops = facts.loops.getDefaultSteps(), context = facts.model.getContextSize(), pool = 0;
  for (const CacheFacts &cache : facts.caches) {
    CacheOp op = cache.op;
    int64_t pageBytes = getPageBytes(cache), slots = cache.getNumSlots(loops);
    int64_t bound = cache.getBytes(context, loops) + slots * pageBytes;
    os << "pages of cache " << op.getSymName() << ": " << pageBytes << " bytes for " << abi::kPageEntries
       << " entries of a slot; at most one that is not full in each of " << slots << " slots of a sequence, " << bound
       << " bytes for " << context << " tokens\n";
    pool += bound;
  }
  os << "page pool: at most " << pool << " bytes for a sequence of " << context << " tokens\n";
  os << "weights: " << program.weightBytes << " bytes, mapped from " << kWeightsFile << "\n";
  int64_t lineBytes = 0;
  ModuleOp kernelModule = *program.kernels.module;
  for (auto table : kernelModule.getOps<kernel::RopeTableOp>())
    lineBytes += table.getLineBytes();
  if (lineBytes > 0)
    os << "rotary tables: " << lineBytes << " bytes per position, as far as positions are reached\n";
  // One line per function of the contract, whatever modes and missing modes it is compiled for.
  llvm::MapVector<StringRef, EntrySizes> largest;
  for (const EntryFacts &entry : program.kernels.entries) {
    EntrySizes sizes = getSizes(program, entry), &most = largest[entry.name];
    most.arenaRowBytes = std::max(most.arenaRowBytes, sizes.arenaRowBytes);
    most.cells = std::max(most.cells, sizes.cells);
    most.scratchBytes = std::max(most.scratchBytes, sizes.scratchBytes);
  }
  for (const auto &[name, sizes] : largest)
    os << "call of " << name << ": at most " << formatSizes(sizes) << "\n";
  return text;
}

std::string lariat::formatCallMemory(const FastProgram &program) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (const EntryFacts &entry : program.kernels.entries)
    os << "call of " << describe(entry) << ": " << formatSizes(getSizes(program, entry)) << "\n";
  return text;
}
