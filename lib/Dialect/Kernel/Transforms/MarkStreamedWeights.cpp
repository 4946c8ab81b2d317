// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tells weights that caches hold from those that come from memory at each use. A step reads all weights of its
// products, so that all of them are held or none.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "kernel-mark-streamed-weights"

namespace lariat {
#define GEN_PASS_DEF_MARKSTREAMEDWEIGHTSPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

/// Bytes of panels that kernels read from end to end.
int64_t getFullyReadBytes(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::SetVector<PackedOp> read;
  module.walk([&](ParallelKernelInterface op) {
    for (FlatSymbolRefAttr symbol : op.getFullyReadOperands())
      if (auto packed = symbols.lookup<PackedOp>(symbol.getValue()))
        read.insert(packed);
  });
  int64_t bytes = 0;
  for (PackedOp packed : read)
    bytes += packed.getBytes();
  return bytes;
}

struct MarkStreamedWeightsPass : lariat::impl::MarkStreamedWeightsPassBase<MarkStreamedWeightsPass> {
  using MarkStreamedWeightsPassBase::MarkStreamedWeightsPassBase;

  void runOnOperation() override {
    int64_t bytes = getFullyReadBytes(getOperation());
    bool isStreamed = bytes >= cachedBytes;
    for (auto packed : getOperation().getOps<PackedOp>())
      if (packed.getKind() == PackKind::Panels) {
        packed.setStreamed(isStreamed);
        numStreamed += isStreamed;
      }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("marked").category(DEBUG_TYPE))
        << llvm::formatv("kernels read {0} bytes of panels from {1}", bytes, isStreamed ? "memory" : "a cache").str();
  }
};

} // namespace
