// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies between layouts as loops, so that code needs no library for them.

#include "lariat/Conversion/LariatToReference/LariatToReference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"

#define DEBUG_TYPE "lariat-expand-strided-copies"

namespace lariat {
#define GEN_PASS_DEF_EXPANDSTRIDEDCOPIES
#include "lariat/Conversion/ConversionPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

static bool isContiguous(Value memory) {
  auto type = dyn_cast<MemRefType>(memory.getType());
  return type && type.getLayout().isIdentity();
}

namespace {

struct ExpandStridedCopies : lariat::impl::ExpandStridedCopiesBase<ExpandStridedCopies> {
  void runOnOperation() override {
    getOperation().walk([&](memref::CopyOp copy) {
      if ((isContiguous(copy.getSource()) && isContiguous(copy.getTarget())) ||
          !isa<MemRefType>(copy.getSource().getType()) || !isa<MemRefType>(copy.getTarget().getType()))
        return;
      remark::passed(copy.getLoc(), remark::RemarkOpts::name("expanded").category(DEBUG_TYPE))
          << "a copy between layouts is a loop";
      ++numExpanded;
      OpBuilder builder(copy);
      linalg::makeMemRefCopyOp(builder, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    });
  }
};

} // namespace
