// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A whole model for every target of the table, those of other machines too, and what `--target` names.

#include "lariat/Compiler/FastPath.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Target/Description/CPUTarget.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "gtest/gtest.h"

using namespace lariat;
using namespace mlir;

namespace {

class FastPath : public testing::Test {
protected:
  FastPath() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
  }

  KernelProgram form(StringRef dtype) {
    CompileOptions options;
    options.dtype = dtype.str();
    options.input = LARIAT_TEST_DIR "/Compiler/fast.mlir";
    model = cantFail(readModel(options, &context));
    StageSeconds seconds;
    return cantFail(formKernelProgram(model, seconds));
  }
  static std::string errorOf(StringRef choice) {
    auto targets = selectTargets(choice);
    return targets ? std::string() : toString(targets.takeError());
  }
  static std::string namesOf(StringRef choice) {
    std::string names;
    for (const Target *target : cantFail(selectTargets(choice)))
      names += (target->getName() + " ").str();
    return names;
  }

  MLIRContext context;
  Model model;
};

} // namespace

TEST_F(FastPath, EmitsCodeForEveryTarget) {
  for (StringRef dtype : {"f32", "bf16"}) {
    KernelProgram program = form(dtype);
    for (const CPUTarget &description : getCPUTargets()) {
      const Target &target = *getTargetRegistry().find(description.name);
      llvm::Expected<MachineCode> code = emitKernelCode(program, target, CodeForm::Object);
      ASSERT_TRUE(bool(code)) << description.name << ": " << toString(code.takeError());
      EXPECT_GT(code->codeBytes, 0) << description.name;
      llvm::MemoryBufferRef buffer(StringRef(code->bytes.data(), code->bytes.size()), description.name);
      auto object = cantFail(llvm::object::ObjectFile::createObjectFile(buffer));
      EXPECT_EQ(object->getArch(), llvm::Triple(description.triple).getArch());
    }
  }
}

TEST_F(FastPath, EveryEntryHasItsFunction) {
  KernelProgram program = form("f32");
  EXPECT_TRUE(program.refused.empty());
  for (const EntryFunction &entry : program.entries) {
    auto function = program.module->lookupSymbol<func::FuncOp>(entry.symbol);
    ASSERT_TRUE(function) << entry.name;
    EXPECT_TRUE(function.isPublic());
  }
}

TEST_F(FastPath, SelectsTargets) {
  if (llvm::Triple(llvm::sys::getProcessTriple()).getArch() != llvm::Triple::x86_64)
    GTEST_SKIP() << "names are those of x86-64";
  EXPECT_EQ(namesOf(""), "avx512 avx2 ");
  EXPECT_EQ(namesOf("all"), "avx512 avx2 ");
  EXPECT_EQ(namesOf("avx2, avx512"), "avx512 avx2 ");
  EXPECT_EQ(namesOf("avx2,avx2"), "avx2 ");
  EXPECT_EQ(errorOf("neon"), "option --target is 'neon', expected avx512, avx2, native or all");
  EXPECT_EQ(errorOf(","), "option --target is '', expected avx512, avx2, native or all");
}
