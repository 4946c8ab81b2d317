// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gathers what tools and callers need to know of a module. Refused: a module without the attributes or the entry
// function of docs/function-contract.md, or with ports the contract does not know.

#include "lariat/Compiler/ModelFacts.h"

#include "lariat/Compiler/CutDependence.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "lariat/Support/Error.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/ScopedPrinter.h"
#include "llvm/Support/raw_ostream.h"

#include <limits>

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Ports and caches
//===----------------------------------------------------------------------===//

static const Port *findPort(ArrayRef<Port> ports, StringRef name) {
  const auto *it = llvm::find_if(ports, [&](const Port &port) { return port.name == name; });
  return it == ports.end() ? nullptr : it;
}

const Port *EntrySignature::findInput(StringRef name) const { return findPort(inputs, name); }
const Port *EntrySignature::findOutput(StringRef name) const { return findPort(outputs, name); }

EntrySignature lariat::getSignature(func::FuncOp function) {
  EntrySignature signature;
  signature.name = function.getSymName().str();
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    auto name = function.getArgAttrOfType<StringAttr>(index, kInputAttr);
    signature.inputs.push_back({name ? name.str() : "", type});
  }
  for (auto [index, type] : llvm::enumerate(function.getResultTypes())) {
    auto name = function.getResultAttrOfType<StringAttr>(index, kOutputAttr);
    signature.outputs.push_back({name ? name.str() : "", type});
  }
  return signature;
}

int64_t CacheFacts::getNumDepths(int64_t loops) const {
  CacheOp cache = op;
  return cache.getDepths() ? static_cast<int64_t>(*cache.getDepths()) : loops * depthFactor;
}

int64_t CacheFacts::getNumSlots(int64_t loops) const {
  CacheOp cache = op;
  return std::max<int64_t>(1, cache.getPolicy().getNumSlots(getNumDepths(loops)));
}

int64_t CacheFacts::getBytesPerEntry() const {
  CacheOp cache = op;
  return 2 * cache.getHeads() * cache.getDim() * ((cache.getType().getIntOrFloatBitWidth() + 7) / 8);
}

int64_t CacheFacts::getBytes(int64_t rows, int64_t loops) const {
  CacheOp cache = op;
  // `depths` is a bound where the loop over depth fills the cache, else the number of slots that are filled.
  int64_t depths = isLooped ? std::min(getNumDepths(loops), loops * depthFactor) : getNumDepths(loops);
  SmallVector<int64_t> rowsPerDepth(depths, rows);
  return cache.getLayers() * cache.getPolicy().getLiveEntries(rowsPerDepth) * getBytesPerEntry();
}

bool CacheFacts::distinguishesMissing() const {
  CacheOp cache = op;
  return isLooped && cache.getPolicy().getMissingMode();
}

SmallVector<WeightOp> ModelFacts::getCheckedWeights() const {
  SmallVector<WeightOp> checked;
  llvm::copy_if(depthWeights, std::back_inserter(checked),
                [](WeightOp weight) { return weight.getBeyond() == Beyond::Error; });
  return checked;
}

int64_t ModelFacts::getCapacityDepths() const {
  const Port *port = forward.findInput("capacity");
  return port ? cast<RankedTensorType>(port->type).getDimSize(1) : 0;
}

RowOrder CacheFacts::getOrder(int64_t loops, bool generated) const {
  CacheOp cache = op;
  return isLooped ? cache.getPolicy().getForRows(generated).getRowOrder(loops * depthFactor) : RowOrder::Free;
}

RowOrder ModelFacts::getOrder(int64_t steps, bool generated) const {
  RowOrder order = cutReason.empty() ? RowOrder::Free : RowOrder::Atomic;
  for (const CacheFacts &cache : caches)
    order = std::max(order, cache.getOrder(steps, generated));
  return order;
}

SmallVector<MissingMode> ModelFacts::getAllowedMissing() const {
  SmallVector<MissingMode> modes;
  auto distinguishing = llvm::make_filter_range(caches, [](const CacheFacts &c) { return c.distinguishesMissing(); });
  if (distinguishing.empty())
    return modes;
  for (MissingMode mode :
       {MissingMode::Skip, MissingMode::Slot0, MissingMode::CopyLast, MissingMode::Propagate, MissingMode::Compute}) {
    if (mode == MissingMode::Compute && !computeRefusal.empty())
      continue;
    if (llvm::all_of(distinguishing, [&](CacheFacts cache) { return cache.op.getPolicy().allowsMissing(mode); }))
      modes.push_back(mode);
  }
  return modes;
}

