// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MLIR's reduction leaves out what nothing uses, so these patterns see to it that less is used: an op gives way to its
// operands, a function returns nothing and takes what it needs. Each is tried on a copy first: MLIR goes on from what
// all patterns together leave, and that has to be interesting still.

#include "ReductionPatterns.h"

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Reducer/ReductionPatternInterface.h"

using namespace mlir;
using namespace lariat;

namespace {

/// A change of one op that the tester has to agree to.
class Reduction : public RewritePattern {
public:
  Reduction(MLIRContext *context, Tester &tester)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context), tester(tester) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (op->getParentOp() == nullptr || !applies(op))
      return rewriter.notifyMatchFailure(op, "has not the form that can be reduced");
    if (!staysInteresting(op))
      return rewriter.notifyMatchFailure(op, "is needed");
    reduce(op, rewriter);
    return success();
  }

protected:
  virtual bool applies(Operation *op) const = 0;
  virtual void reduce(Operation *op, RewriterBase &rewriter) const = 0;

private:
  bool staysInteresting(Operation *op) const {
    Operation *root = op;
    while (Operation *parent = root->getParentOp())
      root = parent;
    IRMapping copies;
    OwningOpRef<ModuleOp> copy = cast<ModuleOp>(root->clone(copies));
    IRRewriter rewriter(op->getContext());
    Operation *twin = copies.lookup(op);
    rewriter.setInsertionPoint(twin);
    reduce(twin, rewriter);
    ScopedDiagnosticHandler quiet(op->getContext(), [](Diagnostic &) { return success(); });
    return tester.isInteresting(*copy).first == Tester::Interestingness::True;
  }

  Tester &tester;
};

/// Puts operands of the same type in the place of an op's results, and with it goes whatever is inside.
class BypassOp : public Reduction {
  using Reduction::Reduction;

  static Value findOperand(OpResult result) {
    for (Value operand : result.getOwner()->getOperands())
      if (operand.getType() == result.getType())
        return operand;
    return {};
  }
  bool applies(Operation *op) const override {
    return op->getNumResults() > 0 &&
           llvm::all_of(op->getResults(), [](OpResult result) { return result.use_empty() || findOperand(result); });
  }
  void reduce(Operation *op, RewriterBase &rewriter) const override {
    rewriter.replaceOp(op, llvm::map_to_vector(op->getResults(), findOperand));
  }
};

/// Drops the results of a function.
class DropResults : public Reduction {
  using Reduction::Reduction;

  bool applies(Operation *op) const override {
    auto function = dyn_cast<func::FuncOp>(op);
    return function && !function.isExternal() && function.getNumResults() > 0;
  }
  void reduce(Operation *op, RewriterBase &rewriter) const override {
    auto function = cast<func::FuncOp>(op);
    rewriter.modifyOpInPlace(function, [&] {
      for (auto end : function.getOps<func::ReturnOp>())
        end.getOperandsMutable().clear();
      function.setType(rewriter.getFunctionType(function.getArgumentTypes(), {}));
      function.removeResAttrsAttr();
    });
  }
};

/// Drops the arguments of a function that it does not use.
class DropArguments : public Reduction {
  using Reduction::Reduction;

  bool applies(Operation *op) const override {
    auto function = dyn_cast<func::FuncOp>(op);
    return function && !function.isExternal() &&
           llvm::any_of(function.getArguments(), [](BlockArgument argument) { return argument.use_empty(); });
  }
  void reduce(Operation *op, RewriterBase &rewriter) const override {
    auto function = cast<func::FuncOp>(op);
    llvm::BitVector unused(function.getNumArguments());
    for (BlockArgument argument : function.getArguments())
      unused[argument.getArgNumber()] = argument.use_empty();
    rewriter.modifyOpInPlace(function, [&] { (void)function.eraseArguments(unused); });
  }
};

struct ReductionPatterns : DialectReductionPatternInterface {
  explicit ReductionPatterns(Dialect *dialect) : DialectReductionPatternInterface(dialect) {}

  void populateReductionPatterns(RewritePatternSet &) const override {}
  void populateReductionPatternsWithTester(RewritePatternSet &patterns, Tester &tester) const override {
    patterns.add<BypassOp, DropResults, DropArguments>(patterns.getContext(), tester);
  }
};

} // namespace

void lariat::registerReductionPatterns(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, LariatDialect *dialect) { dialect->addInterfaces<ReductionPatterns>(); });
}
