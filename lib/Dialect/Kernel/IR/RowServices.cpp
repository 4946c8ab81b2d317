// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What services of the runtime get: the parameters of lariat/Artefact/Abi.h, in order.

#include "lariat/Artefact/Abi.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"

#include <limits>

using namespace mlir;
using namespace lariat;
using namespace lariat::kernel;

using Arguments = SmallVector<OpFoldResult>;

static OpFoldResult getLiteral(Operation *op, int64_t value) {
  return Builder(op->getContext()).getI64IntegerAttr(value);
}

/// The number of a cache.
static OpFoldResult getNumber(Operation *op, FlatSymbolRefAttr cache) {
  return SymbolTable::lookupNearestSymbolFrom<CacheOp>(op, cache).getNumberAttr();
}

Arguments CompactOp::getServiceArguments() { return {getTable(), getRows(), getBits(), getOut()}; }

Arguments LastOp::getServiceArguments() { return {getTable(), getRows(), getOut()}; }

Arguments AdvanceOp::getServiceArguments() {
  OpFoldResult depth = getDepth() ? OpFoldResult(getDepth()) : getLiteral(*this, 0);
  return {getTable(), getRows(), depth, getLiteral(*this, /*next=*/!getDepth()), getOut()};
}

Arguments CheckDepthsOp::getServiceArguments() { return {getTable(), getRows(), getWeightAttr(), getEndAttr()}; }

Arguments LinesOp::getServiceArguments() { return {getFrom(), getFromRows(), getAt(), getRows(), getOut()}; }

Arguments CopyRowsOp::getServiceArguments() { return {getTable(), getRows(), getOut()}; }

Arguments SlotsOp::getServiceArguments() {
  Arguments arguments{getTable(), getRows()};
  for (SlotRuleAttr rule : {getRule(), getGeneratedRule().value_or(getRule())}) {
    arguments.push_back(getLiteral(*this, static_cast<int64_t>(toArtefact(rule.getKind()))));
    arguments.push_back(getLiteral(*this, rule.getSlots()));
    arguments.push_back(getLiteral(*this, rule.getBelow().value_or(std::numeric_limits<int64_t>::max())));
  }
  arguments.push_back(getOut());
  return arguments;
}

Arguments FillOp::getServiceArguments() { return {getRows(), getValue(), getOut()}; }

Arguments ReserveOp::getServiceArguments() {
  int64_t flags = (getFilled() ? abi::kFilledRows : 0) | (getExplicitSlots() ? abi::kExplicitSlots : 0);
  return {getNumber(*this, getCacheAttr()), getTable(), getRows(), getSlots(), getLiteral(*this, flags), getOut()};
}

Arguments ViewOp::getServiceArguments() {
  auto lookUp = [&](LookUpKind kind) { return getLiteral(*this, static_cast<int64_t>(toArtefact(kind))); };
  return {getNumber(*this, getCacheAttr()),
          getTable(),
          getRows(),
          getSlots(),
          lookUp(getLookUp()),
          getGeneratedSlots(),
          lookUp(getGeneratedLookUp().value_or(LookUpKind::Exact)),
          getLiteral(*this, getAhead()),
          getOut()};
}
