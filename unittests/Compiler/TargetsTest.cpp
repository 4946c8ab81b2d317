// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A target that is no CPU: what the compiler asks of it, and that nothing else is needed for an artefact's object.

#include "lariat/Compiler/Targets.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/FastPath.h"
#include "lariat/Dialect/Kernel/IR/Records.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;

namespace lariat::test {
namespace {

/// The kernels that a code generator was asked for.
struct Asked {
  std::set<std::string> kinds;
  std::vector<int64_t> numbers; ///< in the order that they were first given
};

/// Writes kernels that do nothing.
class FakeCodegen : public KernelCodegen {
public:
  FakeCodegen(ModuleOp module, Asked &asked) : module(module), asked(asked) {}

  FailureOr<int64_t> emit(Operation *kernel) override {
    asked.kinds.insert(kernel->getName().getStringRef().str());
    auto [it, isNew] = numbers.try_emplace(kernel::getKernelKey(kernel), static_cast<int64_t>(functions.size()));
    if (isNew) {
      asked.numbers.push_back(it->second);
      functions.push_back(write("fake_" + std::to_string(it->second)));
    }
    return it->second;
  }
  SmallVector<int64_t> getLiterals(Operation *kernel) const override {
    return SmallVector<int64_t>(cast<kernel::ParallelKernelInterface>(kernel).getLiteralAttributes().size(), 7);
  }
  ArrayRef<FlatSymbolRefAttr> getFunctions() const override { return functions; }
  int64_t getScratchBytes() const override { return 192; }

private:
  FlatSymbolRefAttr write(const std::string &name) {
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer, pointer, i64, i64});
    auto function = LLVM::LLVMFuncOp::create(b, module.getLoc(), name, type, LLVM::Linkage::Internal);
    b.setInsertionPointToStart(function.addEntryBlock(b));
    LLVM::ReturnOp::create(b, module.getLoc(), ValueRange());
    return FlatSymbolRefAttr::get(function);
  }

  ModuleOp module;
  Asked &asked;
  llvm::StringMap<int64_t> numbers;
  SmallVector<FlatSymbolRefAttr> functions;
};

class FakeTarget : public Target {
public:
  explicit FakeTarget(Asked &asked, ArrayRef<Sum> sums) : asked(asked), sums(sums) {}

  StringRef getName() const override { return "fake"; }
  ArrayRef<std::string> getRequired() const override { return required; }
  bool isForHost() const override { return true; }
  bool runsHere() const override { return false; }
  ArrayRef<Sum> getSums() const override { return sums; }
  const lariat::abi::Layout &getLayout() const override { return layout; }
  int64_t getCachedBytes() const override { return 0; }
  void print(llvm::raw_ostream &os) const override { os << "fake:\n"; }
  std::unique_ptr<KernelCodegen> createCodegen(ModuleOp module) const override {
    return std::make_unique<FakeCodegen>(module, asked);
  }
  int64_t setMachine(ModuleOp) const override { return 0; }
  /// The names of exported functions.
  llvm::Expected<MachineCode> emitCode(TranslatedModule module, CodeForm) const override {
    MachineCode code;
    for (llvm::Function &function : module.get())
      if (!function.isDeclaration() && !function.hasLocalLinkage())
        llvm::append_range(code.bytes, (function.getName() + " ").str());
    return code;
  }
  llvm::Expected<MachineCode> link(MachineCode object) const override {
    llvm::append_range(object.bytes, StringRef("linked"));
    return object;
  }

private:
  lariat::abi::Layout layout;
  Asked &asked;
  ArrayRef<Sum> sums;
  std::vector<std::string> required{"a-feature"};
};

constexpr Sum kSums[] = {{kernel::SumKind::Chain, 0}, {kernel::SumKind::Segments, 64}};

class Targets : public testing::Test {
protected:
  Targets() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
  }
  ~Targets() override { getTargetRegistry().remove("fake"); }

  void add(ArrayRef<Sum> sums) { getTargetRegistry().add(std::make_unique<FakeTarget>(asked, sums)); }

  llvm::Expected<FastProgram> compile() {
    CompileOptions options;
    options.input = LARIAT_TEST_DIR "/Compiler/fast.mlir";
    options.targets = "fake";
    model = cantFail(readModel(options, &context));
    Progress progress;
    return compileFast(model, options, stats, progress);
  }

  MLIRContext context;
  Model model;
  CompileStats stats;
  Asked asked;
};

} // namespace

TEST_F(Targets, GetAllKernelsOfAProgram) {
  add(kSums);
  llvm::Expected<FastProgram> program = compile();
  ASSERT_TRUE(bool(program)) << toString(program.takeError());
  std::set<std::string> kinds;
  program->kernels.module.get()->walk(
      [&](kernel::ParallelKernelInterface op) { kinds.insert(op->getName().getStringRef().str()); });
  EXPECT_EQ(asked.kinds, kinds);
  EXPECT_GE(kinds.size(), 5u);
  for (size_t index = 0; index < asked.numbers.size(); ++index)
    EXPECT_EQ(asked.numbers[index], static_cast<int64_t>(index));

  ASSERT_EQ(program->objects.size(), 1u);
  const CodeObject &object = program->objects[0];
  EXPECT_EQ(object.isa, "fake");
  EXPECT_EQ(object.features, (std::vector<std::string>{"a-feature"}));
  EXPECT_EQ(object.numKernels, static_cast<int64_t>(asked.numbers.size()));
  StringRef bytes(object.bytes.data(), object.bytes.size());
  EXPECT_TRUE(bytes.contains("lariat_forward ")) << bytes.str();
  EXPECT_TRUE(bytes.ends_with("linked")) << bytes.str();
  EXPECT_EQ(program->sizes.at("lariat_forward").scratchBytes, 192);
}

TEST_F(Targets, AreSelectedByName) {
  add(kSums);
  EXPECT_EQ(cantFail(selectTargets("fake")).front()->getName(), "fake");
  EXPECT_NE(cantFail(selectTargets("native")).front()->getName(), "fake") << "this machine does not run it";
  std::string text;
  llvm::raw_string_ostream os(text);
  cantFail(printTargets("fake", os));
  EXPECT_EQ(text, "fake:\n  sums: chain, segments of 64\n");
}

TEST_F(Targets, DoNotFormSumsInAnotherOrder) {
  add(ArrayRef(kSums).drop_back());
  llvm::Expected<FastProgram> program = compile();
  ASSERT_FALSE(bool(program));
  std::string error = toString(program.takeError());
  EXPECT_NE(error.find("declares #kernel.sum<segments, size = 64>, which target 'fake' does not form"),
            std::string::npos)
      << error;
}

} // namespace lariat::test
