// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A CPU as a target: its description, vector code, and objects by LLVM and lld.

#include "lariat/Target/CPU/Targets.h"

#include "lariat/Conversion/KernelToVector/KernelToVector.h"
#include "lariat/Target/CPU/SharedObject.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace lariat;

bool lariat::isForHost(const CPUTarget &target) {
  return llvm::Triple(target.triple).getArch() == llvm::Triple(llvm::sys::getProcessTriple()).getArch();
}

bool lariat::runsHere(const CPUTarget &target) {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  return isForHost(target) &&
         llvm::all_of(target.required, [&](StringRef feature) { return features.lookup(feature); });
}

namespace {

class CPU : public Target {
public:
  explicit CPU(const CPUTarget &description) : description(description) {}

  StringRef getName() const override { return description.name; }
  ArrayRef<std::string> getRequired() const override { return description.required; }
  bool isForHost() const override { return lariat::isForHost(description); }
  bool runsHere() const override { return lariat::runsHere(description); }
  const abi::Layout &getLayout() const override { return description.layout; }
  int64_t getCachedBytes() const override { return description.tuning.cachedBytes; }
  void print(llvm::raw_ostream &os) const override { printCPUTarget(os, description); }

  ArrayRef<Sum> getSums() const override {
    static constexpr Sum sums[] = {{kernel::SumKind::Chain, 0}, {kernel::SumKind::Segments, kernel::kPageEntries}};
    return sums;
  }

  std::unique_ptr<KernelCodegen> createCodegen(ModuleOp module) const override {
    return std::make_unique<KernelEmitter>(module, description);
  }

  int64_t setMachine(ModuleOp llvmDialect) const override {
    MLIRContext *context = llvmDialect.getContext();
    llvmDialect->setAttr(LLVM::LLVMDialect::getTargetTripleAttrName(), StringAttr::get(context, description.triple));
    int64_t numSet = 0;
    for (auto function : llvmDialect.getOps<LLVM::LLVMFuncOp>()) {
      if (function.isExternal())
        continue;
      function.setTargetCpu(description.cpu);
      if (!description.features.empty())
        function.setTargetFeaturesAttr(LLVM::TargetFeaturesAttr::get(context, description.features));
      ++numSet;
    }
    return numSet;
  }

  llvm::Expected<MachineCode> emitCode(TranslatedModule module, CodeForm form) const override {
    return lariat::emitCode(std::move(module), description, form);
  }
  llvm::Expected<MachineCode> link(MachineCode object) const override { return linkObject(std::move(object)); }

private:
  const CPUTarget &description;
};

} // namespace

std::unique_ptr<const Target> lariat::createCPUTarget(const CPUTarget &description) {
  return std::make_unique<CPU>(description);
}

void lariat::registerCPUTargets(TargetRegistry &registry) {
  for (const CPUTarget &description : getCPUTargets())
    registry.add(createCPUTarget(description));
}
