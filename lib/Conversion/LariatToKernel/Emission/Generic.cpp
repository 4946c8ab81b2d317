// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The slow road: an op that has no kernel becomes a function on tensors, which the reference lowering knows, and a call.

#include "Groups.h"

#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

//===----------------------------------------------------------------------===//
// Copies of columns, which need no function
//===----------------------------------------------------------------------===//

/// The place in its row, row-major, at which an operand of a structured op is read or written.
static AffineExpr getPlaceInRow(linalg::GenericOp op, OpOperand &operand) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(operand.get().getType()).getShape().drop_front();
  AffineExpr place = getAffineConstantExpr(0, op.getContext());
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (auto [size, index] : llvm::zip_equal(shape, op.getMatchingIndexingMap(&operand).getResults().drop_front())) {
    // A remainder that leaves every number of the loop as it is.
    auto binary = dyn_cast<AffineBinaryOpExpr>(index);
    bool isRemainder = binary && binary.getKind() == AffineExprKind::Mod && isa<AffineDimExpr>(binary.getLHS()) &&
                       isa<AffineConstantExpr>(binary.getRHS());
    bool isWhole = isRemainder && ranges[cast<AffineDimExpr>(binary.getLHS()).getPosition()] <=
                                      cast<AffineConstantExpr>(binary.getRHS()).getValue();
    place = place * size + (isWhole ? binary.getLHS() : index);
  }
  return place;
}

/// How many columns further right the only input of `op` is read, if all that it does is copy columns side by side.
static std::optional<int64_t> findColumnShift(linalg::GenericOp op) {
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 || op.getNumParallelLoops() != op.getNumLoops() ||
      yield.getOperand(0) != op.getBody()->getArgument(0))
    return std::nullopt;
  OpOperand &input = *op.getDpsInputOperand(0), &init = *op.getDpsInitOperand(0);
  if (!isRowTensor(input.get().getType()) || getWidth(input.get().getType()) == 0 ||
      getWidth(init.get().getType()) == 0)
    return std::nullopt;
  AffineMap from = op.getMatchingIndexingMap(&input), to = op.getMatchingIndexingMap(&init);
  int64_t numWritten = 1; // columns; as many as there are if every one is written
  for (auto [loop, range] : llvm::enumerate(op.getStaticLoopRanges()))
    numWritten *= to.getResult(0).isFunctionOfDim(loop) ? 1 : range;
  if (from.getResult(0) != to.getResult(0) || numWritten != getWidth(init.get().getType()))
    return std::nullopt;
  AffineExpr shift = simplifyAffineExpr(getPlaceInRow(op, input) - getPlaceInRow(op, init), from.getNumDims(), 0);
  auto constant = dyn_cast<AffineConstantExpr>(shift);
  return constant ? std::optional(constant.getValue()) : std::nullopt;
}

bool Forming::formColumnCopy(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  std::optional<int64_t> shift = generic ? findColumnShift(generic) : std::nullopt;
  if (!shift || *shift < 0 || *shift % kernel::kPanelColumns)
    return false;
  Value result = generic.getResult(0), source = getBuffer(generic.getInputs().front());
  int64_t width = getWidth(result.getType());
  Value columns = *shift || width != getWidth(generic.getInputs().front().getType())
                      ? createColumns(source, *shift, width)
                      : source;
  Value buffer = createBuffer(result);
  groups->copyBuffer(columns, buffer, getRowsOf(result));
  setBuffer(result, buffer);
  return true;
}

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
    if (other == body || !other->hasAttr(kGenericBodyAttr))
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
  callee->setAttr(kGenericBodyAttr, atEnd.getUnitAttr());
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
static LogicalResult checkGeneric(Operation *op, const Storage &storage, ArrayRef<Value> arguments) {
  auto refuse = [&](const Twine &verb, Type type) {
    return op->emitError() << "'" << op->getName() << "' " << verb << " " << type
                           << ", which has no form on the kernel level";
  };
  for (Value value : arguments)
    if (auto type = dyn_cast<RankedTensorType>(value.getType());
        type && !isRowTensor(type) && !value.getDefiningOp<ValueOfOp>())
      return refuse("reads", type);
  for (Type type : op->getResultTypes())
    if (!isa<RowsType>(type) && !isRowTensor(type))
      return refuse("gives", type);
  if (op->getNumResults() == 0)
    return op->emitError() << "'" << op->getName() << "' has no form on the kernel level";
  if (auto uses = SymbolTable::getSymbolUses(op))
    for (const SymbolTable::SymbolUse &use : *uses) {
      StringRef name = use.getSymbolRef().getRootReference();
      if (storage.hasWeight(name) || storage.getCache(name))
        return op->emitError() << "'" << op->getName() << "' has no kernel for " << op->getResult(0).getType()
                               << ", and nothing else reads @" << name << " on the kernel level";
    }
  return success();
}

LogicalResult Forming::formGeneric(Operation *op) {
  Location loc = op->getLoc();
  llvm::SetVector<Value> operands;
  llvm::SetVector<Operation *> again;
  collectOperands(op, operands, again);
  // Data of weights.bin goes last.
  SmallVector<Value> arguments, weights;
  for (Value value : operands)
    (value.getDefiningOp<ValueOfOp>() ? weights : arguments).push_back(value);
  if (failed(checkGeneric(op, storage, operands.getArrayRef())))
    return failure();

  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  SmallVector<Value> inputs, inputRows, outs;
  for (Value value : arguments) {
    if (isa<RowsType>(value.getType())) {
      inputs.push_back(getRows(value).table);
      inputRows.push_back(getRows(value).count);
    } else if (isRowTensor(value.getType())) {
      inputs.push_back(getBuffer(value));
      inputRows.push_back(getRows(getRowsOf(value)).count);
    } else {
      inputs.push_back(getScalar(value));
      inputRows.push_back(zero);
    }
  }
  SmallVector<Attribute> packed = llvm::map_to_vector(weights, [&](Value value) -> Attribute {
    return storage.getVector({value.getDefiningOp<ValueOfOp>().getWeightAttr()});
  });
  llvm::append_range(arguments, weights);
  std::string name = createBody(op, arguments, again.getArrayRef(), target, storage);
  for (Value result : op->getResults())
    outs.push_back(isa<RowsType>(result.getType()) ? createWords(kNumRowColumns) : createBuffer(result));
  SmallVector<Type> counts(outs.size(), b.getIndexType());
  auto call = kernel::GenericOp::create(b, loc, counts, inputs, inputRows, outs, name,
                                        packed.empty() ? ArrayAttr() : b.getArrayAttr(packed));
  for (auto [index, result] : llvm::enumerate(op->getResults()))
    if (isa<RowsType>(result.getType()))
      defineRows(result, outs[index], call.getCounts()[index]);
    else
      setBuffer(result, outs[index]);
  return success();
}
