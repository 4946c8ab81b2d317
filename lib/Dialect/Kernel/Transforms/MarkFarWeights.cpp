// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tells weights that caches hold from those that come from memory at each use. A step streams all weights of its products,
// so that all of them are held or none.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "kernel-mark-far-weights"

namespace lariat {
#define GEN_PASS_DEF_MARKFARWEIGHTSPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

/// Bytes that kernels stream in all.
int64_t getStreamedBytes(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::SetVector<PackedOp> read;
  module.walk([&](ParallelKernelInterface op) {
    for (FlatSymbolRefAttr symbol : op.getStreamedOperands())
      if (auto packed = symbols.lookup<PackedOp>(symbol.getValue()))
        read.insert(packed);
  });
  int64_t bytes = 0;
  for (PackedOp packed : read)
    bytes += packed.getBytes();
  return bytes;
}

struct MarkFarWeightsPass : lariat::impl::MarkFarWeightsPassBase<MarkFarWeightsPass> {
  using MarkFarWeightsPassBase::MarkFarWeightsPassBase;

  void runOnOperation() override {
    int64_t bytes = getStreamedBytes(getOperation());
    bool isFar = bytes >= cachedBytes;
    for (auto packed : getOperation().getOps<PackedOp>())
      if (packed.getKind() == PackKind::Panels) {
        packed.setFar(isFar);
        numFar += isFar;
      }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("marked").category(DEBUG_TYPE))
        << llvm::formatv("kernels stream {0} bytes of panels from {1}", bytes, isFar ? "memory" : "a cache").str();
  }
};

} // namespace
