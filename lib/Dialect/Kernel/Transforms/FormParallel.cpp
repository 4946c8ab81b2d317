// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gathers neighbouring kernels into parallel regions and separates dependent ones by barriers. A region extends past
// ops that can be hoisted above it: those whose memory effects, if any, are on nothing that its kernels touch.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "kernel-form-parallel"

namespace lariat {
#define GEN_PASS_DEF_FORMPARALLELPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

/// What ops read and wrote: buffers, and resources of caches by the symbol of the cache.
struct Accesses {
  using Resource = std::pair<Attribute, TypeID>;

  SmallVector<Value> read, written;
  llvm::DenseSet<Resource> readResources, writtenResources;

  /// False if `op` may touch what its effects do not name.
  bool add(Operation *op);
  /// Whether ops that touch `other` have to wait for those that touch this.
  bool conflictsWith(const Accesses &other) const;
};

struct FormParallelPass : lariat::impl::FormParallelPassBase<FormParallelPass> {
  void runOnOperation() override;
};

} // namespace

bool Accesses::add(Operation *op) {
  auto effectOp = dyn_cast<MemoryEffectOpInterface>(op);
  if (!effectOp)
    return false;
  SmallVector<MemoryEffects::EffectInstance> effects;
  effectOp.getEffects(effects);
  for (const MemoryEffects::EffectInstance &effect : effects) {
    bool isWrite = isa<MemoryEffects::Write>(effect.getEffect());
    if (!isWrite && !isa<MemoryEffects::Read>(effect.getEffect()))
      continue;
    if (Value value = effect.getValue()) {
      if (isa<MemRefType>(value.getType())) // scalars are no memory
        (isWrite ? written : read).push_back(value);
    } else if (effect.getResource() == SideEffects::DefaultResource::get()) {
      return false;
    } else {
      (isWrite ? writtenResources : readResources)
          .insert({effect.getSymbolRef(), effect.getResource()->getResourceID()});
    }
  }
  return true;
}

static bool overlap(ArrayRef<Value> buffers, ArrayRef<Value> others) {
  return llvm::any_of(buffers,
                      [&](Value a) { return llvm::any_of(others, [&](Value b) { return mayOverlap(a, b); }); });
}

bool Accesses::conflictsWith(const Accesses &other) const {
  auto share = [](const llvm::DenseSet<Resource> &some, const llvm::DenseSet<Resource> &others) {
    return llvm::any_of(some, [&](const Resource &resource) { return others.contains(resource); });
  };
  // Appends do not wait for each other: each writes entries of its own.
  return overlap(written, other.read) || overlap(written, other.written) || overlap(read, other.written) ||
         share(writtenResources, other.readResources) || share(readResources, other.writtenResources);
}

/// Whether `op` can be done before kernels that touched `region`.
static bool canGoBefore(Operation *op, const Accesses &region) {
  if (op->hasTrait<OpTrait::IsTerminator>() || op->getNumRegions())
    return false;
  Accesses touched;
  return isPure(op) || (touched.add(op) && !region.conflictsWith(touched));
}

static void formIn(Block &block) {
  ParallelRegionOp region;
  Accesses sinceBegin, sinceBarrier;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto kernel = dyn_cast<ParallelKernelInterface>(&op)) {
      OpBuilder builder(&op);
      if (!region) {
        region = ParallelRegionOp::create(builder, op.getLoc());
        region.getBody().emplaceBlock();
        sinceBegin = sinceBarrier = {};
      }
      builder.setInsertionPointToEnd(&region.getBody().front());
      Accesses touched;
      (void)touched.add(kernel);
      if (sinceBarrier.conflictsWith(touched)) {
        BarrierOp::create(builder, op.getLoc());
        sinceBarrier = {};
      }
      op.moveBefore(&region.getBody().front(), region.getBody().front().end());
      (void)sinceBegin.add(kernel);
      (void)sinceBarrier.add(kernel);
    } else if (region && canGoBefore(&op, sinceBegin)) {
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
  getOperation().walk([&](ParallelRegionOp region) {
    auto ops = region.getBody().front().getOps<BarrierOp>();
    int64_t barriers = std::distance(ops.begin(), ops.end());
    int64_t kernels = static_cast<int64_t>(region.getBody().front().getOperations().size()) - barriers;
    remark::analysis(region.getLoc(), remark::RemarkOpts::name("formed").category(DEBUG_TYPE))
        << llvm::formatv("{0} kernels in one parallel region, {1} barriers between them", kernels, barriers).str();
    ++numRegions;
    numBarriers += barriers;
  });
}
