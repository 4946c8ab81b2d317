// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drops the labels of row sets and row tensors, in place. Types change all at once, so every op stays consistent; ops
// that need the set of a tensor have it as an operand.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"

#include "mlir/IR/AttrTypeSubElements.h"

#define DEBUG_TYPE "lariat-erase-row-sets"

namespace lariat {
#define GEN_PASS_DEF_ERASEROWSETSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct EraseRowSetsPass : lariat::impl::EraseRowSetsPassBase<EraseRowSetsPass> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) { numErased += llvm::count_if(op->getResultTypes(), getRowLabel); });
    AttrTypeReplacer replacer;
    replacer.addReplacement([](RowsType rows) -> Type { return RowsType::get(rows.getContext(), StringAttr()); });
    replacer.addReplacement([](RankedTensorType type) -> std::optional<Type> {
      if (!isa_and_nonnull<OfAttr>(type.getEncoding()))
        return std::nullopt;
      return RankedTensorType::get(type.getShape(), type.getElementType());
    });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
  }
};

} // namespace
