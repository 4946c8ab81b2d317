// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which group an op joins, and where groups end.

#include "Grouper.h"

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

//===----------------------------------------------------------------------===//
// What may go into a row region
//===----------------------------------------------------------------------===//

bool lariat::forming::isElementwise(Operation *op) {
  return OpTrait::hasElementwiseMappableTraits(op) && op->getNumResults() == 1 && op->getNumOperands() > 0 &&
         isRowTensor(op->getResult(0).getType()) && kernel::canStandInRowRegion(op);
}

static bool isDot(Operation *op) {
  auto linear = dyn_cast<LinearOp>(op);
  return linear && getWidth(linear.getType()) == 0 && !linear.getBias() && !linear.getLowRankA();
}

/// Ops of a rowwise group.
static bool isRowwise(Operation *op) {
  if (auto reduce = dyn_cast<RowReduceOp>(op))
    return getElementTypeOrSelf(reduce.getValue().getType()).isF32();
  if (auto argmax = dyn_cast<ArgmaxOp>(op))
    return getElementTypeOrSelf(argmax.getValue().getType()).isF32() &&
           getElementTypeOrSelf(argmax.getType()).isInteger(32);
  if (auto norm = dyn_cast<NormOp>(op))
    return norm.getGroups() == 1;
  return isElementwise(op) || isDot(op);
}

/// Columns that an op goes over: those of its widest operand or result.
static int64_t getOpWidth(Operation *op) {
  int64_t width = 0;
  for (Value value : llvm::concat<Value>(op->getOperands(), op->getResults()))
    if (isRowTensor(value.getType()))
      width = std::max(width, getWidth(value.getType()));
  return width;
}

/// The rows whose depth or position an op reads.
static Value getNamedRows(Operation *op) {
  if (auto norm = dyn_cast<NormOp>(op))
    return norm.getBy();
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getBy();
  return {};
}

std::string lariat::forming::quote(Operation *op) { return ("'" + op->getName().getStringRef() + "'").str(); }

//===----------------------------------------------------------------------===//
// Membership
//===----------------------------------------------------------------------===//

Group &Grouper::begin(Operation *op, Value rows) {
  Group &group = *groups.emplace_back(std::make_unique<Group>());
  group.rows = rows;
  groupsAt[op].push_back(&group);
  openGroups.insert(&group);
  return group;
}

void Grouper::add(Group &group, Operation *op) {
  group.members.push_back(op);
  group.width = std::max(group.width, getOpWidth(op));
  openOf[op] = &group;
}

void Grouper::end(Group &group, const Twine &why) {
  group.whyEnded = why.str();
  openGroups.remove(&group);
  for (LinearOp linear : group.linears)
    openOf.erase(linear);
  for (Operation *member : group.members)
    openOf.erase(member);
}

void Grouper::endAll(const Twine &why) {
  while (!openGroups.empty())
    end(*openGroups.back(), why);
}

std::string Grouper::findObstacle(const Group &group, Operation *op) const {
  std::string name = quote(op);
  if (skipAdvance(owners.lookup(op->getResult(0))) != skipAdvance(group.rows))
    return name + " is of other rows";
  if (group.parts != 1)
    return llvm::formatv("its norm treats {0} parts of a row apart", group.parts);
  if (Value named = getNamedRows(op); named && named != group.rows)
    return name + " chooses weights by the depth of other rows";
  int64_t width = getOpWidth(op);
  if (group.isGemm()) {
    if (group.sideBySide)
      return "its products lie side by side, without arithmetic";
    if (!isElementwise(op))
      return name + " needs whole rows, of which a product has a tile";
  } else if (width && group.width && width != group.width) {
    return llvm::formatv("{0} has {1} columns, the group {2}", name, width, group.width);
  }
  for (Value operand : op->getOperands()) {
    auto [source, throughTake] = getSource(operand);
    if (throughTake && find(source) == &group)
      return name + " takes lines of it";
    if (Operation *fact = source.getDefiningOp(); (isFact(fact) || isChoice(fact)) && fact->getOperand(0) != group.rows)
      return llvm::formatv("{0} reads {1} of other rows", name, quote(fact));
  }
  return {};
}

