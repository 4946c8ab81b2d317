// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise upstream ops on row tensors become calls of helpers too: the same op on scalars in a loop. Left in place,
// they would put a loop nest per layer into the function, and code and compile time would grow with the number of
// layers.

#include "Helpers.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

namespace {

struct LowerElementwise : ConversionPattern {
  LowerElementwise(const TypeConverter &converter, MLIRContext *context, Helpers &helpers)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), /*benefit=*/1, context), helpers(helpers) {}

  LogicalResult matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                                ConversionPatternRewriter &rewriter) const override {
    if (!isElementwiseOnRows(op))
      return rewriter.notifyMatchFailure(op, "not an elementwise op on row tensors");
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    std::string kind = op->getName().getStringRef().str(), params;
    std::replace(kind.begin(), kind.end(), '.', '_');
    // Unique in its context, while its text follows from flags of the printer.
    llvm::raw_string_ostream(params) << op->getAttrDictionary().getAsOpaquePointer();

    auto body = [&](LoopEmitter &e, ValueRange args) -> SmallVector<Value> {
      auto isTensor = [](Value arg) { return isa<RankedTensorType>(arg.getType()); };
      SmallVector<Value> inputs;
      for (Value arg : args)
        inputs.push_back(isTensor(arg) ? e.read(arg) : arg);
      Value count = e.dim(*llvm::find_if(inputs, [](Value v) { return isa<MemRefType>(v.getType()); }), 0);
      Value out = e.alloc(type, count);
      e.loop(count, [&](Value row) {
        forEachColumn(e, type, row, [&](ValueRange indices) {
          SmallVector<Value> scalars;
          for (Value input : inputs)
            scalars.push_back(isa<MemRefType>(input.getType()) ? e.load(input, indices) : input);
          Operation *scalar = e.builder().create(op->getLoc(), op->getName().getIdentifier(), scalars,
                                                 type.getElementType(), op->getAttrs());
          e.store(scalar->getResult(0), out, indices);
        });
      });
      return {e.result(out)};
    };
    rewriter.replaceOp(op, helpers.call(rewriter, op->getLoc(), kind, params, operands, type, body));
    return success();
  }

  Helpers &helpers;
};

} // namespace

bool lariat::reference::isElementwiseOnRows(Operation *op) {
  if (!OpTrait::hasElementwiseMappableTraits(op) || op->getNumResults() != 1 || op->getNumOperands() == 0)
    return false;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  return type && type.getRank() >= 1 && type.getNumDynamicDims() == 1 && type.isDynamicDim(0);
}

void lariat::reference::populateElementwisePatterns(RewritePatternSet &patterns, const TypeConverter &converter,
                                                    Helpers &helpers) {
  patterns.add<LowerElementwise>(converter, patterns.getContext(), helpers);
}
