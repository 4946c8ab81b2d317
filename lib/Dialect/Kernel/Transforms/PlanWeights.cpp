// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places packed data in weights.bin and rotary tables among the tables, and tells what caches hold from what comes from memory at each use.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

namespace lariat {
#define GEN_PASS_DEF_PLANWEIGHTSPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

constexpr int64_t kPageBytes = 4096;
constexpr int64_t kLineBytes = 64;

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

struct PlanWeightsPass : lariat::impl::PlanWeightsPassBase<PlanWeightsPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    bool isFar = getStreamedBytes(getOperation()) >= kCachedBytes;
    int64_t offset = 0, tableOffset = 0;
    for (Operation &op : getOperation().getOps()) {
      auto packed = dyn_cast<PackedOp>(op);
      auto table = dyn_cast<RopeTableOp>(op);
      if (!packed && !table)
        continue;
      int64_t bytes = packed ? packed.getBytes() : table.getStoredBytes();
      offset = roundUp(offset, bytes >= kPageBytes ? kPageBytes : kLineBytes);
      op.setAttr(packed ? "offset" : "stored", builder.getI64IntegerAttr(offset));
      if (table) {
        table.setOffset(tableOffset);
        tableOffset = roundUp(tableOffset + table.getBytes(), kPageBytes);
      }
      if (packed && packed.getKind() == PackKind::Panels)
        packed.setFar(isFar);
      offset += bytes;
    }
    getOperation()->setAttr(kWeightBytesAttr, builder.getI64IntegerAttr(roundUp(offset, kPageBytes)));
  }
};

} // namespace
