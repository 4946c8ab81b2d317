// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fast pipeline. Kernels are formed and planned once; then each ISA lowers a copy of its own.

#include "lariat/Compiler/FastPath.h"

#include "lariat/Compiler/Modules.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Support/Error.h"
#include "lariat/Target/CPU/SharedObject.h"
#include "lariat/Target/Description/CPUTarget.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <future>

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

/// All targets whose code runs on machines of this kind; the list is best first.
static SmallVector<const CPUTarget *> listHostTargets() {
  llvm::Triple host(llvm::sys::getProcessTriple());
  SmallVector<const CPUTarget *> targets;
  for (const CPUTarget &target : getCPUTargets())
    if (llvm::Triple(target.triple).getArch() == host.getArch())
      targets.push_back(&target);
  return targets;
}

static bool runsHere(const CPUTarget &target) {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  return llvm::all_of(target.required, [&](StringRef feature) { return features.lookup(feature); });
}

llvm::Expected<SmallVector<const CPUTarget *>> lariat::selectTargets(StringRef choice) {
  SmallVector<const CPUTarget *> known = listHostTargets(), chosen;
  std::string list;
  for (const CPUTarget *target : known)
    list += target->name + ", ";
  SmallVector<StringRef> words;
  choice.split(words, ',');
  for (StringRef word : words) {
    word = word.trim();
    if (word == "all" || choice.empty())
      return known;
    const auto *it = llvm::find_if(
        known, [&](const CPUTarget *target) { return word == "native" ? runsHere(*target) : word == target->name; });
    if (it == known.end() && word == "native")
      return makeError("this machine runs none of the targets " + StringRef(list).drop_back(2));
    if (it == known.end())
      return makeError("option --target is '" + word + "', expected " + list + "native or all");
    if (!llvm::is_contained(chosen, *it))
      chosen.push_back(*it);
  }
  llvm::sort(chosen,
             [&](const CPUTarget *a, const CPUTarget *b) { return llvm::find(known, a) < llvm::find(known, b); });
  return chosen;
}

llvm::Error lariat::printTargets(StringRef name, llvm::raw_ostream &os) {
  if (name == "native") {
    llvm::Expected<SmallVector<const CPUTarget *>> best = selectTargets(name);
    if (!best)
      return best.takeError();
    printCPUTarget(os, *best->front());
    return llvm::Error::success();
  }
  if (!name.empty() && !findCPUTarget(name)) {
    std::string list;
    for (const CPUTarget &target : getCPUTargets())
      list += target.name + ", ";
    return makeError("option --print-target is '" + name + "', expected " + StringRef(list).drop_back(2) +
                     " or native");
  }
  for (const CPUTarget &target : getCPUTargets())
    if (name.empty() || target.name == name)
      printCPUTarget(os, target);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

static int64_t getCount(Operation *function, StringRef attribute) {
  auto attr = function->getAttrOfType<IntegerAttr>(attribute);
  return attr ? attr.getInt() : 0;
}

/// From planned kernels to LLVM's dialect. Leaves what the host needs per call in `sizes`.
static llvm::Error lowerKernels(ModuleOp module, const CPUTarget &target, std::map<std::string, EntrySizes> &sizes) {
  if (llvm::Error error = runPipeline(
          module, [&](OpPassManager &manager) { buildKernelsToLLVMPipeline(manager, target.name); }, target.name))
    return error;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (!function->hasAttr(kCellsAttr))
      continue;
    EntrySizes &size = sizes[function.getSymName().str()];
    size.cells = std::max(size.cells, getCount(function, kCellsAttr));
    size.scratchBytes = std::max(size.scratchBytes, getCount(function, kScratchBytesAttr));
  }
  return llvm::Error::success();
}

namespace {

/// A target on its way: its code is emitted on a thread while the next one is lowered. What MLIR does is done on the main
/// thread, whose context is not shared: the other one gets LLVM IR in a context of its own.
struct Emission {
  const CPUTarget *target;
  int64_t numKernels;
  std::future<llvm::Expected<MachineCode>> code;
};

} // namespace

/// Lowers a copy of the kernels and starts to emit it.
static llvm::Expected<Emission> startTarget(const CPUTarget &target, FastProgram &program, CompileStats &stats) {
  CompileStats::Target &figures = stats.targets.emplace_back();
  figures.isa = target.name;
  StageTimer timer(figures.seconds);
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(program.kernels.module.get()->clone());
  if (llvm::Error error = lowerKernels(*module, target, program.sizes))
    return std::move(error);
  timer.end("lower");
  llvm::Expected<TranslatedModule> translated = translateToLLVM(*module);
  if (!translated)
    return translated.takeError();
  timer.end("translate");
  auto emit = [translated = std::move(*translated), &target]() mutable {
    return emitCode(std::move(translated), target, CodeForm::Object);
  };
  return Emission{&target, getCount(*module, kNumKernelsAttr), std::async(std::launch::async, std::move(emit))};
}

