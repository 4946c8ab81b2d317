// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a model, applies what the user chose, checks all that can be checked without running it.

#include "lariat/Compiler/Compile.h"

#include "lariat/Compiler/FastPath.h"
#include "lariat/Compiler/ModelManifest.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Compiler/Weights.h"
#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "lariat/Dialect/Lariat/Transforms/WeightFormats.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Json.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace mlir;
using namespace lariat;
namespace json = llvm::json;

static constexpr std::string_view kReference = abi::getName(abi::Pipeline::Reference);
static constexpr std::string_view kFast = abi::getName(abi::Pipeline::Fast);

static llvm::Error verifyChoice(StringRef option, StringRef value, ArrayRef<StringRef> known) {
  if (llvm::is_contained(known, value))
    return llvm::Error::success();
  std::string list;
  for (StringRef word : known)
    list += (list.empty() ? "" : " or ") + word.str();
  return makeError("option --" + option + " is '" + value + "', expected " + list);
}

std::string lariat::listDtypes() { return listWeightFormats(); }

llvm::Error lariat::verifyOptions(const CompileOptions &options) {
  if (!options.dtype.empty())
    if (llvm::Error error = parseWeightFormats(options.dtype).takeError())
      return makeError("option --dtype: " + toString(std::move(error)));
  if (!options.kvDtype.empty())
    if (llvm::Error error = verifyChoice("kv-dtype", options.kvDtype, {"f32", "bf16"}))
      return error;
  if (llvm::Error error = verifyChoice("pipeline", options.pipeline, {kReference, kFast}))
    return error;
  if (llvm::Error error = verifyChoice("emit", options.emit, {"artefact", "kernel", "llvm", "llvm-ir", "asm", "obj"}))
    return error;
  if (options.emit != "artefact" && options.pipeline != kFast)
    return makeError("option --emit is of the fast pipeline, not of the reference one");
  if (options.emit != "artefact")
    return llvm::Error::success(); // code of other kinds of machines may be emitted, but is no artefact
  if (options.pipeline == kFast)
    return selectTargets(options.targets).takeError();
  return options.targets.empty() ? llvm::Error::success()
                                 : makeError("option --target is of the fast pipeline, not of the reference one");
}

//===----------------------------------------------------------------------===//
// Applying options
//===----------------------------------------------------------------------===//

static void setKVDtype(ModuleOp module, StringRef dtype) {
  Builder builder(module.getContext());
  Type type = dtype == "bf16" ? Type(builder.getBF16Type()) : Type(builder.getF32Type());
  for (auto cache : module.getOps<CacheOp>())
    cache.setTypeAttr(TypeAttr::get(type));
}

/// The ids of `eos_token_id`, a number or a list; nothing where the file or the key is absent.
static llvm::Expected<std::optional<SmallVector<int64_t>>> readEos(StringRef dir, int64_t vocab) {
  std::optional<SmallVector<int64_t>> none;
  SmallString<256> path(dir);
  llvm::sys::path::append(path, "generation_config.json");
  if (dir.empty() || !llvm::sys::fs::exists(path))
    return none;
  llvm::Expected<json::Value> value = parseJsonFile(path);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  const json::Value *eos = object ? object->get("eos_token_id") : nullptr;
  if (!object)
    return makeError(path + " is not a JSON object");
  if (!eos || eos->kind() == json::Value::Null)
    return none;
  SmallVector<int64_t> ids;
  json::Array single{*eos};
  for (const json::Value &element : eos->getAsArray() ? *eos->getAsArray() : single) {
    std::optional<int64_t> id = element.getAsInteger();
    if (!id)
      return makeError(path + ": 'eos_token_id' is neither a token id nor a list of them");
    if (*id < 0 || *id >= vocab)
      return makeError(path + ": 'eos_token_id' names id " + Twine(*id) + ", expected 0 to " + Twine(vocab - 1));
    ids.push_back(*id);
  }
  return ids;
}

static llvm::Error applyEos(ModuleOp module, StringRef dir) {
  auto model = module->getAttrOfType<ModelAttr>(kModelAttr);
  if (!model)
    return llvm::Error::success(); // reported with the other facts
  auto eos = readEos(dir, model.getVocab());
  if (!eos)
    return eos.takeError();
  if (*eos)
    module->setAttr(kModelAttr, ModelAttr::get(module.getContext(), model.getFamily(), model.getKind(),
                                               model.getVocab(), model.getContextSize(), **eos, model.getShape()));
  return llvm::Error::success();
}

