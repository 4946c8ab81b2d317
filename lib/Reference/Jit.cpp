// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lowers a copy of the module and compiles it for this machine. Rounding is that of the IR: no fast-math flags, and
// fusing of multiply and add is off, so that a result does not depend on the machine's instructions.

#include "lariat/Reference/Jit.h"

#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Weights.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "lariat/Dialect/Lariat/IR/StepRecord.h"
#include "lariat/Support/Error.h"
#include "lariat/Target/CPU/Narrowing.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

Executable::~Executable() = default;

const Entry *Executable::find(StringRef name) const {
  auto it = entries.find(name);
  return it == entries.end() ? nullptr : &it->second;
}

Jit::Jit(const Model &model) : model(model) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
}

llvm::Expected<const Executable *> Jit::get(const Variant &options) {
  std::tuple key(options.mode, options.missing ? static_cast<int>(*options.missing) : -1, options.derived);
  std::unique_ptr<Executable> &executable = executables[key];
  if (!executable) {
    llvm::Expected<std::unique_ptr<Executable>> compiled = compile(options);
    if (!compiled) {
      executables.erase(key);
      return compiled.takeError();
    }
    executable = std::move(*compiled);
  }
  return executable.get();
}

llvm::Expected<const float *> Jit::getWeight(StringRef name, bool transposed) {
  auto [it, isNew] = weights.try_emplace({name.str(), transposed});
  if (!isNew)
    return it->second.data();
  auto weight = model.module.get().lookupSymbol<WeightOp>(name);
  if (!weight)
    return makeError("lowered code reads the weight @" + name + ", which the module does not declare");
  llvm::Expected<std::vector<float>> values = loadWeight(weight, model.checkpoint ? &*model.checkpoint : nullptr);
  if (!values)
    return values.takeError();
  it->second = transposed ? transposeLast(*values, getDataShape(weight)) : std::move(*values);
  return it->second.data();
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine() {
  llvm::Expected<llvm::orc::JITTargetMachineBuilder> builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder)
    return builder.takeError();
  builder->getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  builder->setRelocationModel(llvm::Reloc::PIC_); // weights may lie anywhere
  return builder->createTargetMachine();
}

static llvm::Error optimize(llvm::Module *module, llvm::TargetMachine *machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  defineNarrowing(*module);
  // No inlining and no unrolling: helpers are shared so that compile time does not grow with layers, and the release of
  // a step's buffers, whose count is a constant of some hundreds, would be unrolled whole.
  for (llvm::Function &function : *module)
    if (!function.isDeclaration())
      function.addFnAttr(llvm::Attribute::NoInline);
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(*module, modules);
  return llvm::Error::success();
}

/// Signatures of the functions that can be called.
static llvm::StringMap<Entry> collectEntries(ModuleOp module) {
  llvm::StringMap<Entry> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal()) {
      Entry &entry = entries[function.getSymName()];
      entry.signature = getSignature(function);
      entry.record = getStepRecord(function);
    }
  return entries;
}

/// The lowered signature must be the known one with memory behind it.
static llvm::Error completeEntries(ModuleOp module, size_t numMemoryArguments, llvm::StringMap<Entry> &entries) {
  for (auto function : module.getOps<func::FuncOp>()) {
    auto it = entries.find(function.getSymName());
    if (it == entries.end())
      continue;
    Entry &entry = it->second;
    size_t expected = entry.signature.inputs.size() + numMemoryArguments;
    if (function.getNumArguments() != expected)
      return makeError("lowered function @" + function.getSymName() + " takes " + Twine(function.getNumArguments()) +
                       " arguments, expected " + Twine(expected));
    for (auto [port, type] : llvm::zip(entry.signature.inputs, function.getArgumentTypes()))
      port.type = type;
    for (Type type : function.getResultTypes()) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor)
        return makeError("lowered function @" + function.getSymName() + " returns something other than tensors");
      entry.results.push_back(tensor);
    }
  }
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<Executable>> Jit::compile(const Variant &options) {
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(model.module.get()->clone());
  if (llvm::Error error = runPipeline(*module, [&](OpPassManager &manager) { buildModelPipeline(manager, options); }))
    return std::move(error);
  auto executable = std::make_unique<Executable>();
  executable->entries = collectEntries(*module);
  if (llvm::Error error = runPipeline(*module, buildLowerToTensorsPipeline))
    return std::move(error);
  // Arguments for caches and states, and for the words of the first fault.
  size_t numMemoryArguments = kArgumentsPerCache * model.facts.caches.size() + model.facts.states.size() + 1;
  if (llvm::Error error = completeEntries(*module, numMemoryArguments, executable->entries))
    return std::move(error);
  SmallVector<WeightSymbol> symbols = collectWeightSymbols(*module);
  llvm::StringMap<const float *> addresses;
  for (const WeightSymbol &symbol : symbols) {
    llvm::Expected<const float *> address = getWeight(symbol.weight, symbol.transposed);
    if (!address)
      return address.takeError();
    addresses[symbol.symbol] = *address;
  }
  if (llvm::Error error = runPipeline(*module, buildLowerToLLVMPipeline))
    return std::move(error);

  auto machine = createMachine();
  if (!machine)
    return machine.takeError();
  llvm::TargetMachine *machinePointer = machine->get();
  auto transformer = [machinePointer](llvm::Module *module) { return optimize(module, machinePointer); };
  ExecutionEngineOptions engineOptions;
  engineOptions.transformer = transformer;
  engineOptions.enableGDBNotificationListener = false;
  engineOptions.enablePerfNotificationListener = false;
  llvm::Expected<std::unique_ptr<ExecutionEngine>> engine =
      ExecutionEngine::create(*module, engineOptions, std::move(*machine));
  if (!engine)
    return engine.takeError();
  executable->engine = std::move(*engine);
  executable->engine->registerSymbols([&](llvm::orc::MangleAndInterner interner) {
    llvm::orc::SymbolMap map;
    for (const auto &symbol : addresses)
      map[interner(symbol.first())] = {llvm::orc::ExecutorAddr::fromPtr(symbol.second), llvm::JITSymbolFlags::Exported};
    return map;
  });
  for (auto &entry : executable->entries) {
    auto function = executable->engine->lookupPacked(("_mlir_ciface_" + entry.first()).str());
    if (!function)
      return function.takeError();
    entry.second.function = *function;
  }
  return executable;
}
