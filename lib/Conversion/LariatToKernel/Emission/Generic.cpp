// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generic path: an op that has no kernel becomes a function on tensors, which the reference lowering knows, and a
// call.

#include "Kinds.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Ops that are written again inside the function rather than handed to it.
static bool isRecreated(Operation *op) {
  if (auto spread = dyn_cast_or_null<SpreadOp>(op))
    return !isRowTensor(spread.getValue().getType());
  return isa_and_nonnull<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(op) ||
         (isStaticOp(op) && !isa<ValueOfOp>(op));
}

/// What a function of `op` takes, and the ops that are made again in it, in order.
static void collectOperands(Operation *op, llvm::SetVector<Value> &arguments, llvm::SetVector<Operation *> &again) {
  SmallVector<Value> operands(op->getOperands());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  llvm::append_range(operands, captured);
  for (Value operand : operands) {
    Operation *producer = operand.getDefiningOp();
    if (!isRecreated(producer)) {
      arguments.insert(operand);
      continue;
    }
    if (again.contains(producer))
      continue;
    collectOperands(producer, arguments, again);
    again.insert(producer);
  }
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// A tensor as it lies in memory: static dimensions are one.
static RankedTensorType getFlatType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (!isRowTensor(tensor))
    return RankedTensorType::get({tensor.getNumElements()}, tensor.getElementType());
  return tensor.getRank() <= 2
             ? tensor
             : RankedTensorType::get({ShapedType::kDynamic, getWidth(tensor)}, tensor.getElementType());
}

/// Which dimensions of `type` are which of its flat type.
static SmallVector<ReassociationIndices> getGroups(RankedTensorType type) {
  if (type.getRank() == 0)
    return {};
  SmallVector<ReassociationIndices> groups(isRowTensor(type) ? 2 : 1);
  for (int64_t dimension = 0; dimension < type.getRank(); ++dimension)
    groups[isRowTensor(type) && dimension > 0 ? 1 : 0].push_back(dimension);
  return groups;
}

static Value expand(OpBuilder &b, Location loc, Value flat, Type wanted) {
  if (!isa<TensorType>(wanted) || flat.getType() == wanted)
    return flat;
  auto type = cast<RankedTensorType>(wanted);
  if (type.getRank() == 0)
    return tensor::CollapseShapeOp::create(b, loc, type, flat, ArrayRef<ReassociationIndices>{});
  SmallVector<OpFoldResult> sizes = getAsIndexOpFoldResult(b.getContext(), type.getShape());
  if (isRowTensor(type))
    sizes.front() = tensor::DimOp::create(b, loc, flat, 0).getResult();
  return tensor::ExpandShapeOp::create(b, loc, type, flat, getGroups(type), sizes);
}

static Value collapse(OpBuilder &b, Location loc, Value value) {
  if (!isRowTensor(value.getType()) || getFlatType(value.getType()) == value.getType())
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  return tensor::CollapseShapeOp::create(b, loc, getFlatType(type), value, getGroups(type));
}

/// Whether two functions are equal but for their names and places in the source.
static bool areEqual(func::FuncOp function, func::FuncOp other) {
  StringAttr name = function.getSymNameAttr();
  function.setSymNameAttr(other.getSymNameAttr());
  bool same = OperationEquivalence::isEquivalentTo(function, other, OperationEquivalence::IgnoreLocations);
  function.setSymNameAttr(name);
  return same;
}

/// The name of the body in `module` that is equal to `body`, which goes then; else a name for it.
static std::string nameBody(func::FuncOp body, ModuleOp module, Storage &storage) {
  unsigned numBodies = 0;
  for (auto other : module.getOps<func::FuncOp>()) {
    if (other == body || !other->hasAttr(kernel::kGenericBodyAttr))
      continue;
    ++numBodies;
    if (areEqual(body, other)) {
      body.erase();
      return other.getSymName().str();
    }
  }
  std::string name = storage.getFreeName("generic_" + Twine(numBodies));
  body.setSymName(name);
  return name;
}