/// The attribute behind `#lariat.`, as a KV policy.
static llvm::Expected<KVPolicyAttrInterface> parseKVPolicy(StringRef text, MLIRContext *context) {
  std::string said;
  Attribute attr;
  {
    ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
      if (said.empty())
        said = diagnostic.str();
      return success();
    });
    attr = parseAttribute(("#lariat." + text).str(), context);
  }
  if (auto policy = dyn_cast_or_null<KVPolicyAttrInterface>(attr))
    return policy;
  return makeError("option --override-kv-policy: '" + text + "' is not a KV policy" + (attr ? "" : ": " + said));
}

/// Gives the caches of loops another policy than the model declares.
static llvm::Error overrideKVPolicy(Model &model, const std::optional<std::string> &text) {
  if (!text)
    return llvm::Error::success();
  llvm::Expected<KVPolicyAttrInterface> policy = parseKVPolicy(*text, model.module->getContext());
  if (!policy)
    return policy.takeError();
  bool isUsed = false;
  for (CacheFacts &facts : model.facts.caches) {
    isUsed |= facts.isLooped;
    KVPolicyAttrInterface declared = facts.op.getPolicy();
    if (!facts.isLooped || declared == *policy)
      continue;
    facts.declared = declared;
    facts.op.setPolicyAttr(*policy);
    std::string &warning = model.warnings.emplace_back();
    llvm::raw_string_ostream(warning) << "cache @" << facts.op.getSymName() << " has the KV policy " << *policy
                                      << " instead of " << declared
                                      << ", which the model declares, so the model computes something else";
  }
  model.facts.update(*model.module);
  return isUsed ? llvm::Error::success()
                : makeError("option --override-kv-policy is given, but the model has no cache of a loop over depth");
}

//===----------------------------------------------------------------------===//
// Checkpoint
//===----------------------------------------------------------------------===//

/// The directory or file with the weights: the option, else the module's attribute, relative to the module's file.
static std::string locateWeights(ModuleOp module, const CompileOptions &options) {
  if (!options.weights.empty())
    return options.weights;
  auto attr = module->getAttrOfType<StringAttr>(kWeightsAttr);
  if (!attr || attr.getValue().empty())
    return {};
  if (llvm::sys::path::is_absolute(attr.getValue()))
    return attr.str();
  SmallString<256> path(llvm::sys::path::parent_path(options.input));
  llvm::sys::path::append(path, attr.getValue());
  return std::string(path);
}

static llvm::Error openCheckpoint(Model &model, const CompileOptions &options) {
  bool needed =
      llvm::any_of(model.module->getOps<WeightOp>(), [](WeightOp weight) { return bool(weight.getSource()); });
  std::string path = locateWeights(*model.module, options);
  if (path.empty() && needed)
    return makeError(options.input + " reads a checkpoint, but neither --weights nor lariat.weights names one");
  if (path.empty())
    return llvm::Error::success();
  if (!llvm::sys::fs::exists(path))
    return makeError("the checkpoint " + path + " does not exist");
  model.checkpointDir = llvm::sys::fs::is_directory(path) ? path : llvm::sys::path::parent_path(path).str();
  if (!needed)
    return llvm::Error::success();
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(path);
  if (!checkpoint)
    return checkpoint.takeError();
  model.checkpoint = std::move(*checkpoint);
  return llvm::Error::success();
}

static llvm::Error verifyWeights(const Model &model) {
  for (auto weight : model.module.get().getOps<WeightOp>())
    if (llvm::Error error = verifyWeight(weight, model.checkpoint ? &*model.checkpoint : nullptr))
      return error;
  return llvm::Error::success();
}

/// What stands beside functions is what the dialect declares; anything else would be passed over in silence.
static llvm::Error verifyDeclarations(ModuleOp module) {
  for (Operation &op : module.getOps())
    if (!isa<func::FuncOp, WeightOp, CacheOp, StateOp>(op))
      return makeError(formatPlace(op.getLoc()) + "'" + op.getName().getStringRef() +
                       "' stands beside the functions of the module, expected weights, caches and states");
  return llvm::Error::success();
}

/// Rows that run one by one cannot depend on the rows of a call.
static llvm::Error verifyOrder(const ModelFacts &facts) {
  int64_t loops = facts.loops.getDefaultSteps();
  for (const CacheFacts &cache : facts.caches)
    if (facts.mixesCallRows && cache.getOrder(loops, /*generated=*/false) == RowOrder::Sequential)
      return makeError("cannot compile cache '" + CacheOp(cache.op).getSymName() +
                       "': its order is sequential, but the model attends or reduces among the rows of a call");
  return llvm::Error::success();
}

