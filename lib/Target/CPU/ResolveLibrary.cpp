// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions that code calls by name, and those that LLVM calls for an instruction (memory, remainders, functions of math
// without an instruction of their own), become jumps through abi::Services.

#include "ResolveLibrary.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Support/Error.h"
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

/// What LLVM calls to narrow f32 to bf16 where no instruction does: to nearest even; NaN stays NaN.
static constexpr llvm::StringLiteral kNarrow = "__truncsfbf2";

static bool narrowsToHalf(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (instruction.getOpcode() == llvm::Instruction::FPTrunc && instruction.getType()->getScalarType()->isBFloatTy())
        return true;
  return false;
}

static void writeNarrow(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *half = llvm::Type::getBFloatTy(context), *single = llvm::Type::getFloatTy(context);
  auto *function = llvm::Function::Create(llvm::FunctionType::get(half, {single}, false),
                                          llvm::GlobalValue::ExternalLinkage, kNarrow, module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", function));
  llvm::Value *value = function->getArg(0), *bits = b.CreateBitCast(value, b.getInt32Ty());
  llvm::Value *odd = b.CreateAnd(b.CreateLShr(bits, 16), b.getInt32(1));
  llvm::Value *rounded = b.CreateAdd(b.CreateAdd(bits, b.getInt32(0x7fff)), odd);
  llvm::Value *quiet = b.CreateOr(bits, b.getInt32(0x400000));
  llvm::Value *chosen = b.CreateSelect(b.CreateFCmpUNO(value, value), quiet, rounded);
  b.CreateRet(b.CreateBitCast(b.CreateTrunc(b.CreateLShr(chosen, 16), b.getInt16Ty()), half));
}

llvm::Error lariat::cpu::resolveLibraryCalls(llvm::Module &module) {
  if (narrowsToHalf(module) && !module.getFunction(kNarrow))
    writeNarrow(module);

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
