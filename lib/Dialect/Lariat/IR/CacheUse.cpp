// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Appends that name the same rows, slot and block write the same places, each in its layer. Those are the groups that
// are compared here; appends of other rows are apart, whichever rows run time brings.

#include "lariat/Dialect/Lariat/IR/CacheUse.h"

#include "llvm/ADT/MapVector.h"

#include <tuple>

using namespace mlir;
using namespace lariat;

llvm::StringMap<CacheUse> lariat::collectCacheUses(Operation *root) {
  llvm::StringMap<CacheUse> uses;
  root->walk([&](Operation *op) {
    if (auto append = dyn_cast<AppendOp>(op))
      uses[append.getCache()].appends.push_back(append);
    else if (auto attend = dyn_cast<AttendOp>(op))
      uses[attend.getCache()].attends.push_back(attend);
  });
  return uses;
}

/// The first append of a group to a layer, in the order of its block; null without one.
static AppendOp findFirst(ArrayRef<AppendOp> group, std::optional<uint64_t> layer) {
  AppendOp first;
  for (AppendOp append : group)
    if ((!layer || append.getLayer() == *layer) && (!first || append->isBeforeInBlock(first)))
      first = append;
  return first;
}

/// Whether `attend` runs between the first append of a group and that to its own layer, or has none.
static bool isApart(AttendOp attend, ArrayRef<AppendOp> group) {
  AppendOp own = findFirst(group, attend.getLayer());
  if (!own)
    return true;
  AppendOp first = findFirst(group, std::nullopt);
  Operation *place = first->getBlock()->findAncestorOpInBlock(*attend);
  return place && first->isBeforeInBlock(place) && place->isBeforeInBlock(own);
}

AttendOp lariat::findLayerApart(const CacheUse &use) {
  llvm::MapVector<std::tuple<Block *, Value, Value, unsigned>, SmallVector<AppendOp>> groups;
  for (AppendOp append : use.appends)
    groups[{append->getBlock(), append.getAt(), append.getSlot(), append.getFilled()}].push_back(append);
  for (AttendOp attend : use.attends)
    if (llvm::any_of(groups, [&](const auto &group) { return isApart(attend, group.second); }))
      return attend;
  return {};
}