//===----------------------------------------------------------------------===//
// Gathering
//===----------------------------------------------------------------------===//

/// `tensor<? x width x element>`, without the second dimension where width is 0, of any width where it is -1.
static bool isRowTensor(Type type, Type element, int64_t width) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getElementType() != element || tensor.getRank() != (width ? 2 : 1))
    return false;
  return width == 0 || (width < 0 ? !tensor.isDynamicDim(1) : tensor.getDimSize(1) == width);
}

/// The type of a port against the contract; compiled code gets what the contract says.
static llvm::Error verifyPort(const Port &port, int64_t vocab) {
  Builder builder(port.type.getContext());
  bool right = true;
  if (port.name == "rows")
    right = isa<RowsType>(port.type);
  else if (port.name == "ids" || port.name == "steps")
    right = isRowTensor(port.type, builder.getI32Type(), 0);
  else if (port.name == "loops")
    right = isRowTensor(port.type, builder.getIndexType(), 0);
  else if (port.name == "threshold")
    right = isRowTensor(port.type, builder.getF32Type(), 0);
  else if (port.name == "capacity")
    right = isRowTensor(port.type, builder.getI32Type(), -1);
  else if (port.name == "logits")
    right = isRowTensor(port.type, builder.getF32Type(), vocab);
  else
    right = isRowTensor(port.type, builder.getF32Type(), -1);
  if (right)
    return llvm::Error::success();
  return makeError("'" + port.name + "' of @forward has type " + llvm::to_string(port.type) +
                   ", which is not that of the contract");
}

/// Ids and positions must be rows of what they are looked up in.
static llvm::Error verifyEmbed(EmbedOp embed, const ModelFacts &facts) {
  auto weight = SymbolTable::lookupNearestSymbolFrom<WeightOp>(embed, embed.getWeightAttr());
  Operation *source = embed.getIds().getDefiningOp();
  int64_t needed = isa_and_nonnull<PositionOfOp>(source) ? facts.model.getContextSize()
                   : source                              ? 0
                                                         : facts.model.getVocab();
  if (!weight || weight.getTensorType().getDimSize(0) >= needed)
    return llvm::Error::success();
  return makeError("weight @" + weight.getSymName() + " has " + Twine(weight.getTensorType().getDimSize(0)) +
                   " rows, but the model looks up " + Twine(needed));
}

/// Results belong to the rows that callers read them by.
static llvm::Error verifyResultRows(func::FuncOp forward, const ModelFacts &facts) {
  RowsType all = cast<RowsType>(forward.getArgumentTypes().front());
  if (!all.getLabel())
    return makeError("the rows of @forward have no label, expected !lariat.rows<\"all\">");
  SmallVector<RowsType> wanted;
  forward.walk([&](LastOp last) {
    if (last.getFrom().getType() == all)
      wanted.push_back(last.getResult().getType());
  });
  for (const Port &port : facts.forward.outputs) {
    RowsType rows = getRowsType(port.type);
    bool isOfWanted = port.name == "logits";
    if (isOfWanted ? llvm::is_contained(wanted, rows) : rows == all)
      continue;
    return makeError("'" + port.name + "' of @forward belongs to " + llvm::to_string(rows) + ", expected " +
                     (isOfWanted ? "rows that lariat.last selects from " : "the rows of the call, ") +
                     llvm::to_string(all));
  }
  return llvm::Error::success();
}

/// Why rows that stopped cannot run on for the caches of a model; empty if they can.
static std::string findComputeRefusal(ModuleOp module, const ModelFacts &facts) {
  if (llvm::none_of(facts.caches, [](const CacheFacts &cache) { return cache.distinguishesMissing(); }))
    return "no cache of a loop distinguishes what is missing";
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(module->clone());
  ResolveKVPolicyPassOptions options;
  options.missing = stringifyMissingMode(MissingMode::Compute).str();
  return toString(
      runPipeline(*copy, [&](OpPassManager &manager) { manager.addPass(createResolveKVPolicyPass(options)); }));
}

