// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions that code calls by name, and those that LLVM calls for an instruction (memory, remainders, functions of
// math without an instruction of their own), become jumps through abi::Services.

#include "ResolveLibrary.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Support/Error.h"
#include "lariat/Target/CPU/Narrowing.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"

#include <cstddef>

using namespace lariat;

static std::optional<unsigned> findPlace(llvm::StringRef name) {
  for (auto [place, known] : llvm::enumerate(abi::kLibraryFunctions))
    if (name == known)
      return place;
  return std::nullopt;
}

/// Library functions that instructions turn into.
static void collectHidden(llvm::Module &module, llvm::StringSet<> &names) {
  for (const char *name : {"memcpy", "memmove", "memset"})
    names.insert(name);
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      std::string name;
      if (instruction.getOpcode() == llvm::Instruction::FRem) {
        name = "fmod";
      } else if (auto *intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction)) {
        llvm::StringRef base = llvm::Intrinsic::getBaseName(intrinsic->getIntrinsicID());
        if (!base.consume_front("llvm."))
          continue;
        name = base.str();
      } else {
        continue;
      }
      llvm::Type *type = instruction.getType()->getScalarType();
      if (type->isFloatTy())
        name += "f";
      if ((type->isFloatTy() || type->isDoubleTy()) && findPlace(name))
        names.insert(name);
    }
}

static llvm::FunctionType *getType(llvm::StringRef name, llvm::LLVMContext &context) {
  llvm::Type *pointer = llvm::PointerType::getUnqual(context), *size = llvm::Type::getInt64Ty(context);
  if (name == "memcpy" || name == "memmove")
    return llvm::FunctionType::get(pointer, {pointer, pointer, size}, false);
  if (name == "memset")
    return llvm::FunctionType::get(pointer, {pointer, llvm::Type::getInt32Ty(context), size}, false);
  llvm::StringRef base = name;
  bool isSingle = name.ends_with("f") && name != "erf";
  if (isSingle)
    base = base.drop_back();
  llvm::Type *real = isSingle ? llvm::Type::getFloatTy(context) : llvm::Type::getDoubleTy(context);
  unsigned count = base == "fma" ? 3 : base == "pow" || base == "atan2" || base == "fmod" ? 2 : 1;
  return llvm::FunctionType::get(real, llvm::SmallVector<llvm::Type *>(count, real), false);
}

/// A body that jumps to the address at `offset` bytes of the services, or of the table there.
static void writeJump(llvm::Function &function, llvm::GlobalVariable *services, int64_t offset,
                      std::optional<unsigned> place) {
  llvm::LLVMContext &context = function.getContext();
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", &function));
  llvm::Type *pointer = b.getPtrTy();
  llvm::Value *table = b.CreateLoad(pointer, services);
  llvm::Value *target = b.CreateLoad(pointer, b.CreateConstGEP1_64(b.getInt8Ty(), table, offset));
  if (place)
    target = b.CreateLoad(pointer, b.CreateConstGEP1_64(b.getInt8Ty(), target, *place * sizeof(void *)));
  llvm::SmallVector<llvm::Value *> arguments;
  for (llvm::Argument &argument : function.args())
    arguments.push_back(&argument);
  llvm::CallInst *call = b.CreateCall(function.getFunctionType(), target, arguments);
  call->setTailCallKind(llvm::CallInst::TCK_Tail);
  function.getReturnType()->isVoidTy() ? b.CreateRetVoid() : b.CreateRet(call);
}

llvm::Error lariat::cpu::resolveLibraryCalls(llvm::Module &module) {
  defineNarrowing(module);

  // Without services nothing can be asked for; what is missing then is missing when the object is linked.
  llvm::GlobalVariable *services = module.getGlobalVariable(abi::kServicesSymbol, /*AllowInternal=*/true);
  if (!services)
    return llvm::Error::success();
  llvm::StringSet<> names;
  collectHidden(module, names);
  for (llvm::Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() && !function.use_empty())
      names.insert(function.getName());
  llvm::SmallVector<llvm::StringRef> sorted(names.keys());
  llvm::sort(sorted);
  for (llvm::StringRef name : sorted) {
    llvm::Function *function = module.getFunction(name);
    bool isMemory = name == "malloc" || name == "free";
    std::optional<unsigned> place = findPlace(name);
    if (!place && !isMemory)
      return makeError("compiled code needs '" + name + "', which no runtime offers");
    if (!function)
      function =
          llvm::Function::Create(getType(name, module.getContext()), llvm::GlobalValue::ExternalLinkage, name, module);
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->setDSOLocal(true);
    function->addFnAttr("no-builtins");
    function->addFnAttr(llvm::Attribute::NoUnwind);
    if (name == "free")
      llvm::ReturnInst::Create(module.getContext(), llvm::BasicBlock::Create(module.getContext(), "entry", function));
    else if (name == "malloc")
      writeJump(*function, services, offsetof(abi::Services, allocate), std::nullopt);
    else
      writeJump(*function, services, offsetof(abi::Services, library), place);
  }
  return llvm::Error::success();
}