/// The format of all weights, or each with the number of its weights. Rotary frequencies have none.
static std::string describeWeightFormats(ModuleOp module) {
  llvm::SmallPtrSet<Operation *, 2> exact = findFrequencyWeights(module);
  std::map<StoredFormat, int64_t> counts;
  for (auto weight : module.getOps<WeightOp>())
    if (!exact.contains(weight))
      ++counts[weight.getStored().getFormat()];
  if (counts.size() <= 1)
    return stringifyStoredFormat(counts.empty() ? StoredFormat::F32 : counts.begin()->first).str();
  std::string text;
  for (auto [format, count] : counts)
    text += (Twine(text.empty() ? "" : ", ") + stringifyStoredFormat(format) + " (" + Twine(count) +
             (count == 1 ? " weight)" : " weights)"))
                .str();
  return text;
}

/// Element type of the caches, which share one.
static std::string getKVDtype(const manifest::Manifest &manifest) {
  return std::string(manifest.caches.empty() ? "f32" : abi::getName(manifest.caches.front().type));
}

//===----------------------------------------------------------------------===//
// Headlines
//===----------------------------------------------------------------------===//

llvm::Expected<Model> lariat::readModel(const CompileOptions &options, MLIRContext *context) {
  llvm::Expected<OwningOpRef<ModuleOp>> module = readModule(options.input, context);
  if (!module)
    return module.takeError();
  Model model;
  model.module = std::move(*module);
  if (llvm::Error error = verifyDeclarations(*model.module))
    return std::move(error);
  auto build = [&](OpPassManager &manager) { buildEntryPipeline(manager, options.dtype); };
  if (llvm::Error error = runPipeline(*model.module, build, "entry"))
    return std::move(error);
  if (!options.kvDtype.empty())
    setKVDtype(*model.module, options.kvDtype);
  if (llvm::Error error = openCheckpoint(model, options))
    return std::move(error);
  if (llvm::Error error = applyEos(*model.module, model.checkpointDir))
    return std::move(error);
  llvm::Expected<ModelFacts> facts = collectFacts(*model.module);
  if (!facts)
    return makeError(options.input + ": " + toString(facts.takeError()));
  model.facts = std::move(*facts);
  if (llvm::Error error = overrideKVPolicy(model, options.overrideKVPolicy))
    return std::move(error);
  if (llvm::Error error = verifyWeights(model))
    return std::move(error);
  llvm::Expected<manifest::Manifest> described = describeModel(model.facts);
  if (!described)
    return makeError(options.input + ": " + toString(described.takeError()));
  model.manifest = std::move(*described);
  model.manifest.pipeline = options.pipeline == kFast ? abi::Pipeline::Fast : abi::Pipeline::Reference;
  model.manifest.dtype = describeWeightFormats(*model.module);
  model.manifest.kvDtype = getKVDtype(model.manifest);
  model.manifest.targets = {"reference"};
  return model;
}

llvm::Error lariat::verifyLowering(const Model &model) {
  SmallVector<RunMode> modes{RunMode::Score};
  if (model.facts.canGenerate())
    modes.push_back(RunMode::Generate);
  for (RunMode mode : modes) {
    OwningOpRef<ModuleOp> copy = cast<ModuleOp>(model.module.get()->clone());
    Variant variant;
    variant.mode = mode;
    if (llvm::Error error = runPipeline(
            *copy, [&](OpPassManager &manager) { buildReferencePipeline(manager, variant); },
            mode == RunMode::Generate ? "reference_generate" : "reference_score"))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error lariat::compile(const CompileOptions &options, MLIRContext *context, CompileReport &report,
                            Progress progress) {
  if (llvm::Error error = verifyOptions(options))
    return error;
  if (options.emit == "artefact" && options.output.empty())
    return makeError("option -o is missing, expected the artefact to write, NAME.lariat");
  StageTimer timer(report.stats.seconds);
  progress.begin("read");
  llvm::Expected<Model> model = readModel(options, context);
  if (!model)
    return model.takeError();
  if (llvm::Error error = verifyOrder(model->facts))
    return error;
  timer.end("read");
  report.memory = formatMemory(model->facts);
  report.warnings = model->warnings;
  if (options.emit != "artefact")
    return emit(*model, options, report.stats);
  if (options.pipeline == kReference) {
    progress.begin("kernels");
    if (llvm::Error error = verifyLowering(*model))
      return error;
    timer.end("verify lowering");
    return writeArtefact(*model, options, /*program=*/nullptr, report.stats, progress);
  }
  llvm::Expected<FastProgram> program = compileFast(*model, options, report.stats, progress);
  if (!program)
    return program.takeError();
  report.memory += formatFastMemory(*program, model->facts);
  report.calls = formatCallMemory(*program);
  return writeArtefact(*model, options, &*program, report.stats, progress);
}
