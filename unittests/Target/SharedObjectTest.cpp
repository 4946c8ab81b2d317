// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From LLVM's dialect to a shared object that can be opened and run: what it exports, what it may not need, what its
// arithmetic is.

#include "lariat/Target/CPU/SharedObject.h"

#include "lariat/Compiler/Dialects.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "gtest/gtest.h"

#include <dlfcn.h>

using namespace lariat;
using namespace mlir;

namespace {

class SharedObject : public testing::Test {
protected:
  SharedObject() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }
  ~SharedObject() override {
    if (library)
      dlclose(library);
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }

  OwningOpRef<ModuleOp> parse(StringRef text) {
    auto module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(module);
    return module;
  }
  static CPUTarget makeTarget(StringRef triple, StringRef cpu, StringRef features, int64_t vectorBits) {
    CPUTarget target{};
    target.triple = triple.str();
    target.cpu = cpu.str();
    target.features = features.str();
    target.vectorBits = vectorBits;
    return target;
  }
  static CPUTarget getHost() { return makeTarget(llvm::sys::getProcessTriple(), "x86-64", "", 128); }
  std::string errorOf(StringRef text) {
    auto code = emitSharedObject(*parse(text), getHost());
    return code ? std::string() : toString(code.takeError());
  }
  /// The address of a symbol; the object is opened as the runtime does.
  void *load(StringRef text, const char *symbol) { return load(text, symbol, getHost()); }
  void *load(StringRef text, const char *symbol, const CPUTarget &machine) {
    auto code = emitSharedObject(*parse(text), machine);
    if (!code) {
      ADD_FAILURE() << toString(code.takeError());
      return nullptr;
    }
    bytes = code->bytes;
    EXPECT_GT(code->codeBytes, 0);
    int descriptor = -1;
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-test", "so", descriptor, path));
    llvm::raw_fd_ostream(descriptor, true).write(bytes.data(), bytes.size());
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_TRUE(library) << dlerror();
    return library ? dlsym(library, symbol) : nullptr;
  }

  MLIRContext context;
  std::vector<char> bytes;
  llvm::SmallString<128> path;
  void *library = nullptr;
};

} // namespace

static constexpr char kLinksSanitizer[] = "code of a build with the address sanitizer has undefined symbols";

TEST_F(SharedObject, ExportsEntriesOnly) {
  if (kSanitizesAddresses)
    GTEST_SKIP() << kLinksSanitizer;
  auto *entry = reinterpret_cast<int64_t (*)(int64_t)>(load(R"(
    llvm.mlir.global internal constant @table(dense<[3, 5]> : tensor<2xi64>) : !llvm.array<2 x i64>
    llvm.func @helper(%x: i64) -> i64 {
      %a = llvm.mlir.addressof @table : !llvm.ptr
      %p = llvm.getelementptr %a[1] : (!llvm.ptr) -> !llvm.ptr, i64
      %v = llvm.load %p : !llvm.ptr -> i64
      %s = llvm.add %v, %x : i64
      llvm.return %s : i64
    }
    llvm.func @lariat_entry(%x: i64) -> i64 {
      %s = llvm.call @helper(%x) : (i64) -> i64
      llvm.return %s : i64
    })",
                                                            "lariat_entry"));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry(2), 7);
  EXPECT_EQ(dlsym(library, "helper"), nullptr);
  auto object = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(StringRef(bytes.data(), bytes.size()), "object"));
  ASSERT_TRUE(bool(object));
  for (const llvm::object::ELFSymbolRef &symbol :
       cast<llvm::object::ELFObjectFileBase>(**object).getDynamicSymbolIterators()) {
    EXPECT_EQ(cantFail(symbol.getName()), "lariat_entry");
    EXPECT_FALSE(cantFail(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined);
  }
}

TEST_F(SharedObject, NeverFusesByItself) {
  StringRef text = R"(
    llvm.func @lariat_entry(%a: f32, %b: f32, %c: f32) -> f32 {
      %p = llvm.fmul %a, %b : f32
      %s = llvm.fadd %p, %c : f32
      llvm.return %s : f32
    })";
  if (!llvm::sys::getHostCPUFeatures().lookup("fma"))
    GTEST_SKIP() << "this machine has no fma";
  void *symbol = load(text, "lariat_entry", makeTarget(llvm::sys::getProcessTriple(), "x86-64-v3", "", 256));
  auto *entry = reinterpret_cast<float (*)(float, float, float)>(symbol);
  ASSERT_TRUE(entry);
  float a = 1.0f + 0x1p-12f, product = a * a;
  EXPECT_EQ(entry(a, a, -product), 0.0f);
}

