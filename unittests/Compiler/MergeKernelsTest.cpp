// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Putting variants together keeps equal code once and everything else apart.

#include "lariat/Compiler/MergeKernels.h"
#include "lariat/Compiler/Dialects.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace lariat;
using namespace mlir;

namespace {

class MergeKernels : public testing::Test {
protected:
  MergeKernels() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    whole = ModuleOp::create(UnknownLoc::get(&context));
    merger.emplace(*whole);
  }

  /// Merges a module; `suffix` makes names of entries.
  llvm::StringMap<std::string> merge(StringRef text, StringRef suffix = "") {
    auto part = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(part);
    auto names = merger->merge(*part, [&](StringRef name) { return ("lariat_" + name + suffix).str(); });
    EXPECT_TRUE(succeeded(verify(*whole)));
    EXPECT_TRUE(part->getBody()->empty());
    return names;
  }
  size_t countFunctions() {
    return std::distance(whole->getOps<func::FuncOp>().begin(), whole->getOps<func::FuncOp>().end());
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> whole;
  std::optional<KernelMerger> merger;
};

/// An entry that calls two helpers; `first` is what the one that it calls first does.
std::string makeModule(StringRef first, StringRef second, StringRef order = "") {
  std::string a =
      ("func.func private @a() -> i32 { %c = arith.constant " + first + " : i32  return %c : i32 }\n").str();
  std::string b =
      ("func.func private @b() -> i32 { %c = arith.constant " + second + " : i32  return %c : i32 }\n").str();
  std::string entry = "func.func @forward() -> (i32, i32) {"
                      "%x = call @a() : () -> i32  %y = call @b() : () -> i32  return %x, %y : i32, i32 }\n";
  return order.empty() ? a + b + entry : entry + b + a;
}

} // namespace

TEST_F(MergeKernels, KeepsEqualFunctionsOnce) {
  EXPECT_EQ(merge(makeModule("1", "2"))["forward"], "lariat_forward");
  EXPECT_EQ(merge(makeModule("1", "2", "reversed"), "_other")["forward"], "lariat_forward");
  EXPECT_EQ(countFunctions(), 3u);
}

TEST_F(MergeKernels, FollowsCallsNotNames) {
  merge(makeModule("1", "2"));
  // @a and @b are the other way round, so the entry differs though its text is the same.
  EXPECT_EQ(merge(makeModule("2", "1"), "_swapped")["forward"], "lariat_forward_swapped");
  EXPECT_EQ(countFunctions(), 4u);
  merge(makeModule("3", "1"), "_new");
  EXPECT_EQ(countFunctions(), 6u);
}

TEST_F(MergeKernels, MakesNamesUnique) {
  merge(makeModule("1", "2"));
  EXPECT_EQ(merge(makeModule("1", "1"))["forward"], "lariat_forward_1");
}

TEST_F(MergeKernels, SharesDeclarations) {
  merge(R"(kernel.packed @w vector ["w"] shape [4] : f32
           kernel.cache @kv number(0) layers(1) heads(1) dim(4) : f32)");
  merge(R"(kernel.packed @w vector ["w"] shape [4] : f32
           kernel.packed @v vector ["v"] shape [4] : f32
           kernel.cache @kv number(0) layers(1) heads(1) dim(4) : f32)");
  EXPECT_EQ(std::distance(whole->getBody()->begin(), whole->getBody()->end()), 3);
  merge(R"(kernel.packed @w vector ["other"] shape [4] : f32)");
  EXPECT_TRUE(whole->lookupSymbol("w_1"));
}
