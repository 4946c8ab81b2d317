// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises latches by the structure of a loop step rather than by a mark, so that IR written by hand profits too:
//   next carry(done or s, done ? z : y)

#include "Latch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace lariat;

/// Whether a value is, row by row, what a carried argument is at the start of the step.
static bool isCarried(Value value, BlockArgument carried) {
  while (auto take = value.getDefiningOp<TakeOp>())
    value = take.getValue();
  return value == carried;
}

/// Whether a carried bit stays set once it is.
static bool staysSet(RecurOp loop, unsigned index) {
  auto carried = cast<BlockArgument>(loop.getCarried()[index]);
  auto type = cast<RankedTensorType>(carried.getType());
  auto either = loop.getNext().getValues()[index].getDefiningOp<arith::OrIOp>();
  return type.getRank() == 1 && type.getElementType().isInteger(1) && either &&
         (isCarried(either.getLhs(), carried) || isCarried(either.getRhs(), carried));
}

/// Whether carried value `index` stays as it is once the bit `latch` is set.
static bool isSettledBy(RecurOp loop, unsigned index, unsigned latch) {
  if (index == latch)
    return true;
  auto select = loop.getNext().getValues()[index].getDefiningOp<arith::SelectOp>();
  if (!select)
    return false;
  Value condition = select.getCondition();
  if (auto spread = condition.getDefiningOp<SpreadOp>())
    condition = spread.getValue();
  return isCarried(condition, cast<BlockArgument>(loop.getCarried()[latch])) &&
         isCarried(select.getTrueValue(), cast<BlockArgument>(loop.getCarried()[index]));
}

std::optional<unsigned> lariat::findLatch(RecurOp loop) {
  if (loop.getNext().getStop() || loop.hasFill() || !loop.getSteps().use_empty())
    return std::nullopt;
  auto indices = llvm::seq<unsigned>(0, loop.getInitial().size());
  for (unsigned latch : indices)
    if (staysSet(loop, latch) && llvm::all_of(indices, [&](unsigned index) {
          return loop.getFinals()[index].use_empty() || isSettledBy(loop, index, latch);
        }))
      return latch;
  return std::nullopt;
}
