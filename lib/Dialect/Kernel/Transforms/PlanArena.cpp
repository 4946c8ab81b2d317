// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places buffers in the arena. Time is the order of ops in the text; a buffer that is used in a loop which it enters
// from outside is alive through the whole loop; kernels between two barriers share a moment. Sizes are bytes per row,
// so that one plan serves calls of any size.

#include "lariat/Dialect/Kernel/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#include <limits>

#define DEBUG_TYPE "kernel-plan-arena"

namespace lariat {
#define GEN_PASS_DEF_PLANARENAPASS
#include "lariat/Dialect/Kernel/KernelPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat::kernel;

namespace {

/// A buffer and the ops between which it is alive.
struct Interval {
  BufferOp buffer;
  int64_t begin, end;
  int64_t bytes;
};

struct PlanArenaPass : lariat::impl::PlanArenaPassBase<PlanArenaPass> {
  void runOnOperation() override;
};

} // namespace

/// What reads or writes a buffer, or columns of it.
static void forEachUse(Value buffer, llvm::function_ref<void(Operation *)> visit) {
  for (Operation *user : buffer.getUsers()) {
    if (auto columns = dyn_cast<ColumnsOp>(user))
      forEachUse(columns.getResult(), visit);
    else
      visit(user);
  }
}

static SmallVector<Interval> findIntervals(func::FuncOp function) {
  llvm::DenseMap<Operation *, std::pair<int64_t, int64_t>> span; // first and last op inside, itself included
  int64_t time = 0;
  // Kernels between two barriers run at the same time on different threads, so they share a moment.
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    span[op].first = time;
    if (isa<ParallelKernelInterface>(op))
      return WalkResult::skip();
    ++time;
    return WalkResult::advance();
  });
  function.walk([&](Operation *op) {
    if (!span.contains(op))
      return;
    int64_t last = span[op].first;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : block)
          if (span.contains(&inner))
            last = std::max(last, span[&inner].second);
    span[op].second = last;
  });
  SmallVector<Interval> intervals;
  function.walk([&](BufferOp buffer) {
    // From the first use on: the op itself stands before the parallel region that its kernels are in.
    Interval interval{buffer, std::numeric_limits<int64_t>::max(), span[buffer].first,
                      roundUp(buffer.getRowBytes(), 4)};
    Region *home = buffer->getParentRegion();
    forEachUse(buffer.getResult(), [&](Operation *user) {
      // The ancestor in the buffer's own region: a loop around the use counts whole.
      Operation *ancestor = home->findAncestorOpInRegion(*user);
      if (isa<ParallelRegionOp>(ancestor))
        ancestor = user;
      interval.begin = std::min(interval.begin, span[ancestor].first);
      interval.end = std::max(interval.end, span[ancestor].second);
    });
    interval.begin = std::min(interval.begin, interval.end);
    intervals.push_back(interval);
  });
  return intervals;
}

void PlanArenaPass::runOnOperation() {
  SmallVector<Interval> intervals = findIntervals(getOperation());
  // Largest first; equal ones in the order of the function.
  SmallVector<std::pair<int64_t, size_t>> order;
  for (auto [index, interval] : llvm::enumerate(intervals))
    order.push_back({-interval.bytes, index});
  llvm::sort(order);
  SmallVector<std::pair<Interval, int64_t>> placed;
  int64_t size = 0;
  for (size_t index : llvm::make_second_range(order)) {
    const Interval &interval = intervals[index];
    // Lowest gap among those placed that are alive at the same time.
    SmallVector<std::pair<int64_t, int64_t>> taken;
    for (const auto &[other, offset] : placed)
      if (other.begin <= interval.end && interval.begin <= other.end)
        taken.push_back({offset, offset + other.bytes});
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [begin, end] : taken) {
      if (offset + interval.bytes <= begin)
        break;
      offset = std::max(offset, end);
    }
    placed.push_back({interval, offset});
    size = std::max(size, offset + interval.bytes);
    BufferOp buffer = interval.buffer;
    buffer.setOffset(offset);
  }
  int64_t apart = 0;
  for (const Interval &interval : intervals)
    apart += interval.bytes;
  remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("planned").category(DEBUG_TYPE))
      << llvm::formatv("{0} buffers in {1} bytes per row, {2} if each had its own", intervals.size(), size, apart)
             .str();
  numPlaced += intervals.size();
  numShared += apart - size;
  Builder builder(&getContext());
  getOperation()->setAttr(kArenaRowBytesAttr, builder.getI64IntegerAttr(size));
}
