// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fast pipeline. Kernels are formed and planned once; then each target lowers a copy of its own.

#include "lariat/Compiler/FastPath.h"

#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Support/Error.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/STLExtras.h"

#include <future>

using namespace mlir;
using namespace lariat;

static int64_t getCount(Operation *function, StringRef attribute) {
  auto attr = function->getAttrOfType<IntegerAttr>(attribute);
  return attr ? attr.getInt() : 0;
}

/// From planned kernels to LLVM's dialect. Leaves what the host needs per call in `sizes`.
static llvm::Error lowerKernels(ModuleOp module, const Target &target, std::map<std::string, EntrySizes> &sizes) {
  if (llvm::Error error = runPipeline(
          module, [&](OpPassManager &manager) { buildKernelsToLLVMPipeline(manager, target.getName()); },
          target.getName()))
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

/// A target on its way: its code is emitted on a thread while the next one is lowered. What MLIR does is done on the
/// main thread, whose context is not shared: the other one gets LLVM IR in a context of its own.
struct Emission {
  const Target *target;
  int64_t numKernels;
  std::future<llvm::Expected<MachineCode>> code;
};

} // namespace

/// Lowers a copy of the kernels and starts to emit it.
static llvm::Expected<Emission> startTarget(const Target &target, FastProgram &program, CompileStats &stats) {
  CompileStats::Target &figures = stats.targets.emplace_back();
  figures.isa = target.getName().str();
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
    return target.emitCode(std::move(translated), CodeForm::Object);
  };
  return Emission{&target, getCount(*module, kNumKernelsAttr), std::async(std::launch::async, std::move(emit))};
}

/// Links what has been emitted. All targets are past code generation.
static llvm::Error finishTarget(const Emission &emission, MachineCode object, FastProgram &program,
                                CompileStats::Target &figures) {
  const Target &target = *emission.target;
  llvm::Expected<MachineCode> code = target.link(std::move(object));
  if (!code)
    return code.takeError();
  for (const auto &[stage, seconds] : code->seconds)
    figures.seconds.add(stage, seconds);
  figures.codeBytes = code->codeBytes;
  figures.fileBytes = static_cast<int64_t>(code->bytes.size());
  program.objects.push_back({target.getName().str(), target.getLayout().name, target.getRequired().vec(),
                             std::move(code->bytes), emission.numKernels});
  return llvm::Error::success();
}

static llvm::Error compileTargets(ArrayRef<const Target *> targets, FastProgram &program, CompileStats &stats,
                                  Progress &progress) {
  progress.begin("code", static_cast<int64_t>(targets.size()));
  std::vector<Emission> emissions;
  llvm::Error error = llvm::Error::success();
  for (const Target *target : targets) {
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
static llvm::Error planWeights(ArrayRef<const Target *> targets, FastProgram &program) {
  ModuleOp kernels = *program.kernels.module;
  for (const Target *target : targets) {
    const abi::Layout &layout = target->getLayout();
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
  llvm::Expected<SmallVector<const Target *>> targets = selectTargets(options.targets);
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

llvm::Expected<OwningOpRef<ModuleOp>> lariat::lowerKernelProgram(const KernelProgram &program, const Target &target) {
  OwningOpRef<ModuleOp> module = cast<ModuleOp>(program.module.get()->clone());
  if (llvm::Error error = runPipeline(*module, buildLowerGenericPipeline, "generic"))
    return std::move(error);
  std::map<std::string, EntrySizes> sizes;
  if (llvm::Error error = lowerKernels(*module, target, sizes))
    return std::move(error);
  return module;
}

llvm::Expected<MachineCode> lariat::emitKernelCode(const KernelProgram &program, const Target &target, CodeForm form) {
  llvm::Expected<OwningOpRef<ModuleOp>> module = lowerKernelProgram(program, target);
  if (!module)
    return module.takeError();
  llvm::Expected<TranslatedModule> translated = translateToLLVM(**module);
  return translated ? target.emitCode(std::move(*translated), form) : translated.takeError();
}
