// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds what weights are used for from the flow of row tensors between products (`lariat.linear`) and attention:
//   attention    a product that gives queries, keys or values, or reads what attention gives; and one whose result goes
//                nowhere but into such products: gates, the first factor of a factored projection
//   head         a product that gives logits, and one whose result goes nowhere but into such products
//   ffn          a product of D columns whose result goes into products only, one of which gives D columns; and that
//   one
// Where the result of a product meets another path in an addition, the path it took ends.

#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "lariat/Dialect/Lariat/Transforms/WeightFormats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

using namespace mlir;
using namespace lariat;

StringRef lariat::stringifyWeightClass(WeightClass weightClass) {
  switch (weightClass) {
  case WeightClass::Embed:
    return "embed";
  case WeightClass::Head:
    return "head";
  case WeightClass::Attention:
    return "attention";
  case WeightClass::FFN:
    return "ffn";
  case WeightClass::Norm:
    return "norm";
  case WeightClass::Other:
    return "other";
  }
  llvm_unreachable("all classes are above");
}

namespace {

/// Where the path of a value ends.
struct Reach {
  llvm::SetVector<Operation *> products; ///< that read it
  bool isAttended = false;               ///< as queries, keys or values
  bool isLogits = false;
  bool isElsewhere = false; ///< also at an addition, the end of a loop step, or a result that is no logits

  bool isProductsOnly() const { return !products.empty() && !isAttended && !isLogits && !isElsewhere; }
};

/// Follows values through ops that are neither products nor attention.
class Paths {
public:
  explicit Paths(ModuleOp module) {
    module.walk<WalkOrder::PreOrder>([&](Operation *op) { order.try_emplace(op, order.size()); });
  }

  Reach follow(Value start);

private:
  void visit(Operation *op, Reach &reach);
  void add(Value value);
  bool meetsAnotherPath(Operation *op) const;

  llvm::DenseMap<Operation *, size_t> order;
  // State of the walk along one value:
  llvm::DenseSet<Value> path;
  std::map<size_t, Operation *> waiting; ///< users, in order: what an op reads is known before the op is looked at
};

} // namespace

void Paths::add(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isa<FloatType>(type.getElementType()) || !path.insert(value).second)
    return;
  for (Operation *user : value.getUsers())
    waiting.try_emplace(order.lookup(user), user);
}

/// Whether an op adds something that is neither of the path nor the same for all rows.
bool Paths::meetsAnotherPath(Operation *op) const {
  if (auto put = dyn_cast<PutOp>(op))
    return put.getKind() == PutKind::Add;
  return isa<arith::AddFOp, arith::SubFOp>(op) && llvm::any_of(op->getOperands(), [&](Value operand) {
           return !path.contains(operand) && !operand.getDefiningOp<SpreadOp>() &&
                  !operand.getDefiningOp<arith::ConstantOp>() && !operand.getDefiningOp<ValueOfOp>();
         });
}

void Paths::visit(Operation *op, Reach &reach) {
  if (auto linear = dyn_cast<LinearOp>(op)) {
    reach.products.insert(op);
  } else if (isa<AppendOp, AttendOp, AttentionOp>(op)) {
    reach.isAttended = true;
  } else if (auto next = dyn_cast<NextOp>(op)) {
    reach.isElsewhere = true;
    auto loop = cast<RecurOp>(op->getParentOp());
    for (auto [value, result] : llvm::zip(next.getValues(), loop.getFinals()))
      if (path.contains(value))
        add(result);
  } else if (isa<func::ReturnOp>(op)) {
    auto function = cast<func::FuncOp>(op->getParentOp());
    for (OpOperand &operand : op->getOpOperands()) {
      auto name = function.getResultAttrOfType<StringAttr>(operand.getOperandNumber(), kOutputAttr);
      if (path.contains(operand.get()))
        (name && name.getValue() == "logits" ? reach.isLogits : reach.isElsewhere) = true;
    }
  } else if (meetsAnotherPath(op)) {
    reach.isElsewhere = true;
  } else {
    for (Value result : op->getResults())
      add(result);
  }
}

Reach Paths::follow(Value start) {
  Reach reach;
  path.clear();
  add(start);
  while (!waiting.empty()) {
    Operation *op = waiting.begin()->second;
    waiting.erase(waiting.begin());
    visit(op, reach);
  }
  return reach;
}