void Grouper::takeElementwise(Operation *op) {
  Group *joined = nullptr;
  llvm::SmallMapVector<Group *, std::string, 4> sources; // and why they cannot be joined
  for (Value operand : op->getOperands())
    if (Group *group = find(getSource(operand).value); group && group != joined) {
      sources[group] = findObstacle(*group, op);
      // The later one: what the earlier gives is an operand of it.
      if (sources[group].empty() && (!joined || group->isGemm() || !joined->isGemm()))
        joined = group;
    }
  if (!joined)
    joined = &begin(op, owners.lookup(op->getResult(0)));
  add(*joined, op);
  // The others are over: nothing that follows from this op may join them.
  for (auto &[group, obstacle] : sources)
    if (group != joined)
      end(*group, obstacle.empty() ? quote(op) + " joined the group of another operand" : obstacle);
}

void Grouper::takeGroupedNorm(NormOp op) {
  if (Group *source = find(getSource(op.getInput()).value))
    end(*source, quote(op) + " treats parts of a row apart");
  Group &group = begin(op, owners.lookup(op.getResult()));
  group.parts = static_cast<int64_t>(op.getGroups());
  add(group, op);
  group.width /= group.parts;
}

bool Grouper::take(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op); linear && !isDot(op))
    return takeLinear(linear);
  if (auto norm = dyn_cast<NormOp>(op); norm && norm.getGroups() != 1) {
    takeGroupedNorm(norm);
    return true;
  }
  if (!isRowwise(op))
    return false;
  takeElementwise(op);
  return true;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Values that an op which is in no group has to find in buffers.
static SmallVector<Value> findBufferedOperands(Operation *op, const ModelSymbols &symbols) {
  auto isRotatedLater = [&](RopeOp rope) { return rope && isRotatedByReader(rope, symbols); };
  if (isa<tensor::DimOp>(op) || isRotatedLater(dyn_cast<RopeOp>(op)))
    return {};
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return llvm::map_to_vector(values, [&](Value value) {
    auto rope = value.getDefiningOp<RopeOp>();
    return getSource(isRotatedLater(rope) ? rope.getInput() : value).value;
  });
}

void Grouper::visit(Operation *op) {
  if (isa<scf::WhileOp, scf::ForOp, scf::IfOp>(op)) {
    endAll(quote(op) + " begins");
    for (Region &region : op->getRegions())
      for (Block &block : region)
        visit(block);
  } else if (isa<PutOp>(op)) {
    endAll(quote(op) + " may change lines that it reads");
  } else if (!isAlias(op) && !take(op)) {
    for (Value value : findBufferedOperands(op, symbols))
      if (Group *group = find(value))
        end(*group, quote(op) + " reads it from a buffer");
  }
}

void Grouper::visit(Block &block) {
  for (Operation &op : block.without_terminator())
    visit(&op);
  endAll("the block ends");
}

Grouping::Grouping(func::FuncOp function, const RowOwners &owners, const ModelSymbols &symbols) : function(function) {
  Grouper grouper(owners, symbols);
  grouper.visit(function.getBody().front());
  groups = std::move(grouper.groups);
  groupsAt = std::move(grouper.groupsAt);
  for (const std::unique_ptr<Group> &group : groups) {
    for (Operation *op : llvm::concat<Operation *const>(group->prologue, group->members))
      groupOf[op] = group.get();
    for (LinearOp linear : group->linears)
      groupOf[linear] = group.get();
  }
}

SmallVector<Value> lariat::forming::findOutputs(const Group &group) {
  SmallVector<Value> values;
  for (LinearOp linear : group.linears)
    values.push_back(linear.getResult());
  for (Operation *member : group.members)
    values.push_back(member->getResult(0));
  std::function<bool(Value)> isReadOutside = [&](Value value) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (isa<SpreadOp>(user))
        return isReadOutside(user->getResult(0));
      return !llvm::is_contained(group.members, user);
    });
  };
  llvm::erase_if(values, [&](Value value) { return !isReadOutside(value); });
  return values;
}
