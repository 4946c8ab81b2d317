// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Brings a model to the kernel level once per variant and puts the variants together. Refused: what one of the declared
// modes refuses. A variant that a caller may also ask for but that cannot be compiled is left out with its reason, which is
// what the caller gets to read.

#include "lariat/Compiler/KernelProgram.h"

#include "lariat/Compiler/MergeKernels.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

/// Element type, columns and row set of a port; labels are still there.
static PortFacts describePort(const Port &port, ArrayRef<Port> inputs) {
  PortFacts facts{port.name, isa<RowsType>(port.type), IndexType::get(port.type.getContext()), /*width=*/6,
                  /*rows=*/-1};
  RowsType rows = facts.isRows ? cast<RowsType>(port.type) : getRowsType(port.type);
  if (!facts.isRows) {
    auto tensor = cast<RankedTensorType>(port.type);
    facts.type = tensor.getElementType();
    facts.width = tensor.getRank() == 1 ? 0 : ShapedType::getNumElements(tensor.getShape().drop_front());
  }
  for (auto [number, input] : llvm::enumerate(inputs))
    if (rows && input.type == rows)
      facts.rows = static_cast<int64_t>(number);
  return facts;
}

static EntryFacts describeEntry(func::FuncOp function, const Variant &variant) {
  EntrySignature signature = getSignature(function);
  EntryFacts facts{signature.name, variant, /*symbol=*/"", {}, {}};
  for (const Port &port : signature.inputs)
    facts.inputs.push_back(describePort(port, signature.inputs));
  for (const Port &port : signature.outputs)
    facts.outputs.push_back(describePort(port, signature.inputs));
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

/// The symbol of an entry, if no other has it.
static std::string nameSymbol(StringRef entry, const Variant &variant) {
  std::string name = "lariat_" + entry.str();
  if (variant.mode == RunMode::Generate)
    name += "_generate";
  if (variant.missing)
    name += "_" + stringifyMissingMode(*variant.missing).str();
  return name;
}

/// Adds a variant to the program.
static llvm::Error addVariant(const Model &model, const Variant &variant, bool halfWeights, KernelMerger &merger,
                              KernelProgram &program, StageTimer &timer) {
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(model.module.get()->clone());
  ReferenceOptions options{variant.mode, variant.missing, variant.derived};
  if (llvm::Error error = runPipeline(*module, [&](OpPassManager &manager) { buildModelPipeline(manager, options); }))
    return error;
  std::vector<EntryFacts> entries;
  for (auto function : module->getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      entries.push_back(describeEntry(function, variant));
  timer.end("model level");
  if (llvm::Error error =
          runPipeline(*module, [&](OpPassManager &manager) { buildFormKernelsPipeline(manager, halfWeights); }))
    return error;
  timer.end("form kernels");
  llvm::StringMap<std::string> symbols =
      merger.merge(*module, [&](StringRef entry) { return nameSymbol(entry, variant); });
  for (EntryFacts &entry : entries) {
    entry.symbol = symbols[entry.name];
    program.entries.push_back(std::move(entry));
  }
  timer.end("merge variants");
  return llvm::Error::success();
}

llvm::Expected<KernelProgram> lariat::formKernelProgram(const Model &model, bool halfWeights, StageSeconds &seconds) {
  StageTimer timer(seconds);
  ModuleOp source = *model.module;
  KernelProgram program{ModuleOp::create(source.getLoc()), {}, {}};
  for (NamedAttribute attr : source->getDiscardableAttrs())
    (*program.module)->setAttr(attr.getName(), attr.getValue());
  KernelMerger merger(*program.module);
  for (const Variant &variant : listVariants(model.facts)) {
    llvm::Error error = addVariant(model, variant, halfWeights, merger, program, timer);
    if (!error)
      continue;
    if (!variant.missing && !variant.derived)
      return std::move(error);
    program.refused.push_back({variant, toString(std::move(error))});
  }
  if (llvm::Error error = runPipeline(*program.module, buildPlanKernelsPipeline))
    return std::move(error);
  timer.end("plan");
  return program;
}
