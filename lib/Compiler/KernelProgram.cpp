// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Brings a model to the kernel level once per variant and puts the variants together. Refused: what one of the declared
// modes refuses. A variant that a caller may also ask for but that cannot be compiled is left out with its reason,
// which is what the caller gets to read.

#include "lariat/Compiler/KernelProgram.h"

#include "lariat/Compiler/ModelManifest.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Passes.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "lariat/Dialect/Lariat/IR/StepRecord.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

/// Element type, columns and row set of a port; labels are still there.
static llvm::Expected<manifest::Port> describePort(const Port &port, ArrayRef<Port> inputs) {
  manifest::Port facts{.name = port.name, .isRows = isa<RowsType>(port.type)};
  RowsType rows = facts.isRows ? cast<RowsType>(port.type) : getRowsType(port.type);
  if (!facts.isRows) {
    auto tensor = cast<RankedTensorType>(port.type);
    llvm::Expected<abi::ElementType> type = findElementType(tensor.getElementType());
    if (!type)
      return type.takeError();
    facts.type = *type;
    facts.width = tensor.getRank() == 1 ? 0 : ShapedType::getNumElements(tensor.getShape().drop_front());
  }
  for (auto [number, input] : llvm::enumerate(inputs))
    if (rows && input.type == rows)
      facts.rowSet = static_cast<int64_t>(number);
  return facts;
}

static llvm::Expected<EntryFunction> describeEntry(func::FuncOp function, const Variant &variant) {
  EntrySignature signature = getSignature(function);
  EntryFunction facts;
  facts.name = signature.name;
  facts.variant = variant;
  auto describe = [&](ArrayRef<Port> ports, std::vector<manifest::Port> &described) -> llvm::Error {
    for (const Port &port : ports) {
      llvm::Expected<manifest::Port> one = describePort(port, signature.inputs);
      if (!one)
        return makeError("a value of @" + signature.name + " " + toString(one.takeError()));
      described.push_back(std::move(*one));
    }
    return llvm::Error::success();
  };
  if (llvm::Error error = describe(signature.inputs, facts.inputs))
    return std::move(error);
  if (llvm::Error error = describe(signature.outputs, facts.outputs))
    return std::move(error);
  if (variant.derived && signature.name == "prelude")
    facts.record = getStepRecord(function);
  return facts;
}

//===----------------------------------------------------------------------===//
// One variant
//===----------------------------------------------------------------------===//

static std::vector<Variant> listVariants(const ModelFacts &facts) {
  std::vector<RunMode> modes{RunMode::Score};
  if (facts.canGenerate())
    modes.push_back(RunMode::Generate);
  std::vector<std::optional<MissingMode>> missing{std::nullopt};
  llvm::append_range(missing, facts.getAllowedMissing());
  std::vector<Variant> variants;
  for (bool derived : {false, true})
    for (RunMode mode : modes)
      for (std::optional<MissingMode> choice : missing)
        variants.push_back({mode, choice, derived});
  return variants;
}

/// A variant's name among the modules of a program, such as "generate_skip_derived".
static std::string nameVariant(const Variant &variant) {
  std::string name = variant.mode == RunMode::Generate ? "generate" : "score";
  if (variant.missing)
    name += "_" + stringifyMissingMode(*variant.missing).str();
  return name + (variant.derived ? "_derived" : "");
}

/// Adds a variant to the program, as a module of its own.
static llvm::Error addVariant(const Model &model, const Variant &variant, KernelProgram &program, StageTimer &timer) {
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(model.module.get()->clone());
  std::string name = nameVariant(variant);
  if (llvm::Error error =
          runPipeline(*module, [&](OpPassManager &manager) { buildModelPipeline(manager, variant); }, "model_" + name))
    return error;
  std::vector<EntryFunction> entries;
  for (auto function : module->getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal()) {
      llvm::Expected<EntryFunction> entry = describeEntry(function, variant);
      if (!entry)
        return entry.takeError();
      entries.push_back(std::move(*entry));
    }
  timer.end("model level");
  if (llvm::Error error = runPipeline(
          *module, [&](OpPassManager &manager) { buildFormKernelsPipeline(manager, variant); }, "kernels_" + name))
    return error;
  timer.end("form kernels");
  module->setSymName(name);
  program.module->push_back(module.release());
  llvm::append_range(program.entries, std::move(entries));
  return llvm::Error::success();
}

/// Puts the variants together; entries learn their symbols.
static llvm::Error mergeVariants(KernelProgram &program) {
  ModuleOp module = *program.module;
  if (llvm::Error error = runPipeline(module, buildMergeVariantsPipeline, "variants"))
    return error;
  auto symbols = module->getAttrOfType<DictionaryAttr>(kSymbolsAttr);
  for (EntryFunction &entry : program.entries)
    entry.symbol = symbols.getAs<DictionaryAttr>(nameVariant(entry.variant)).getAs<StringAttr>(entry.name).str();
  module->removeAttr(kSymbolsAttr);
  return llvm::Error::success();
}

llvm::Expected<KernelProgram> lariat::formKernelProgram(const Model &model, StageSeconds &seconds) {
  StageTimer timer(seconds);
  ModuleOp source = *model.module;
  KernelProgram program{ModuleOp::create(source.getLoc()), {}, {}};
  for (NamedAttribute attr : source->getDiscardableAttrs())
    (*program.module)->setAttr(attr.getName(), attr.getValue());
  for (const Variant &variant : listVariants(model.facts)) {
    llvm::Error error = addVariant(model, variant, program, timer);
    if (!error)
      continue;
    if (!variant.missing && !variant.derived)
      return std::move(error);
    program.refused.push_back({variant, toString(std::move(error))});
  }
  if (llvm::Error error = mergeVariants(program))
    return std::move(error);
  timer.end("merge variants");
  if (llvm::Error error = runPipeline(*program.module, buildPlanKernelsPipeline, "plan"))
    return std::move(error);
  timer.end("plan");
  return program;
}
