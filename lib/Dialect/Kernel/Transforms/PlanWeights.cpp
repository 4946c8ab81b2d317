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
    int64_t end = 0, tableOffset = 0, numPieces = 0;
    auto place = [&](int64_t bytes) {
      int64_t offset = roundUp(end, bytes >= kPageBytes ? kPageBytes : kAlignment);
      end = offset + bytes;
      ++numPieces;
      return offset;
    };
    for (auto table : getOperation().getOps<RopeTableOp>()) {
      table.setStored(place(table.getStoredBytes()));
      table.setOffset(tableOffset);
      tableOffset = roundUp(tableOffset + table.getBytes(), kPageBytes);
    }
    for (auto packed : getOperation().getOps<PackedOp>())
      packed.setOffset(place(packed.getBytes()));
    numPlaced += numPieces;
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("planned").category(DEBUG_TYPE))
        << llvm::formatv("{0} pieces of data in {1} bytes", numPieces, end).str();
    getOperation()->setAttr(kWeightBytesAttr, Builder(&getContext()).getI64IntegerAttr(roundUp(end, kPageBytes)));
  }
};

} // namespace