/// Links what has been emitted. All targets are past code generation.
static llvm::Error finishTarget(const Emission &emission, MachineCode object, FastProgram &program,
                                CompileStats::Target &figures) {
  llvm::Expected<MachineCode> code = linkObject(std::move(object));
  if (!code)
    return code.takeError();
  for (const auto &[stage, seconds] : code->seconds)
    figures.seconds.add(stage, seconds);
  figures.codeBytes = code->codeBytes;
  figures.fileBytes = static_cast<int64_t>(code->bytes.size());
  const CPUTarget &target = *emission.target;
  program.objects.push_back(
      {target.name, target.layout.name, target.required, std::move(code->bytes), emission.numKernels});
  return llvm::Error::success();
}

static llvm::Error compileTargets(ArrayRef<const CPUTarget *> targets, FastProgram &program, CompileStats &stats,
                                  Progress &progress) {
  progress.begin("code", static_cast<int64_t>(targets.size()));
  std::vector<Emission> emissions;
  llvm::Error error = llvm::Error::success();
  for (const CPUTarget *target : targets) {
    llvm::Expected<Emission> emission = startTarget(*target, program, stats);
    if (!emission) {
      error = joinErrors(std::move(error), emission.takeError());
      break;
    }
    emissions.push_back(std::move(*emission));
  }
  std::vector<MachineCode> objects;
  for (Emission &emission : emissions) {
    llvm::Expected<MachineCode> code = emission.code.get();
    if (code)
      objects.push_back(std::move(*code));
    else
      error = joinErrors(std::move(error), code.takeError());
    progress.reach(static_cast<int64_t>(objects.size()));
  }
  if (error)
    return makeError(StringRef(toString(std::move(error))).split('\n').first);
  for (auto [index, object] : llvm::enumerate(objects))
    if (llvm::Error error = finishTarget(emissions[index], std::move(object), program, stats.targets[index]))
      return error;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

int64_t PackedWeights::getBytes() const { return getCount(contents.get(), kernel::kWeightBytesAttr); }

/// Plans a file for each layout that targets have. Their copies of the kernels get the same places, by the same passes.
static llvm::Error planWeights(ArrayRef<const CPUTarget *> targets, FastProgram &program) {
  ModuleOp kernels = *program.kernels.module;
  for (const CPUTarget *target : targets) {
    const abi::Layout &layout = target->layout;
    if (llvm::any_of(program.weights, [&](const PackedWeights &known) { return known.layout == layout; }))
      continue;
    std::string file = program.weights.empty() ? "weights.bin" : "weights." + layout.name + ".bin";
    PackedWeights &weights = program.weights.emplace_back(layout, file, ModuleOp::create(kernels.getLoc()));
    OpBuilder b = OpBuilder::atBlockEnd(weights.contents->getBody());
    for (Operation &op : kernels.getOps())
      if (isa<kernel::PackedOp, kernel::RopeTableOp>(op))
        b.clone(op);
    if (llvm::Error error = runPipeline(
            *weights.contents, [&](OpPassManager &manager) { buildLayoutPipeline(manager, layout); }, "weights"))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<FastProgram> lariat::compileFast(const Model &model, const CompileOptions &options, CompileStats &stats,
                                                Progress &progress) {
  progress.begin("kernels");
  llvm::Expected<SmallVector<const CPUTarget *>> targets = selectTargets(options.targets);
  if (!targets)
    return targets.takeError();
  llvm::Expected<KernelProgram> kernels = formKernelProgram(model, stats.seconds);
  if (!kernels)
    return kernels.takeError();
  FastProgram program;
  program.kernels = std::move(*kernels);
  ModuleOp module = *program.kernels.module;
  if (llvm::Error error = planWeights(*targets, program))
    return std::move(error);
  if (llvm::Error error = runPipeline(module, buildLowerGenericPipeline, "generic"))
    return std::move(error);
  for (auto function : module.getOps<func::FuncOp>())
    program.sizes[function.getSymName().str()].arenaRowBytes = getCount(function, kernel::kArenaRowBytesAttr);
  if (llvm::Error error = compileTargets(*targets, program, stats, progress))
    return std::move(error);
  return program;
}

llvm::Expected<OwningOpRef<ModuleOp>> lariat::lowerKernelProgram(const KernelProgram &program,
                                                                 const CPUTarget &target) {
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(program.module.get()->clone());
  if (llvm::Error error = runPipeline(*module, buildLowerGenericPipeline, "generic"))
    return std::move(error);
  std::map<std::string, EntrySizes> sizes;
  if (llvm::Error error = lowerKernels(*module, target, sizes))
    return std::move(error);
  return module;
}

llvm::Expected<MachineCode> lariat::emitKernelCode(const KernelProgram &program, const CPUTarget &target,
                                                   CodeForm form) {
  llvm::Expected<OwningOpRef<ModuleOp>> module = lowerKernelProgram(program, target);
  return module ? emitCode(**module, target, form) : module.takeError();
}
