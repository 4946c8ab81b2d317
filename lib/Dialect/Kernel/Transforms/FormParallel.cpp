// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gathers neighbouring kernels into parallel regions and separates dependent ones by barriers.
// A run of kernels goes on over ops that can be done before it instead: pure ops, buffers, and row services whose buffers
// the run does not touch.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"

namespace lariat {
#define GEN_PASS_DEF_FORMPARALLELPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

/// What kernels read and wrote since some point.
struct Touched {
  SmallVector<Value> read, written;
  llvm::DenseSet<Attribute> appended, attended;

  void add(ParallelKernelInterface op) {
    llvm::append_range(read, op.getReadBuffers());
    llvm::append_range(written, op.getWrittenBuffers());
    if (FlatSymbolRefAttr cache = op.getTouchedCache())
      (isa<AppendOp>(op) ? appended : attended).insert(cache);
  }
  bool overlaps(ArrayRef<Value> buffers, ArrayRef<Value> others) const {
    return llvm::any_of(buffers,
                        [&](Value a) { return llvm::any_of(others, [&](Value b) { return mayOverlap(a, b); }); });
  }
  /// Whether a kernel that follows needs what is touched here to be over.
  bool conflictsWith(ParallelKernelInterface op) const {
    SmallVector<Value> reads = op.getReadBuffers(), writes = op.getWrittenBuffers();
    if (overlaps(written, reads) || overlaps(written, writes) || overlaps(read, writes))
      return true;
    FlatSymbolRefAttr cache = op.getTouchedCache();
    if (!cache)
      return false;
    return isa<AppendOp>(op) ? attended.contains(cache) : appended.contains(cache);
  }
  /// Whether buffers read and written by a service may be touched before the kernels run.
  bool allowsBefore(ArrayRef<Value> reads, ArrayRef<Value> writes) const {
    return !overlaps(written, reads) && !overlaps(written, writes) && !overlaps(read, writes);
  }
};

struct FormParallelPass : lariat::impl::FormParallelPassBase<FormParallelPass> {
  void runOnOperation() override;
};

} // namespace

/// Buffers that a row service reads and writes, from its effects.
static bool collectService(Operation *op, SmallVector<Value> &reads, SmallVector<Value> &writes) {
  if (!isa<CompactOp, LastOp, AdvanceOp, CheckDepthsOp, LinesOp, ReserveOp, ViewOp>(op))
    return false;
  SmallVector<MemoryEffects::EffectInstance> effects;
  cast<MemoryEffectOpInterface>(op).getEffects(effects);
  for (const MemoryEffects::EffectInstance &effect : effects)
    if (Value value = effect.getValue())
      (isa<MemoryEffects::Write>(effect.getEffect()) ? writes : reads).push_back(value);
  return true;
}

/// Whether `op` can be done before a run of kernels that touched `run`.
static bool canGoBefore(Operation *op, const Touched &run) {
  if (op->hasTrait<OpTrait::IsTerminator>())
    return false;
  if (isa<BufferOp, PortRowsOp>(op) || (isPure(op) && op->getNumRegions() == 0))
    return true;
  SmallVector<Value> reads, writes;
  if (!collectService(op, reads, writes) || !run.allowsBefore(reads, writes))
    return false;
  // Storage of a slot may move when entries are added.
  if (auto reserve = dyn_cast<ReserveOp>(op))
    return !run.attended.contains(reserve.getCacheAttr());
  return true;
}

static void formIn(Block &block) {
  ParallelRegionOp region;
  Touched run, sinceBarrier;
  llvm::DenseSet<Operation *> stayed;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto kernel = dyn_cast<ParallelKernelInterface>(&op)) {
      OpBuilder builder(&op);
      if (!region) {
        region = ParallelRegionOp::create(builder, op.getLoc());
        region.getBody().emplaceBlock();
        run = sinceBarrier = {};
      }
      builder.setInsertionPointToEnd(&region.getBody().front());
      if (sinceBarrier.conflictsWith(kernel)) {
        BarrierOp::create(builder, op.getLoc());
        sinceBarrier = {};
      }
      op.moveBefore(&region.getBody().front(), region.getBody().front().end());
      run.add(kernel);
      sinceBarrier.add(kernel);
    } else if (region && canGoBefore(&op, run)) {
      op.moveBefore(region);
    } else {
      region = {};
    }
  }
}

void FormParallelPass::runOnOperation() {
  SmallVector<Block *> blocks;
  getOperation().walk([&](Block *block) {
    Operation *parent = block->getParentOp();
    if (!isa<ParallelKernelInterface, ParallelRegionOp>(parent))
      blocks.push_back(block);
  });
  for (Block *block : blocks)
    formIn(*block);
}