void ModelFacts::update(ModuleOp module) {
  cutReason = findCutDependence(module);
  computeRefusal = findComputeRefusal(module, *this);
}

/// The ports of @forward against the contract.
static llvm::Error verifyPorts(const ModelFacts &facts) {
  auto require = [&](StringRef port, bool there, bool expected, const Twine &because) -> llvm::Error {
    if (there == expected)
      return llvm::Error::success();
    return makeError("@forward has " + StringRef(there ? "" : "no ") + "'" + port + "', but " + because);
  };
  const EntrySignature &forward = facts.forward;
  for (const Port &port : llvm::concat<const Port>(forward.inputs, forward.outputs))
    if (port.name.empty())
      return makeError("@forward has an argument without lariat.input or a result without lariat.output");
  if (forward.inputs.empty() || forward.inputs.front().name != "rows")
    return makeError("the first input of @forward is not 'rows'");
  for (const Port &port : llvm::concat<const Port>(forward.inputs, forward.outputs))
    if (llvm::Error error = verifyPort(port, facts.model.getVocab()))
      return error;
  if (llvm::Error error = require("ids", forward.findInput("ids"), true, "every model takes token ids"))
    return error;
  bool hasThreshold = facts.exit && facts.exit.hasThreshold();
  if (llvm::Error error = require("threshold", forward.findInput("threshold"), hasThreshold,
                                  hasThreshold ? "the module has lariat.exit"
                                  : facts.exit ? "its lariat.exit takes no threshold"
                                               : "the module has no lariat.exit"))
    return error;
  if (forward.findInput("capacity"))
    if (llvm::Error error = require("capacity", true, facts.hasTopK, "the module has no lariat.top_k"))
      return error;
  if (facts.isDecoder())
    return require("logits", forward.findOutput("logits"), true, "a decoder answers with logits");
  return require("hidden", forward.findOutput("hidden"), true, "an encoder answers with its last state");
}

/// Marks the cache of an op whose rows' depth picks the slot, inside a loop over depth.
template <typename T>
static void markLooped(Operation *op, MutableArrayRef<CacheFacts> caches) {
  auto user = dyn_cast<T>(op);
  if (!user || user.getSlot() || !op->getParentOfType<RecurOp>())
    return;
  for (CacheFacts &cache : caches)
    cache.isLooped |= cache.op.getSymName() == user.getCache();
}

/// Whether rows are those of a loop step, or some of them.
static bool areRowsOfStep(Value rows) {
  while (auto choice = rows.getDefiningOp<RowChoiceOpInterface>())
    rows = choice.getFrom();
  auto argument = dyn_cast<BlockArgument>(rows);
  return argument && isa<RecurOp>(argument.getOwner()->getParentOp());
}

static void inspectOps(ModuleOp module, ModelFacts &facts) {
  module.walk([&](AppendOp append) {
    if (append.getSlot() || !areRowsOfStep(append.getAt()))
      for (CacheFacts &cache : facts.caches)
        cache.writesAnySlot |= cache.op.getSymName() == append.getCache();
  });
  module.walk([&](Operation *op) {
    markLooped<AppendOp>(op, facts.caches);
    markLooped<AttendOp>(op, facts.caches);
    if (auto attend = dyn_cast<AttendOp>(op))
      facts.hasPrefixMask |= attend.getMask().getKind() == MaskKind::Prefix;
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      facts.hasPrefixMask |= attention.getMask().getKind() == MaskKind::Prefix;
      facts.mixesCallRows = true;
    }
    facts.mixesCallRows |= isa<SeqReduceOp>(op);
    if (auto topK = dyn_cast<TopKOp>(op)) {
      facts.hasTopK = true;
      facts.lacksDecodeRule |= topK.getDecode().empty();
    }
  });
}

