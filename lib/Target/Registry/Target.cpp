// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "lariat/Target/Registry/Target.h"

#include "lariat/Support/Error.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/Module.h"

#include <cassert>

using namespace lariat;

TranslatedModule::TranslatedModule(std::unique_ptr<llvm::LLVMContext> context, std::unique_ptr<llvm::Module> module)
    : context(std::move(context)), module(std::move(module)) {}
TranslatedModule::TranslatedModule(TranslatedModule &&) noexcept = default;
TranslatedModule::~TranslatedModule() = default;

llvm::Expected<TranslatedModule> lariat::translateToLLVM(mlir::ModuleOp llvmDialect) {
  auto context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> module = mlir::translateModuleToLLVMIR(llvmDialect, *context);
  if (!module)
    return makeError("the lowered module cannot be translated to LLVM IR");
  return TranslatedModule(std::move(context), std::move(module));
}

void TargetRegistry::add(std::unique_ptr<const Target> target) {
  assert(!find(target->getName()) && "names of targets are found in manifests, one file each");
  targets.push_back(std::move(target));
}

void TargetRegistry::remove(llvm::StringRef name) {
  llvm::erase_if(targets, [&](const auto &target) { return target->getName() == name; });
}

const Target *TargetRegistry::find(llvm::StringRef name) const {
  auto it = llvm::find_if(targets, [&](const auto &target) { return target->getName() == name; });
  return it == targets.end() ? nullptr : it->get();
}
