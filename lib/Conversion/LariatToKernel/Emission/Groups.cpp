// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which ops go together, and the kernels that groups become.

#include "Groups.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

//===----------------------------------------------------------------------===//
// What may go into a row region
//===----------------------------------------------------------------------===//

/// A fact about each row, read from its line of the row table.
static bool isFact(Operation *op) { return isa_and_nonnull<PositionOfOp, DepthOfOp, GeneratedOfOp>(op); }

/// What whoever reads it reads through. A spread of what cannot be read column by column has a kernel of its own.
static bool isAlias(Operation *op) {
  auto spread = dyn_cast<SpreadOp>(op);
  if (!spread)
    return isReadThrough(op);
  Value value = spread.getValue();
  return !isa<RankedTensorType>(value.getType()) || isRowTensor(value.getType()) || isStaticColumn(value);
}

static bool isElementwise(Operation *op) {
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

//===----------------------------------------------------------------------===//
// Membership
//===----------------------------------------------------------------------===//

Group *Groups::find(Value value) { return groupOf.lookup(value); }

void Groups::add(Group &group, Operation *op) {
  group.members.push_back(op);
  group.width = std::max(group.width, getOpWidth(op));
  groupOf[op->getResult(0)] = &group;
}

/// Groups among the sources of an operand, spread looked through; `throughTake` says that lines are chosen from it.
static Value getSource(Value value, bool &throughTake) {
  throughTake = false;
  while (Operation *op = value.getDefiningOp()) {
    if (auto spread = dyn_cast<SpreadOp>(op)) {
      value = spread.getValue();
    } else if (auto take = dyn_cast<TakeOp>(op)) {
      value = take.getValue();
      throughTake = true;
    } else {
      break;
    }
  }
  return value;
}

bool Groups::canJoin(Group &group, Operation *op) {
  Value rows = forming.getRowsOf(op->getResult(0));
  if (skipAdvance(rows) != skipAdvance(group.rows) || group.parts != 1)
    return false;
  if (Value named = getNamedRows(op); named && named != group.rows)
    return false;
  int64_t width = getOpWidth(op);
  if (group.isGemm) {
    if (group.sideBySide || !isElementwise(op) || getWidth(op->getResult(0).getType()) != group.width)
      return false;
  } else if (width && group.width && width != group.width) {
    return false;
  }
  return llvm::none_of(op->getOperands(), [&](Value operand) {
    bool throughTake;
    Value source = getSource(operand, throughTake);
    bool namesOther = false;
    if (Operation *fact = source.getDefiningOp(); isFact(fact) || isChoice(fact))
      namesOther = fact->getOperand(0) != group.rows;
    return (throughTake && find(source) == &group) || namesOther;
  });
}

bool Groups::takeElementwise(Operation *op) {
  Group *joined = nullptr;
  for (Value operand : op->getOperands()) {
    bool throughTake;
    Group *group = find(getSource(operand, throughTake));
    if (!group || group == joined || !canJoin(*group, op))
      continue;
    // The later one: what the earlier gives is an operand of it.
    if (!joined)
      joined = group;
    else if (group->isGemm || !joined->isGemm)
      joined = group;
  }
  if (!joined) {
    joined = &open.emplace_back();
    joined->rows = forming.getRowsOf(op->getResult(0));
  }
  add(*joined, op);
  // Other groups that it reads are over: nothing that follows from this op may join them.
  for (Value operand : op->getOperands()) {
    bool throughTake;
    Group *group = find(getSource(operand, throughTake));
    if (group && group != joined)
      close(*group);
  }
  return true;
}

void Groups::takeGroupedNorm(NormOp op) {
  close(op.getInput());
  Group &group = open.emplace_back();
  group.rows = forming.getRowsOf(op.getResult());
  group.parts = static_cast<int64_t>(op.getGroups());
  add(group, op);
  group.width /= group.parts;
}

bool Groups::take(Operation *op) {
  if (isAlias(op))
    return true;
  if (auto linear = dyn_cast<LinearOp>(op); linear && !isDot(op))
    return takeLinear(linear);
  if (auto norm = dyn_cast<NormOp>(op); norm && norm.getGroups() != 1) {
    takeGroupedNorm(norm);
    return true;
  }
  if (!isRowwise(op))
    return false;
  return takeElementwise(op);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

SmallVector<LinearOp> Groups::findSiblings(LinearOp op) {
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

/// Elementwise ops of the block that a value reaches through elementwise ops.
static void collectReached(Value value, Block *block, int64_t width, llvm::DenseSet<Operation *> &reached) {
  for (Operation *user : value.getUsers())
    if (user->getBlock() == block && isElementwise(user) && getWidth(user->getResult(0).getType()) == width &&
        reached.insert(user).second)
      collectReached(user->getResult(0), block, width, reached);
}

void Groups::openGemms(ArrayRef<LinearOp> linears) {
  SmallVector<LinearOp> plain;
  SmallVector<std::pair<SmallVector<LinearOp>, llvm::DenseSet<Operation *>>> joint;
  for (LinearOp linear : linears) {
    int64_t width = getWidth(linear.getType());
    llvm::DenseSet<Operation *> reached;
    collectReached(linear.getResult(), linear->getBlock(), width, reached);
    if (reached.empty() && width % kernel::kPanelColumns == 0 && !linear.getLowRankA()) {
      plain.push_back(linear);
      continue;
    }
    auto it = llvm::find_if(joint, [&](auto &other) {
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
    LinearOp first = plain.front();
    auto isAlike = [&](LinearOp other) {
      return other.getBias().has_value() == first.getBias().has_value() &&
             forming.getStorage().getWeight(other.getWeightAttr()).getDepths() ==
                 forming.getStorage().getWeight(first.getWeightAttr()).getDepths();
    };
    SmallVector<LinearOp> alike;
    llvm::copy_if(plain, std::back_inserter(alike), isAlike);
    llvm::erase_if(plain, isAlike);
    openGemm(alike, /*sideBySide=*/alike.size() > 1);
  }
  for (auto &[together, reached] : joint)
    openGemm(together, /*sideBySide=*/false);
}

/// What A of the pair makes of the input, scaled: a line of rank columns for each row.
Value Groups::formLowRank(LinearOp op) {
  OpBuilder &b = forming.builder();
  Storage &storage = forming.getStorage();
  Location loc = op.getLoc();
  int64_t rank = storage.getWeight(op.getLowRankAAttr()).getTensorType().getDimSize(0);
  RowSet rows = forming.getRows(op.getBy() ? op.getBy() : forming.getRowsOf(op.getInput()));
  Value out = forming.createBuffer(b.getF32Type(), rank);
  KernelOperands operands;
  RegionWriter prologue(forming, operands), epilogue(forming, operands);
  prologue.finish(prologue.getBufferColumn(forming.getBuffer(op.getInput())));
  Value sum = epilogue.addLeading();
  if (double scale = op.getScale()->convertToDouble(); scale != 1)
    sum = arith::MulFOp::create(epilogue.builder(), loc, sum, epilogue.constant(scale));
  epilogue.finish(sum);
  auto gemm = kernel::GemmOp::create(b, loc, rows.count, rows.table, prologue.inputs, ValueRange(), ValueRange(), out,
                                     ValueRange(), getWidth(op.getInput().getType()), rank,
                                     b.getArrayAttr(storage.getPanels({op.getLowRankAAttr()})), b.getArrayAttr({}),
                                     b.getArrayAttr({}), prologue.gather, ArrayRef<int64_t>{-1}, b.getArrayAttr({}),
                                     ArrayRef<int64_t>());
  gemm.getPrologue().takeBody(*prologue.region);
  gemm.getEpilogue().takeBody(*epilogue.region);
  return out;
}

Group &Groups::openGemm(ArrayRef<LinearOp> linears, bool sideBySide) {
  LinearOp first = linears.front();
  Group &group = open.emplace_back();
  group.isGemm = true;
  group.sideBySide = sideBySide;
  group.rows = first.getBy() ? first.getBy() : forming.getRowsOf(first.getInput());
  group.linears.assign(linears.begin(), linears.end());
  group.input = first.getInput();
  group.width = getWidth(first.getType());
  for (LinearOp linear : linears)
    groupOf[linear.getResult()] = &group;
  return group;
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

/// One value per row with a bias: the dot, then a kernel of one column that adds the bias.
bool Groups::takeBiasedDot(LinearOp op) {
  if (op.getLowRankA())
    return false;
  OpBuilder &b = forming.builder();
  Value input = forming.getBuffer(op.getInput()), rows = op.getBy() ? op.getBy() : forming.getRowsOf(op.getInput());
  RowSet set = forming.getRows(rows);
  FlatSymbolRefAttr weight = forming.getStorage().getVector({op.getWeightAttr()});
  FlatSymbolRefAttr bias = forming.getStorage().getVector({op.getBiasAttr()});
  auto emit = [&](Value in, int64_t width, FlatSymbolRefAttr vector, Value out, bool isDot) {
    KernelOperands operands;
    RegionWriter writer(forming, operands);
    Value x = writer.getBufferColumn(in), w = writer.getVector(vector, b.getF32Type());
    OpBuilder &inner = writer.builder();
    Value product = isDot ? arith::MulFOp::create(inner, op.getLoc(), x, w).getResult() : w;
    Value sum = kernel::ReduceOp::create(inner, op.getLoc(), b.getF32Type(), kernel::ReduceKind::Sum, product);
    writer.finish(isDot ? sum : arith::AddFOp::create(inner, op.getLoc(), x, sum).getResult());
    auto kernel =
        kernel::RowwiseOp::create(b, op.getLoc(), set.count, set.table, writer.inputs, out, ValueRange(), width,
                                  /*groups=*/1, b.getArrayAttr(writer.vectors), writer.gather, ArrayRef<int64_t>{-1});
    kernel.getBody().takeBody(*writer.region);
  };
  Value sums = forming.createBuffer(b.getF32Type(), 0), out = forming.createBuffer(op.getResult());
  emit(input, getWidth(op.getInput().getType()), weight, sums, /*isDot=*/true);
  emit(sums, 1, bias, out, /*isDot=*/false);
  forming.setBuffer(op.getResult(), out);
  return true;
}

bool Groups::takeLinear(LinearOp op) {
  if (find(op.getResult()) || forming.hasBuffer(op.getResult()))
    return true; // with a sibling before it
  if (!getElementTypeOrSelf(op.getInput().getType()).isF32() || !getElementTypeOrSelf(op.getType()).isF32())
    return false;
  if (getWidth(op.getType()) == 0)
    return takeBiasedDot(op);
  SmallVector<LinearOp> siblings = findSiblings(op);
  Group *source = find(op.getInput());
  bool hasLowRank = llvm::any_of(siblings, [](LinearOp linear) { return linear.getLowRankA().has_value(); });
  bool canFold = source && !source->isGemm && source->parts == 1 && !hasLowRank &&
                 source->width == getWidth(op.getInput().getType()) && isUsedOnlyBy(*source, siblings) &&
                 (!op.getBy() || op.getBy() == source->rows);
  if (source && !canFold)
    close(*source);
  size_t before = open.size();
  openGemms(siblings);
  size_t numNew = open.size() - before;
  if (canFold && numNew == 1) {
    Group &gemm = open.back();
    gemm.prologue = source->members;
    gemm.rows = source->rows;
    for (Operation *member : source->members)
      groupOf.erase(member->getResult(0));
    erase(*source);
  } else if (canFold) {
    close(*source);
  }
  if (hasLowRank)
    for (auto it = std::next(open.begin(), before); it != open.end(); ++it)
      for (LinearOp linear : it->linears)
        if (linear.getLowRankA())
          it->lowRank[linear] = formLowRank(linear);
  return true;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

void Groups::erase(Group &group) {
  for (auto it = open.begin(); it != open.end(); ++it)
    if (&*it == &group) {
      open.erase(it);
      return;
    }
}

/// Values that someone outside the group reads, in order.
static SmallVector<Value> findOutputs(const Group &group) {
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

void Groups::emitRowwise(Group &group) {
  OpBuilder &b = forming.builder();
  SmallVector<Value> outputs = findOutputs(group);
  if (outputs.empty())
    return;
  KernelOperands operands;
  operands.rows = group.rows;
  RegionWriter writer(forming, operands);
  for (Operation *member : group.members)
    writer.write(member);
  writer.finish(llvm::map_to_vector(outputs, [&](Value value) { return writer.get(value); }));
  SmallVector<Value> outs = llvm::map_to_vector(outputs, [&](Value value) { return forming.createBuffer(value); });
  SmallVector<int64_t> scatter(outs.size(), -1);
  RowSet rows = forming.getRows(group.rows);
  Value table = operands.tableRows ? forming.getRows(operands.tableRows).table : Value();
  auto kernel = kernel::RowwiseOp::create(b, group.members.front()->getLoc(), rows.count, table, writer.inputs, outs,
                                          operands.indices, std::max<int64_t>(group.width, 1), group.parts,
                                          b.getArrayAttr(writer.vectors), writer.gather, scatter);
  kernel.getBody().takeBody(*writer.region);
  for (auto [value, out] : llvm::zip(outputs, outs))
    forming.setBuffer(value, out);
}

void Groups::emitGemm(Group &group) {
  OpBuilder &b = forming.builder();
  Storage &storage = forming.getStorage();
  Location loc = LinearOp(group.linears.front()).getLoc();
  KernelOperands operands;
  operands.rows = group.rows;
  RegionWriter prologue(forming, operands), epilogue(forming, operands);
  for (Operation *op : group.prologue)
    prologue.write(op);
  prologue.finish(prologue.get(group.input));

  SmallVector<Attribute> weights, lowRankWeights;
  SmallVector<Value> outputs, outs, lowRankInputs;
  SmallVector<int64_t> lowRankOf;
  int64_t width = group.width;
  bool isDepthIndexed = LinearOp(group.linears.front()).getBy() != nullptr;
  if (isDepthIndexed)
    operands.tableRows = LinearOp(group.linears.front()).getBy();
  if (group.sideBySide) {
    SmallVector<FlatSymbolRefAttr> names, biases;
    width = 0;
    for (LinearOp linear : group.linears) {
      names.push_back(linear.getWeightAttr());
      if (linear.getBiasAttr())
        biases.push_back(linear.getBiasAttr());
      width += getWidth(linear.getType());
    }
    weights.push_back(storage.getPanels(names));
    Value sum = epilogue.addLeading();
    if (!biases.empty())
      sum = arith::AddFOp::create(epilogue.builder(), loc, sum,
                                  epilogue.getVector(storage.getVector(biases), b.getF32Type()));
    epilogue.finish(sum);
    Value whole = forming.createBuffer(b.getF32Type(), width);
    outs.push_back(whole);
    int64_t first = 0;
    for (LinearOp linear : group.linears) {
      int64_t columns = getWidth(linear.getType());
      forming.setBuffer(linear.getResult(), forming.createColumns(whole, first, columns));
      first += columns;
    }
  } else {
    for (LinearOp linear : group.linears) {
      weights.push_back(storage.getPanels({linear.getWeightAttr()}));
      (void)epilogue.addLeading();
    }
    for (auto [index, linear] : llvm::enumerate(group.linears)) {
      LinearOp op = linear;
      Value sum = epilogue.builder().getBlock()->getArgument(index);
      if (Value input = group.lowRank.lookup(op)) {
        lowRankInputs.push_back(input);
        lowRankWeights.push_back(storage.getPanels({op.getLowRankBAttr()}));
        lowRankOf.push_back(static_cast<int64_t>(index));
      }
      if (op.getBiasAttr())
        sum = arith::AddFOp::create(epilogue.builder(), loc, sum,
                                    epilogue.getVector(storage.getVector({op.getBiasAttr()}), b.getF32Type()));
      epilogue.map(op.getResult(), sum);
    }
    for (Operation *member : group.members)
      epilogue.write(member);
    outputs = findOutputs(group);
    if (outputs.empty())
      return;
    epilogue.finish(llvm::map_to_vector(outputs, [&](Value value) { return epilogue.get(value); }));
    outs = llvm::map_to_vector(outputs, [&](Value value) { return forming.createBuffer(value); });
  }
  SmallVector<int64_t> gather = prologue.gather, scatter(outs.size(), -1);
  llvm::append_range(gather, epilogue.gather);
  RowSet rows = forming.getRows(group.rows);
  Value table = operands.tableRows ? forming.getRows(operands.tableRows).table : Value();
  auto kernel = kernel::GemmOp::create(
      b, loc, rows.count, table, prologue.inputs, epilogue.inputs, lowRankInputs, outs, operands.indices,
      getWidth(group.input.getType()), width, b.getArrayAttr(weights), b.getArrayAttr(prologue.vectors),
      b.getArrayAttr(epilogue.vectors), gather, scatter, b.getArrayAttr(lowRankWeights), lowRankOf);
  kernel.getPrologue().takeBody(*prologue.region);
  kernel.getEpilogue().takeBody(*epilogue.region);
  for (auto [value, out] : llvm::zip(outputs, outs))
    forming.setBuffer(value, out);
}

void Groups::emitCopy(RegionWriter &writer, KernelOperands &operands, Value written, Value out, Value rows,
                      Value lines) {
  OpBuilder &b = forming.builder();
  writer.finish(written);
  RowSet set = forming.getRows(rows);
  auto type = cast<MemRefType>(out.getType());
  int64_t width = type.getRank() == 2 ? type.getDimSize(1) : 1, scatter = operands.getIndexNumber(lines);
  Value table = operands.tableRows ? forming.getRows(operands.tableRows).table : Value();
  auto kernel =
      kernel::RowwiseOp::create(b, out.getLoc(), set.count, table, writer.inputs, out, operands.indices, width,
                                /*groups=*/1, b.getArrayAttr(writer.vectors), writer.gather, scatter);
  kernel.getBody().takeBody(*writer.region);
}

void Groups::copy(Value value, Value buffer) {
  KernelOperands operands;
  RegionWriter writer(forming, operands);
  Value written = writer.get(value);
  emitCopy(writer, operands, written, buffer, forming.getRowsOf(value), Value());
}

void Groups::copyBuffer(Value from, Value to, Value rows) {
  KernelOperands operands;
  RegionWriter writer(forming, operands);
  Value written = writer.getBufferColumn(from);
  emitCopy(writer, operands, written, to, rows, Value());
}

void Groups::scatter(PutOp put, Value buffer) {
  KernelOperands operands;
  RegionWriter writer(forming, operands);
  Value written = writer.get(put.getValue()), lines = forming.getLines(put.getOf(), put.getFrom());
  if (put.getKind() == PutKind::Add) {
    Value old = writer.getBufferColumn(buffer, lines);
    bool isFloat = isa<FloatType>(written.getType());
    OpBuilder &inner = writer.builder();
    written = isFloat ? arith::AddFOp::create(inner, put.getLoc(), old, written).getResult()
                      : arith::AddIOp::create(inner, put.getLoc(), old, written).getResult();
  }
  emitCopy(writer, operands, written, buffer, put.getFrom(), lines);
}

void Groups::close(Group &group) {
  // Its values leave the map first: what it reads may be of another group, never of itself.
  Group closed = std::move(group);
  erase(group);
  for (LinearOp linear : closed.linears)
    groupOf.erase(linear.getResult());
  for (Operation *member : closed.members)
    groupOf.erase(member->getResult(0));
  closed.isGemm ? emitGemm(closed) : emitRowwise(closed);
}

void Groups::close(Value value) {
  if (Group *group = find(value))
    close(*group);
}

void Groups::closeAll() {
  while (!open.empty())
    close(open.front());
}
