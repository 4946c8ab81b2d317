// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products: which of those with one input become one kernel, and whether the input is made in it.

#include "Grouper.h"

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

bool lariat::forming::isBiasedDot(LinearOp op) {
  return getWidth(op.getType()) == 0 && op.getBias() && !op.getLowRankA() &&
         getElementTypeOrSelf(op.getInput().getType()).isF32() && getElementTypeOrSelf(op.getType()).isF32();
}

SmallVector<LinearOp> Grouper::findSiblings(LinearOp op) const {
  SmallVector<LinearOp> siblings;
  for (Operation *user : op.getInput().getUsers()) {
    auto linear = dyn_cast<LinearOp>(user);
    if (linear && linear->getBlock() == op->getBlock() && linear.getInput() == op.getInput() &&
        linear.getBy() == op.getBy() && getWidth(linear.getType()) != 0 &&
        (linear == op || op->isBeforeInBlock(linear)))
      siblings.push_back(linear);
  }
  llvm::sort(siblings, [](LinearOp a, LinearOp b) { return a->isBeforeInBlock(b); });
  return siblings;
}

Group *Grouper::openGemm(LinearOp first, ArrayRef<LinearOp> linears, bool sideBySide) {
  Group &group = begin(first, first.getBy() ? first.getBy() : owners.lookup(first.getInput()));
  group.kind = GroupKind::Gemm;
  group.sideBySide = sideBySide;
  group.linears.assign(linears.begin(), linears.end());
  group.input = first.getInput();
  group.width = getWidth(LinearOp(linears.front()).getType());
  for (LinearOp linear : linears)
    openOf[linear] = &group;
  products.insert(linears.begin(), linears.end());
  return &group;
}

/// Elementwise ops of the block that a value reaches through elementwise ops.
static void collectReached(Value value, Block *block, int64_t width, llvm::DenseSet<Operation *> &reached) {
  for (Operation *user : value.getUsers())
    if (user->getBlock() == block && isElementwise(user) && getWidth(user->getResult(0).getType()) == width &&
        reached.insert(user).second)
      collectReached(user->getResult(0), block, width, reached);
}

SmallVector<Group *> Grouper::openGemms(LinearOp first, ArrayRef<LinearOp> linears) {
  SmallVector<Group *> opened;
  SmallVector<LinearOp> plain;
  SmallVector<std::pair<SmallVector<LinearOp>, llvm::DenseSet<Operation *>>> joint;
  for (LinearOp linear : linears) {
    int64_t width = getWidth(linear.getType());
    llvm::DenseSet<Operation *> reached;
    collectReached(linear.getResult(), linear->getBlock(), width, reached);
    if (reached.empty() && width % kernel::kLineColumns == 0 && !linear.getLowRankA()) {
      plain.push_back(linear);
      continue;
    }
    auto *it = llvm::find_if(joint, [&](auto &other) {
      return getWidth(LinearOp(other.first.front()).getType()) == width &&
             llvm::any_of(reached, [&](Operation *op) { return other.second.contains(op); });
    });
    if (it == joint.end()) {
      joint.emplace_back();
      it = std::prev(joint.end());
    }
    it->first.push_back(linear);
    it->second.insert(reached.begin(), reached.end());
  }
  // Side by side only what is laid out alike.
  while (!plain.empty()) {
    LinearOp one = plain.front();
    auto isAlike = [&](LinearOp other) {
      WeightOp weight = symbols.getWeight(one.getWeight()), otherWeight = symbols.getWeight(other.getWeight());
      return other.getBias().has_value() == one.getBias().has_value() &&
             otherWeight.getDepths() == weight.getDepths() && otherWeight.getStored() == weight.getStored();
    };
    SmallVector<LinearOp> alike;
    llvm::copy_if(plain, std::back_inserter(alike), isAlike);
    llvm::erase_if(plain, isAlike);
    opened.push_back(openGemm(first, alike, /*sideBySide=*/alike.size() > 1));
  }
  for (auto &[together, reached] : joint)
    opened.push_back(openGemm(first, together, /*sideBySide=*/false));
  return opened;
}

/// Whether all users of a group's values are its own members or `others`.
static bool isUsedOnlyBy(const Group &group, ArrayRef<LinearOp> others) {
  return llvm::all_of(group.members, [&](Operation *member) {
    return llvm::all_of(member->getUsers(), [&](Operation *user) {
      if (auto spread = dyn_cast<SpreadOp>(user))
        return llvm::all_of(spread->getUsers(),
                            [&](Operation *reader) { return llvm::is_contained(group.members, reader); });
      if (auto linear = dyn_cast<LinearOp>(user); linear && llvm::is_contained(others, linear))
        return true;
      return llvm::is_contained(group.members, user);
    });
  });
}

std::string Grouper::findFoldObstacle(const Group &source, ArrayRef<LinearOp> linears) const {
  LinearOp first = linears.front();
  std::string name = quote(first);
  if (source.isGemm())
    return name + " reads a product";
  if (source.parts != 1)
    return llvm::formatv("its norm treats {0} parts of a row apart", source.parts);
  if (llvm::any_of(linears, [](LinearOp linear) { return linear.getLowRankA().has_value(); }))
    return name + " reads it for its low-rank pair too";
  if (int64_t width = getWidth(first.getInput().getType()); source.width != width)
    return llvm::formatv("{0} reads {1} columns, the group has {2}", name, width, source.width);
  if (!isUsedOnlyBy(source, linears))
    return "others than " + name + " read it too";
  if (first.getBy() && first.getBy() != source.rows)
    return name + " chooses weights by the depth of other rows";
  return {};
}

void Grouper::foldInto(Group &gemm, Group &source) {
  gemm.prologue = source.members;
  gemm.rows = source.rows;
  for (Operation *member : source.members)
    openOf.erase(member);
  openGroups.remove(&source);
  for (auto &[op, begun] : groupsAt)
    llvm::erase(begun, &source);
  llvm::erase_if(groups, [&](const std::unique_ptr<Group> &group) { return group.get() == &source; });
}

bool Grouper::takeLinear(LinearOp op) {
  if (products.contains(op))
    return true; // with a sibling before it
  if (!getElementTypeOrSelf(op.getInput().getType()).isF32() || !getElementTypeOrSelf(op.getType()).isF32() ||
      getWidth(op.getType()) == 0)
    return false;
  SmallVector<LinearOp> siblings = findSiblings(op);
  Group *source = find(op.getInput());
  std::string obstacle = source ? findFoldObstacle(*source, siblings) : "";
  SmallVector<Group *> opened = openGemms(op, siblings);
  if (source && obstacle.empty() && opened.size() > 1)
    obstacle = llvm::formatv("{0} products read it", opened.size());
  if (source && obstacle.empty())
    foldInto(*opened.front(), *source);
  else if (Group *group = find(getSource(op.getInput()).value))
    end(*group, obstacle.empty() ? quote(op) + " takes lines of it" : obstacle);
  return true;
}
