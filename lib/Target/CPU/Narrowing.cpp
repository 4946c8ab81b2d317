// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "lariat/Target/CPU/Narrowing.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"

/// What LLVM calls to narrow f32 to bf16 where no instruction does: to nearest even; NaN stays NaN.
static constexpr llvm::StringLiteral kNarrow = "__truncsfbf2";

/// Whether LLVM may call the function: any instruction on bf16, even a move, may make it do so. The linker drops the
/// function where it is not called.
static bool hasBF16(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (instruction.getType()->getScalarType()->isBFloatTy())
        return true;
  return false;
}

void lariat::defineNarrowing(llvm::Module &module) {
  if (!hasBF16(module) || module.getFunction(kNarrow))
    return;
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
