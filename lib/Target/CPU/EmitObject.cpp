// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's dialect to an object file, or to the text before it. Kernels arrive as explicit vectors with their order of
// operations fixed, so a short list of passes is enough: it cleans up addresses and control flow and drops what nothing
// calls. Nothing here may change rounding: no fast-math flag, and multiplication and addition are never fused but where
// the IR says fma.

#include "ResolveLibrary.h"
#include "SharedObjectParts.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Support/Error.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::cpu;

/// Measured with a looped model of 4 layers, in interleaved runs: no passes at all, these, these with instcombine, and
/// O2 give code of the same speed for 1, 8 and 128 rows on AVX2 and AVX-512. O2 takes forty times as long and doubles
/// the code.
static constexpr llvm::StringLiteral kPasses =
    "globaldce,function(sroa,early-cse<memssa>,simplifycfg,loop-mssa(licm),early-cse)";

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine(const CPUTarget &target) {
  static bool initialised = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)initialised;
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *family = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!family)
    return makeError("this build of LLVM has no code generator for " + triple.str());
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.FunctionSections = true; // what nothing needs goes when objects are linked
  std::unique_ptr<llvm::TargetMachine> machine(family->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
  if (!machine)
    return makeError("LLVM cannot create a code generator for " + triple.str());
  return machine;
}

/// Entry functions and the table of kernels are seen from outside; everything else is internal, so that it goes when
/// nothing needs it.
static void setLinkage(llvm::Module &module, int64_t vectorBits) {
  std::string width = std::to_string(vectorBits);
  auto set = [](llvm::GlobalValue &symbol) {
    bool isExported = symbol.getName().starts_with(abi::kExportPrefix) && !symbol.hasLocalLinkage();
    symbol.setLinkage(isExported ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::InternalLinkage);
    symbol.setDSOLocal(true);
  };
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    set(function);
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("prefer-vector-width", width);
  }
  for (llvm::GlobalVariable &global : module.globals())
    if (!global.isDeclaration() && !global.getName().starts_with("llvm."))
      set(global);
}

static llvm::Error runPasses(llvm::Module &module, llvm::TargetMachine *machine, llvm::StringRef passes) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager manager;
  if (llvm::Error error = builder.parsePassPipeline(manager, passes))
    return error;
  manager.run(module, modules);
  return llvm::Error::success();
}

int64_t lariat::cpu::countCodeBytes(llvm::ArrayRef<char> bytes) {
  llvm::MemoryBufferRef buffer(llvm::StringRef(bytes.data(), bytes.size()), "object");
  auto object = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!object) {
    llvm::consumeError(object.takeError());
    return 0;
  }
  int64_t total = 0;
  for (const llvm::object::SectionRef &section : (*object)->sections())
    if (section.isText())
      total += static_cast<int64_t>(section.getSize());
  return total;
}

/// Everything up to code generation, which changes the module.
static llvm::Error prepare(llvm::Module &module, llvm::TargetMachine &machine, const CPUTarget &target) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  setLinkage(module, target.vectorBits);
  if (llvm::Error error = runPasses(module, &machine, kPasses))
    return error;
  // After the passes: they turn loops into calls of memory functions, and would drop what only the code generator
  // calls.
  if (llvm::Error error = resolveLibraryCalls(module))
    return error;
  if (!kSanitizesAddresses || !machine.getTargetTriple().isX86())
    return llvm::Error::success();
  for (llvm::Function &function : module)
    function.addFnAttr(llvm::Attribute::SanitizeAddress);
  return runPasses(module, &machine, "asan");
}

llvm::Expected<MachineCode> lariat::emitCode(ModuleOp llvmDialect, const CPUTarget &target, CodeForm form) {
  llvm::Expected<TranslatedModule> translated = translateToLLVM(llvmDialect);
  if (!translated)
    return translated.takeError();
  return emitCode(std::move(*translated), target, form);
}

llvm::Expected<MachineCode> lariat::emitCode(TranslatedModule translated, const CPUTarget &target, CodeForm form) {
  MachineCode code;
  StageClock clock(code.seconds);
  auto machine = createMachine(target);
  if (!machine)
    return machine.takeError();
  llvm::Module &module = translated.get();
  if (llvm::Error error = prepare(module, **machine, target))
    return std::move(error);
  clock.lap("optimise");
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (form == CodeForm::LLVMIR) {
    module.print(stream, nullptr);
  } else {
    llvm::legacy::PassManager passes;
    auto type = form == CodeForm::Object ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile;
    if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, type))
      return makeError("LLVM cannot write code for " + target.triple);
    passes.run(module);
  }
  code.bytes.assign(bytes.begin(), bytes.end());
  code.codeBytes = form == CodeForm::Object ? countCodeBytes(code.bytes) : 0;
  clock.lap("generate");
  return code;
}
