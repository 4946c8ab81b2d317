// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places packed data in weights.bin, and tells what caches hold from what comes from memory at each use.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
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

/// Of each piece of data, the bytes that a function reads which reads it: of several, the fewest.
llvm::DenseMap<PackedOp, int64_t> getBytesAround(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::DenseMap<PackedOp, int64_t> around;
  for (auto function : module.getOps<func::FuncOp>()) {
    llvm::SetVector<PackedOp> read;
    if (auto uses = SymbolTable::getSymbolUses(&function.getBody()))
      for (const SymbolTable::SymbolUse &use : *uses)
        if (auto packed = symbols.lookup<PackedOp>(use.getSymbolRef().getLeafReference());
            packed && !isa<EmbedOp>(use.getUser())) // which reads a few lines of its data
          read.insert(packed);
    int64_t bytes = 0;
    for (PackedOp packed : read)
      bytes += packed.getBytes();
    for (PackedOp packed : read) {
      auto [place, isNew] = around.try_emplace(packed, bytes);
      place->second = std::min(place->second, bytes);
    }
  }
  return around;
}

struct PlanWeightsPass : lariat::impl::PlanWeightsPassBase<PlanWeightsPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    llvm::DenseMap<PackedOp, int64_t> around = getBytesAround(getOperation());
    int64_t offset = 0;
    for (Operation &op : getOperation().getOps()) {
      auto packed = dyn_cast<PackedOp>(op);
      auto table = dyn_cast<RopeTableOp>(op);
      if (!packed && !table)
        continue;
      int64_t bytes = packed ? packed.getBytes() : table.getBytes();
      offset = roundUp(offset, bytes >= kPageBytes ? kPageBytes : kLineBytes);
      op.setAttr("offset", builder.getI64IntegerAttr(offset));
      if (packed && packed.getKind() == PackKind::Panels)
        packed.setFar(around.lookup(packed) >= kCachedBytes);
      offset += bytes;
    }
    getOperation()->setAttr(kWeightBytesAttr, builder.getI64IntegerAttr(roundUp(offset, kPageBytes)));
  }
};

} // namespace
