// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registration of the dialect `kernel`, and facts about its buffers.

#include "lariat/Dialect/Kernel/IR/Kernel.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat::kernel;

#include "lariat/Dialect/Kernel/KernelDialect.cpp.inc"
#include "lariat/Dialect/Kernel/KernelInterfaces.cpp.inc"

void KernelDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "lariat/Dialect/Kernel/KernelOps.cpp.inc"
      >();
}

int64_t lariat::kernel::getElementBytes(Type type) {
  return type.isIndex() ? 8 : (type.getIntOrFloatBitWidth() + 7) / 8;
}

int64_t lariat::kernel::getLineElements(MemRefType type) { return type.getStridesAndOffset().first.front(); }

int64_t lariat::kernel::getLineBytes(MemRefType type) {
  return getLineElements(type) * getElementBytes(type.getElementType());
}

MemRefType lariat::kernel::getBufferType(Type element, int64_t width) {
  if (width == 0)
    return MemRefType::get({ShapedType::kDynamic}, element);
  int64_t line = roundUp(width, kLineColumns);
  if (line == width)
    return MemRefType::get({ShapedType::kDynamic, width}, element);
  auto layout = StridedLayoutAttr::get(element.getContext(), /*offset=*/0, {line, 1});
  return MemRefType::get({ShapedType::kDynamic, width}, element, layout);
}

BufferRoot lariat::kernel::getBufferRoot(Value buffer) {
  int64_t first = 0;
  while (auto columns = buffer.getDefiningOp<ColumnsOp>()) {
    first += columns.getFirst();
    buffer = columns.getSource();
  }
  return {buffer.getDefiningOp(), first};
}

bool lariat::kernel::mayOverlap(Value a, Value b) {
  BufferRoot first = getBufferRoot(a), second = getBufferRoot(b);
  if (first.op != second.op)
    return false;
  if (!first.op)
    return a == b;
  auto width = [](Value value) {
    auto type = cast<MemRefType>(value.getType());
    return type.getRank() == 2 ? type.getDimSize(1) : int64_t(1);
  };
  return first.firstColumn < second.firstColumn + width(b) && second.firstColumn < first.firstColumn + width(a);
}

llvm::DenseSet<Value> lariat::kernel::findColumnValues(Block &block,
                                                       llvm::function_ref<bool(BlockArgument)> isColumnArgument) {
  llvm::DenseSet<Value> values;
  for (BlockArgument argument : block.getArguments())
    if (isColumnArgument(argument))
      values.insert(argument);
  for (Operation &op : block)
    if (!op.hasTrait<ReducesColumns>() && llvm::any_of(op.getOperands(), [&](Value v) { return values.contains(v); }))
      values.insert(op.result_begin(), op.result_end());
  return values;
}

bool lariat::kernel::canStandInRowRegion(Operation *op) {
  auto isKnown = [](Type type) {
    Type element = getElementTypeOrSelf(type);
    return element.isF32() || element.isF64() || element.isBF16() || element.isF16() || element.isIndex() ||
           element.isInteger(1) || element.isInteger(8) || element.isInteger(16) || element.isInteger(32) ||
           element.isInteger(64);
  };
  if (!isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) || op->getNumResults() != 1 ||
      op->getNumRegions() || !llvm::all_of(op->getOperandTypes(), isKnown) || !isKnown(op->getResult(0).getType()))
    return false;
  if (isa<math::IPowIOp, arith::ScalingExtFOp, arith::ScalingTruncFOp>(op))
    return false;
  if (auto truncation = dyn_cast<arith::TruncFOp>(op); truncation && truncation.getRoundingmode())
    return false;
  return isa<arith::ConstantOp>(op) || OpTrait::hasElementwiseMappableTraits(op);
}
