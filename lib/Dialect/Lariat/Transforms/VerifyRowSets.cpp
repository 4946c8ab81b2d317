// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks what no single op can know about the row sets of a function:
//   - a label names one set: it is introduced once, by an argument, a loop or a selection (`advance` keeps it);
//   - `tensor.cast` does not carry a row tensor into another set, which upstream accepts silently;
//   - `take ... at r` and `put ... of r` name rows that were selected from the set they take from or put into.
// Sets without a label, which `lariat-erase-row-sets` leaves, are not checked.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

#define DEBUG_TYPE "lariat-verify-row-sets"

namespace lariat {
#define GEN_PASS_DEF_VERIFYROWSETSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

/// Where a label comes from.
struct Introduction {
  Location loc;
  /// The set its rows were selected from, if any.
  StringAttr parent;
};

/// The labels of one function.
class RowSets {
public:
  /// Notes every label; fails where one is introduced twice.
  LogicalResult collect(func::FuncOp function);
  /// Fails unless the rows of `part` were selected from `whole`.
  LogicalResult checkPart(Operation *op, StringRef verb, Value part, Value whole) const;

private:
  LogicalResult add(Operation *op, Value rows, Location loc);

  llvm::DenseMap<StringAttr, Introduction> introductions;
};

struct VerifyRowSetsPass : lariat::impl::VerifyRowSetsPassBase<VerifyRowSetsPass> {
  void runOnOperation() override;
};

} // namespace

/// The rows of which those that `op` gives are a part, or the same again; null if they are new.
static Value getParentRows(Operation *op) {
  for (Value operand : op->getOperands())
    if (isa<RowsType>(operand.getType()))
      return operand;
  return {};
}

LogicalResult RowSets::add(Operation *op, Value rows, Location loc) {
  StringAttr label = getRowLabel(rows.getType());
  if (!isa<RowsType>(rows.getType()) || !label)
    return success();
  // The same rows again: at another depth, or as the argument of a region of an op other than a loop over depth.
  bool isSame = !isa<RecurOp>(op) && llvm::is_contained(op->getOperandTypes(), rows.getType());
  if (isSame)
    return success();
  Value parent = getParentRows(op);
  auto [old, isNew] =
      introductions.try_emplace(label, Introduction{loc, parent ? getRowLabel(parent.getType()) : StringAttr()});
  if (isNew)
    return success();
  return (op->emitError() << "label " << label << " names two row sets").attachNote(old->second.loc)
         << "it is introduced here";
}

LogicalResult RowSets::collect(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments())
    if (failed(add(function, argument, argument.getLoc())))
      return failure();
  WalkResult result = function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == function)
      return WalkResult::advance();
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          if (failed(add(op, argument, op->getLoc())))
            return WalkResult::interrupt();
    for (Value value : op->getResults())
      if (failed(add(op, value, op->getLoc())))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult RowSets::checkPart(Operation *op, StringRef verb, Value part, Value whole) const {
  StringAttr wanted = getRowLabel(whole.getType());
  const Introduction *origin = nullptr;
  for (StringAttr label = getRowLabel(part.getType()); label && label != wanted;) {
    auto found = introductions.find(label);
    if (found == introductions.end())
      return success();
    if (!origin)
      origin = &found->second;
    label = found->second.parent;
    if (label)
      continue;
    return (op->emitError() << "'" << op->getName() << "' " << verb << " the rows " << part.getType() << ' '
                            << (verb == "takes" ? "of " : "into ") << whole.getType()
                            << ", but they were not selected from it")
               .attachNote(origin->loc)
           << "the rows come from here";
  }
  return success();
}

static LogicalResult checkCast(tensor::CastOp op) {
  StringAttr from = getRowLabel(op.getSource().getType()), to = getRowLabel(op.getType());
  if (from == to)
    return success();
  return op.emitError() << "'tensor.cast' turns " << op.getSource().getType() << " into " << op.getType()
                        << ", a tensor of another row set";
}

void VerifyRowSetsPass::runOnOperation() {
  RowSets sets;
  if (failed(sets.collect(getOperation())))
    return signalPassFailure();
  bool valid = true;
  getOperation().walk([&](Operation *op) {
    ++numChecked;
    LogicalResult result = success();
    if (auto take = dyn_cast<TakeOp>(op))
      result = sets.checkPart(op, "takes", take.getAt(), take.getFrom());
    else if (auto put = dyn_cast<PutOp>(op))
      result = sets.checkPart(op, "puts", put.getFrom(), put.getOf());
    else if (auto cast = dyn_cast<tensor::CastOp>(op))
      result = checkCast(cast);
    valid &= succeeded(result);
  });
  if (!valid)
    return signalPassFailure();
  markAllAnalysesPreserved();
}