/// Bounds under which no count of steps, entries or bytes overflows; far above what any machine runs.
static llvm::Error verifySizes(const ModelFacts &facts) {
  constexpr int64_t kMaxIndex = std::numeric_limits<int32_t>::max(), kMaxSteps = 1 << 16;
  constexpr uint64_t kMaxBytesPerToken = uint64_t(1) << 31;
  auto require = [](const Twine &what, int64_t found, int64_t most) -> llvm::Error {
    if (found <= most)
      return llvm::Error::success();
    return makeError(what + " is " + Twine(found) + ", expected at most " + Twine(most));
  };
  int64_t steps = std::max(facts.loops.getDefaultSteps(), facts.loops.getStepsWithExit());
  if (llvm::Error error = require("the vocabulary of the model", facts.model.getVocab(), kMaxIndex))
    return error;
  if (llvm::Error error = require("the context of the model", facts.model.getContextSize(), kMaxIndex))
    return error;
  if (llvm::Error error = require("the number of loop steps", steps, kMaxSteps))
    return error;
  uint64_t total = 0;
  for (const CacheFacts &cacheFacts : facts.caches) {
    CacheOp cache = cacheFacts.op;
    int64_t depths = cacheFacts.getNumDepths(steps);
    if (llvm::Error error = require("the number of depths of cache @" + cache.getSymName(), depths, kMaxSteps))
      return error;
    uint64_t bytes = 2 * sizeof(float);
    for (int64_t factor : {static_cast<int64_t>(cache.getLayers()), static_cast<int64_t>(cache.getHeads()),
                           static_cast<int64_t>(cache.getDim()), depths})
      bytes = llvm::SaturatingMultiply<uint64_t>(bytes, factor);
    total = llvm::SaturatingAdd(total, bytes);
  }
  if (total >= kMaxBytesPerToken)
    return makeError("the caches need " + Twine(total) + " bytes per token, expected less than " +
                     Twine(kMaxBytesPerToken));
  return llvm::Error::success();
}

llvm::Expected<ModelFacts> lariat::collectFacts(ModuleOp module) {
  ModelFacts facts;
  facts.model = module->getAttrOfType<ModelAttr>(kModelAttr);
  facts.loops = module->getAttrOfType<LoopsAttr>(kLoopsAttr);
  facts.exit = module->getAttrOfType<ExitAttr>(kExitAttr);
  if (!facts.model)
    return makeError("the module has no attribute lariat.model");
  if (!facts.loops)
    return makeError("the module has no attribute lariat.loops");
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return makeError("the module has no function @forward");
  facts.forward = getSignature(forward);
  for (auto cache : module.getOps<CacheOp>())
    facts.caches.push_back({cache});
  for (auto state : module.getOps<StateOp>())
    facts.states.push_back({state});
  for (auto weight : module.getOps<WeightOp>())
    if (weight.getDepths())
      facts.depthWeights.push_back(weight);
  inspectOps(module, facts);
  if (llvm::Error error = findDepthFactors(module, facts))
    return std::move(error);
  if (llvm::Error error = verifySizes(facts))
    return std::move(error);
  if (llvm::Error error = verifyPorts(facts))
    return std::move(error);
  if (llvm::Error error = verifyResultRows(forward, facts))
    return std::move(error);
  facts.update(module);
  llvm::Error error = llvm::Error::success();
  forward.walk([&](EmbedOp embed) {
    if (!error)
      error = verifyEmbed(embed, facts);
  });
  if (error)
    return std::move(error);
  return facts;
}

//===----------------------------------------------------------------------===//
// Describing
//===----------------------------------------------------------------------===//

std::string lariat::formatMemory(const ModelFacts &facts) {
  std::string text;
  llvm::raw_string_ostream os(text);
  int64_t loops = facts.loops.getDefaultSteps(), context = facts.model.getContextSize();
  int64_t perToken = 0, full = 0;
  os << "KV memory at R = " << loops << ", n(d) = rows that reached depth d\n";
  for (const CacheFacts &facts : facts.caches) {
    CacheOp cache = facts.op;
    int64_t token = facts.getBytes(1, loops), all = facts.getBytes(context, loops);
    os << "cache " << cache.getSymName() << ": " << cache.getLayers() << " layers * (" << cache.getPolicy().getFormula()
       << ") * " << facts.getBytesPerEntry() << " bytes (" << cache.getType() << ")";
    if (!facts.isLooped)
      os << ", R = " << facts.getNumDepths(loops);
    os << "; " << token << " bytes per token, " << all << " for " << context << " tokens\n";
    perToken += token;
    full += all;
  }
  os << "total: " << perToken << " bytes per token, " << full << " bytes for a context of " << context << " tokens\n";
  return text;
}
