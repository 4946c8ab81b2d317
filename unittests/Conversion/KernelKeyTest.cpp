// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which kernels share a function, and what their records hold.

#include "lariat/Testing/CompiledKernel.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

using namespace lariat;
using namespace lariat::kernel;
using namespace lariat::test;
using namespace mlir;

namespace {

/// Rowwise kernels one after the other, each with a vector and a factor.
std::string getText() {
  std::string text = R"(
    kernel.packed @a vector ["a"] shape [16] offset(0) : f32
    kernel.packed @b vector ["b"] shape [16] offset(64) : f32
    kernel.packed @c vector ["c"] shape [16] depths(3) offset(128) : f32
    func.func @f(%n: index, %m: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %y: memref<?x16xf32>, %s: f32) {
  )";
  auto add = [&](const char *rows, const char *in, const char *vector, const char *factor) {
    text += llvm::formatv(R"(
      kernel.rowwise rows({0}) width(16) at %t : memref<?x6xindex> ins({1}, %s : memref<?x16xf32>, f32) vectors [{2}]
        outs(%y : memref<?x16xf32>) gather [-1, -1] scatter [-1] {{
      ^bb0(%e: f32, %u: f32, %v: f32):
        %k = arith.constant {3} : f32
        %p = arith.mulf %e, %v : f32
        %q = arith.mulf %p, %k : f32
        kernel.yield %q : f32
      })",
                          rows, in, vector, factor);
  };
  add("%n", "%x", "@a", "2.0");
  add("%m", "%y", "@b", "2.0");
  add("%n", "%x", "@a", "3.0");
  add("%n", "%x", "@c", "2.0");
  return text + "\nreturn }";
}

} // namespace

TEST(KernelKey, IsAllButTheRecord) {
  auto context = makeContext();
  auto module = parseSourceString<ModuleOp>(getText(), ParserConfig(context.get()));
  ASSERT_TRUE(module);
  std::vector<std::string> keys;
  std::vector<int64_t> numbers;
  KernelEmitter emitter(*module, *findCPUTarget("avx2"));
  SmallVector<Operation *> kernels;
  module->walk([&](kernel::RowwiseOp op) { kernels.push_back(op); });
  for (Operation *op : kernels) {
    keys.push_back(getKernelKey(op));
    numbers.push_back(*emitter.emit(op));
  }
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_EQ(keys[0], keys[1]) << "other buffers, other rows, another vector of the same shape";
  EXPECT_NE(keys[0], keys[2]) << "another constant";
  EXPECT_NE(keys[0], keys[3]) << "a vector per depth";
  EXPECT_EQ(numbers, (std::vector<int64_t>{0, 0, 1, 2}));
  EXPECT_EQ(emitter.getFunctions().size(), 3u);

  SmallVector<RecordField> fields = getRecordFields(kernels[1], {});
  using Kind = RecordField::Kind;
  std::vector<Kind> kinds;
  for (const RecordField &field : fields)
    kinds.push_back(field.kind);
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::Cell, Kind::Buffer, Kind::Buffer, Kind::Cell, Kind::Buffer, Kind::Packed}));
  EXPECT_EQ(fields[5].symbol.getValue(), "b");
}

TEST(KernelEmitter, SaysWhatIsMissing) {
  auto context = makeContext();
  auto module = parseSourceString<ModuleOp>(R"(
    kernel.packed @a vector ["a"] shape [16] offset(0) : f32
    func.func @f(%n: index, %i: memref<?x16xi32>, %x: memref<?x16xf32>) {
      kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [@b] outs(%x : memref<?x16xf32>)
        gather [-1] scatter [-1] {
      ^bb0(%e: f32, %w: f32):
        kernel.yield %e : f32
      }
      kernel.rowwise rows(%n) width(16) ins(%i : memref<?x16xi32>) vectors [] outs(%i : memref<?x16xi32>)
        gather [-1] scatter [-1] {
      ^bb0(%k: i32):
        %p = math.ipowi %k, %k : i32
        kernel.yield %p : i32
      }
      return
    })",
                                            ParserConfig(context.get()));
  ASSERT_TRUE(module);
  std::vector<std::string> messages;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) { messages.push_back(diagnostic.str()); });
  KernelEmitter emitter(*module, *findCPUTarget("avx2"));
  module->walk([&](kernel::RowwiseOp op) { EXPECT_TRUE(failed(emitter.emit(op))); });
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "'kernel.rowwise' op names @b, which the module does not have",
                          "'kernel.rowwise' op has 'math.ipowi' in its region, which has no code there",
                      }));
}

TEST(RowRegion, SaysWhatItTakes) {
  auto context = makeContext();
  auto module = parseSourceString<ModuleOp>(R"(
    func.func @f(%x: tensor<?x4xf32>, %c: complex<f32>, %i: i32, %b: bf16) {
      %a = math.exp %x : tensor<?x4xf32>
      %s = arith.addf %b, %b : bf16
      %d = arith.divsi %i, %i : i32
      %n = arith.constant 1 : i32
      %p = math.ipowi %i, %i : i32
      %e:2 = arith.addui_extended %i, %i : i32, i1
      %t:2 = math.sincos %x : tensor<?x4xf32>
      return
    })",
                                            ParserConfig(context.get()));
  ASSERT_TRUE(module);
  std::vector<bool> answers;
  for (Operation &op : module->lookupSymbol<func::FuncOp>("f").getBody().front().without_terminator())
    answers.push_back(kernel::canStandInRowRegion(&op));
  EXPECT_EQ(answers, (std::vector<bool>{true, true, true, true, false, false, false}));
}
