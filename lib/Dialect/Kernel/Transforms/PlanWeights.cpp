// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places packed data in weights.bin, and rotary tables among the tables.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "kernel-plan-weights"

namespace lariat {
#define GEN_PASS_DEF_PLANWEIGHTSPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

constexpr int64_t kPageBytes = 4096;

struct PlanWeightsPass : lariat::impl::PlanWeightsPassBase<PlanWeightsPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    int64_t offset = 0, tableOffset = 0, numPieces = 0;
    for (Operation &op : getOperation().getOps()) {
      auto packed = dyn_cast<PackedOp>(op);
      auto table = dyn_cast<RopeTableOp>(op);
      if (!packed && !table)
        continue;
      int64_t bytes = packed ? packed.getBytes() : table.getStoredBytes();
      offset = roundUp(offset, bytes >= kPageBytes ? kPageBytes : kAlignment);
      op.setAttr(packed ? "offset" : "stored", builder.getI64IntegerAttr(offset));
      if (table) {
        table.setOffset(tableOffset);
        tableOffset = roundUp(tableOffset + table.getBytes(), kPageBytes);
      }
      offset += bytes;
      ++numPieces;
    }
    numPlaced += numPieces;
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("planned").category(DEBUG_TYPE))
        << llvm::formatv("{0} pieces of data in {1} bytes", numPieces, offset).str();
    getOperation()->setAttr(kWeightBytesAttr, builder.getI64IntegerAttr(roundUp(offset, kPageBytes)));
  }
};

} // namespace