/// Writes `op`, behind what is made again for it, as a function on tensors. Returns its name.
static std::string createBody(Operation *op, ArrayRef<Value> arguments, ArrayRef<Operation *> again, ModuleOp module,
                              Storage &storage) {
  Location loc = op->getLoc();
  auto getType = [](Value value) -> Type {
    return isa<TensorType>(value.getType()) ? getFlatType(value.getType()) : value.getType();
  };
  SmallVector<Type> results = llvm::map_to_vector(op->getResults(), [&](Value value) { return getType(value); });
  auto type = FunctionType::get(op->getContext(), llvm::map_to_vector(arguments, getType), results);
  OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
  auto callee = func::FuncOp::create(atEnd, module.getLoc(), "", type);
  callee.setPrivate();
  callee->setAttr(kernel::kGenericBodyAttr, atEnd.getUnitAttr());
  Block *body = callee.addEntryBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  IRMapping mapping;
  for (auto [value, argument] : llvm::zip_equal(arguments, body->getArguments()))
    mapping.map(value, expand(inner, loc, argument, value.getType()));
  for (Operation *producer : again)
    inner.clone(*producer, mapping);
  Operation *copy = inner.clone(*op, mapping);
  func::ReturnOp::create(
      inner, loc, llvm::map_to_vector(copy->getResults(), [&](Value value) { return collapse(inner, loc, value); }));
  return nameBody(callee, module, storage);
}

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

/// Fails for an op that no function on tensors stands for.
static LogicalResult checkGeneric(Operation *op, const ModelSymbols &symbols) {
  for (Type type : op->getResultTypes())
    if (!isa<RowsType>(type) && !isRowTensor(type))
      return op->emitError() << "'" << op->getName() << "' gives " << type << ", which has no form on the kernel level";
  if (op->getNumResults() == 0)
    return op->emitError() << "'" << op->getName() << "' has no form on the kernel level";
  if (auto uses = SymbolTable::getSymbolUses(op))
    for (const SymbolTable::SymbolUse &use : *uses) {
      StringRef name = use.getSymbolRef().getRootReference();
      if (symbols.getWeight(name) || symbols.getCache(name))
        return op->emitError() << "'" << op->getName() << "' has no kernel for " << op->getResult(0).getType()
                               << ", and nothing else reads @" << name << " on the kernel level";
    }
  return success();
}

/// Operands of a call, and how many lines each of them has.
struct Inputs {
  SmallVector<Value> values, numLines;
};

static Inputs getInputs(KernelFormer &former, ArrayRef<Value> arguments, Location loc) {
  Inputs inputs;
  Value zero = arith::ConstantIndexOp::create(former.builder(), loc, 0);
  for (Value value : arguments) {
    if (isa<RowsType>(value.getType())) {
      inputs.values.push_back(former.getRows(value).table);
      inputs.numLines.push_back(former.getRows(value).count);
    } else if (isRowTensor(value.getType())) {
      inputs.values.push_back(former.getBuffer(value));
      inputs.numLines.push_back(former.getRows(former.getRowsOf(value)).count);
    } else {
      inputs.values.push_back(former.getScalar(value));
      inputs.numLines.push_back(zero);
    }
  }
  return inputs;
}

LogicalResult lariat::forming::formGeneric(KernelFormer &former, Operation *op) {
  OpBuilder &b = former.builder();
  Storage &storage = former.getStorage();
  if (failed(checkGeneric(op, storage.getSymbols())))
    return failure();
  llvm::SetVector<Value> operands;
  llvm::SetVector<Operation *> again;
  collectOperands(op, operands, again);
  // Data of weights.bin goes last.
  SmallVector<Value> arguments, weights;
  for (Value value : operands)
    (value.getDefiningOp<ValueOfOp>() ? weights : arguments).push_back(value);
  Inputs inputs = getInputs(former, arguments, op->getLoc());
  SmallVector<Attribute> packed = llvm::map_to_vector(weights, [&](Value value) -> Attribute {
    return storage.getVector({value.getDefiningOp<ValueOfOp>().getWeightAttr()});
  });
  llvm::append_range(arguments, weights);
  std::string name = createBody(op, arguments, again.getArrayRef(), former.getTarget(), storage);
  SmallVector<Value> outs = llvm::map_to_vector(op->getResults(), [&](Value result) {
    return isa<RowsType>(result.getType()) ? former.createWords(kNumRowColumns) : former.createBuffer(result);
  });
  SmallVector<Type> counts(outs.size(), b.getIndexType());
  auto call = kernel::GenericOp::create(b, op->getLoc(), counts, inputs.values, inputs.numLines, outs, name,
                                        packed.empty() ? ArrayAttr() : b.getArrayAttr(packed));
  for (auto [result, out, count] : llvm::zip_equal(op->getResults(), outs, call.getCounts()))
    if (isa<RowsType>(result.getType()))
      former.defineRows(result, out, count);
    else
      former.setBuffer(result, out);
  return success();
}