/// The symbols of a product.
static SmallVector<FlatSymbolRefAttr> getWeights(LinearOp op) {
  return {op.getWeightAttr(), op.getBiasAttr(), op.getLowRankAAttr(), op.getLowRankBAttr()};
}

static int64_t getNumColumns(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() == 2 ? type.getDimSize(1) : 0;
}

using ProductClasses = llvm::MapVector<Operation *, WeightClass>;

/// Gives `wanted` to products whose results go nowhere but into products that have it.
static void extend(ProductClasses &classes, const llvm::MapVector<Operation *, Reach> &reaches, WeightClass wanted) {
  auto has = [&](Operation *product) {
    auto *it = classes.find(product);
    return it != classes.end() && it->second == wanted;
  };
  for (bool hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (auto &[product, reach] : reaches)
      if (reach.isProductsOnly() && llvm::all_of(reach.products, has))
        hasChanged |= classes.insert({product, wanted}).second;
  }
}

/// The classes of products; those without one are other.
static ProductClasses classifyProducts(ModuleOp module) {
  Paths paths(module);
  ProductClasses classes;
  llvm::MapVector<Operation *, Reach> reaches;
  module.walk([&](Operation *op) {
    if (isa<AttendOp, AttentionOp>(op))
      for (Operation *product : paths.follow(op->getResult(0)).products)
        classes.insert({product, WeightClass::Attention});
    if (auto linear = dyn_cast<LinearOp>(op))
      reaches.insert({op, paths.follow(linear.getResult())});
  });
  for (auto &[product, reach] : reaches)
    if (reach.isAttended || reach.isLogits)
      classes.insert({product, reach.isAttended ? WeightClass::Attention : WeightClass::Head});
  extend(classes, reaches, WeightClass::Attention);
  extend(classes, reaches, WeightClass::Head);
  ProductClasses pairs;
  for (auto &[product, reach] : reaches)
    for (Operation *next : reach.products) {
      auto first = cast<LinearOp>(product), second = cast<LinearOp>(next);
      if (reach.isProductsOnly() && !classes.contains(product) && !classes.contains(next) &&
          getNumColumns(first.getInput()) == getNumColumns(second.getResult()))
        for (Operation *op : {product, next})
          pairs.insert({op, WeightClass::FFN});
    }
  for (auto &[product, weightClass] : pairs)
    classes.insert({product, weightClass});
  return classes;
}

llvm::MapVector<Operation *, llvm::SmallSet<WeightClass, 2>> lariat::classifyWeights(ModuleOp module) {
  llvm::MapVector<Operation *, llvm::SmallSet<WeightClass, 2>> result;
  llvm::SmallPtrSet<Operation *, 2> exact = findFrequencyWeights(module);
  for (auto weight : module.getOps<WeightOp>())
    if (weight.getTensorType().getElementType().isF32() && !exact.contains(weight))
      result[weight];
  SymbolTable symbols(module);
  auto use = [&](ArrayRef<FlatSymbolRefAttr> names, WeightClass weightClass) {
    for (FlatSymbolRefAttr name : names)
      if (auto *it = name ? result.find(symbols.lookup(name.getAttr())) : result.end(); it != result.end())
        it->second.insert(weightClass);
  };
  ProductClasses products = classifyProducts(module);
  module.walk([&](Operation *op) {
    if (auto linear = dyn_cast<LinearOp>(op)) {
      auto *it = products.find(op);
      if (it != products.end())
        use(getWeights(linear), it->second);
    } else if (auto embed = dyn_cast<EmbedOp>(op)) {
      use({embed.getWeightAttr()}, WeightClass::Embed);
    } else if (auto norm = dyn_cast<NormOp>(op)) {
      use({norm.getWeightAttr(), norm.getBiasAttr()}, WeightClass::Norm);
    } else if (auto attend = dyn_cast<AttendOp>(op)) {
      use({attend.getSinksAttr(), attend.getDistanceBiasAttr()}, WeightClass::Attention);
    } else if (auto attention = dyn_cast<AttentionOp>(op)) {
      use({attention.getSinksAttr(), attention.getDistanceBiasAttr()}, WeightClass::Attention);
    }
  });
  for (auto &[weight, classes] : result)
    if (classes.empty())
      classes.insert(WeightClass::Other);
  return result;
}