TEST_F(SharedObject, NamesWhatIsMissing) {
  if (kSanitizesAddresses)
    GTEST_SKIP() << kLinksSanitizer;
  std::string call = R"(
    llvm.func @strange(f32) -> f32
    llvm.func @lariat_entry(%x: f32) -> f32 {
      %s = llvm.call @strange(%x) : (f32) -> f32
      llvm.return %s : f32
    })";
  EXPECT_EQ(errorOf(call), "compiled code needs 'strange', which no runtime offers");
  std::string services = "llvm.mlir.global internal @services() : !llvm.ptr {\n"
                         "  %null = llvm.mlir.zero : !llvm.ptr  llvm.return %null : !llvm.ptr }\n"
                         "llvm.func @lariat_bind(%s: !llvm.ptr) { %a = llvm.mlir.addressof @services : !llvm.ptr\n"
                         "  llvm.store %s, %a : !llvm.ptr, !llvm.ptr  llvm.return }\n";
  EXPECT_EQ(errorOf(services + call), "compiled code needs 'strange', which no runtime offers");
}

TEST_F(SharedObject, NamesWhatTheCodeGeneratorMisses) {
  if (kSanitizesAddresses)
    GTEST_SKIP() << kLinksSanitizer;
  EXPECT_EQ(errorOf(R"(
    llvm.func @lariat_entry(%p: !llvm.ptr, %q: !llvm.ptr) {
      %x = llvm.load %p : !llvm.ptr -> i128
      %z = llvm.load %q : !llvm.ptr -> i128
      %y = llvm.udiv %x, %z : i128
      llvm.store %y, %p : i128, !llvm.ptr
      llvm.return
    })"),
            "compiled code needs '__udivti3', which no runtime offers");
}

TEST_F(SharedObject, CanBeMadeAgainAfterAFailure) {
  if (kSanitizesAddresses)
    GTEST_SKIP() << kLinksSanitizer;
  StringRef good = "llvm.func @lariat_entry() { llvm.return }";
  EXPECT_FALSE(errorOf("llvm.func @f()  llvm.func @lariat_entry() { llvm.call @f() : () -> ()  llvm.return }").empty());
  EXPECT_EQ(errorOf(good), "");
}

TEST_F(SharedObject, IsTheSameEachTime) {
  StringRef text = "llvm.func @lariat_entry(%x: i64) -> i64 { llvm.return %x : i64 }";
  auto first = emitSharedObject(*parse(text), getHost()), second = emitSharedObject(*parse(text), getHost());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->bytes, second->bytes);
}

TEST_F(SharedObject, GeneratesCodeForOtherMachines) {
  auto code = emitCode(*parse(R"(
    llvm.func @lariat_entry(%p: !llvm.ptr) {
      %v = llvm.load %p : !llvm.ptr -> vector<4xf32>
      %s = llvm.fmul %v, %v : vector<4xf32>
      llvm.store %s, %p : vector<4xf32>, !llvm.ptr
      llvm.return
    })"),
                       makeTarget("aarch64-unknown-linux-gnu", "generic", "+neon", 128), CodeForm::Object);
  ASSERT_TRUE(bool(code));
  auto object = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(StringRef(code->bytes.data(), code->bytes.size()), "object"));
  ASSERT_TRUE(bool(object));
  EXPECT_EQ((*object)->getArch(), llvm::Triple::aarch64);
  EXPECT_GT(code->codeBytes, 0);
}

TEST_F(SharedObject, RefusesUnknownMachines) {
  auto code = emitCode(*parse(""), makeTarget("nonsense-unknown-linux", "", "", 128), CodeForm::Object);
  ASSERT_FALSE(bool(code));
  EXPECT_EQ(toString(code.takeError()), "this build of LLVM has no code generator for nonsense-unknown-linux");
}
