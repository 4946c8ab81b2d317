// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row sets, and which entries of caches their rows write and see.

#include "Kinds.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

/// A key for services that depend on values and names.
static std::string getKey(StringRef cache, const Twine &use, ValueRange values) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << cache.size() << ':' << cache << ' ' << use; // a name may hold any character
  for (Value value : values)
    os << ' ' << value.getAsOpaquePointer();
  return key;
}

MemRefType lariat::forming::getWordsType(MLIRContext *context, int64_t numWords) {
  return MemRefType::get({ShapedType::kDynamic, numWords}, IndexType::get(context));
}

Value KernelFormer::createWords(int64_t numWords) {
  return kernel::BufferOp::create(b, function.getLoc(), getWordsType(b.getContext(), numWords), IntegerAttr());
}

void KernelFormer::copyRows(Value from, Value to, Value count, Location loc) {
  kernel::CopyRowsOp::create(b, loc, count, from, to);
}

Value KernelFormer::getLines(Value from, Value at) {
  if (skipAdvance(from) == skipAdvance(at))
    return {};
  Value &known = services.lines[{from, at}];
  if (!known) {
    RowSet whole = getRows(from), part = getRows(at);
    Value out = createBuffer(b.getIndexType(), 0);
    kernel::LinesOp::create(b, function.getLoc(), whole.count, whole.table, part.count, part.table, out);
    known = out;
  }
  return known;
}

void KernelFormer::defineRows(Value rows, Value table, Value count) {
  rowSets[rows] = {table, count};
  prepareRows(rows);
}

void KernelFormer::prepareRows(Value rows) {
  SmallVector<Operation *> users(rows.getUsers());
  llvm::erase_if(users, [&](Operation *user) { return user->getBlock() != rows.getParentBlock(); });
  llvm::sort(users, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *user : users) {
    if (auto take = dyn_cast<TakeOp>(user); take && take.getAt() == rows && rowSets.contains(take.getFrom()))
      (void)getLines(take.getFrom(), rows);
    if (auto put = dyn_cast<PutOp>(user); put && put.getFrom() == rows && rowSets.contains(put.getOf()))
      (void)getLines(put.getOf(), rows);
  }
  for (Operation *user : users)
    checkDepths(user, rows);
  // Entries first, then views, so that a view has them; the others are made where their op stands.
  for (Operation *user : users)
    if (auto append = dyn_cast<AppendOp>(user); append && !append.getSlot() && mayReserveAt(rows, append))
      (void)getEntries(append);
  for (Operation *user : users)
    if (auto attend = dyn_cast<AttendOp>(user); attend && !attend.getSlot() && mayViewAt(rows, attend))
      (void)getViews(attend);
}

/// The weights that an op chooses by the depth of `rows`.
static SmallVector<FlatSymbolRefAttr> getWeightsBy(Operation *op, Value rows) {
  if (auto linear = dyn_cast<LinearOp>(op); linear && linear.getBy() == rows)
    return {linear.getWeightAttr(), linear.getBiasAttr(), linear.getLowRankAAttr(), linear.getLowRankBAttr()};
  if (auto norm = dyn_cast<NormOp>(op); norm && norm.getBy() == rows)
    return {norm.getWeightAttr(), norm.getBiasAttr()};
  if (auto value = dyn_cast<ValueOfOp>(op); value && value.getBy() == rows)
    return {value.getWeightAttr()};
  return {};
}

void KernelFormer::checkDepths(Operation *op, Value rows) {
  for (FlatSymbolRefAttr name : getWeightsBy(op, rows)) {
    std::optional<int64_t> number = name ? storage.getCheckedWeightNumber(name) : std::nullopt;
    if (!number)
      continue;
    // What an earlier check lets pass is shallow enough for weights of as many depths.
    auto end = static_cast<int64_t>(*storage.getWeight(name).getDepths());
    int64_t &known = services.checkedDepths.try_emplace(rows, end + 1).first->second;
    if (known <= end)
      continue;
    known = end;
    kernel::CheckDepthsOp::create(b, op->getLoc(), getRows(rows).count, getRows(rows).table, *number, end);
  }
}

/// Whether `op` runs between the definition of `rows` and `end`, in their block or inside of an op of it.
static bool isBetween(Operation *op, Value rows, Operation *end) {
  Operation *place = end->getBlock()->findAncestorOpInBlock(*op), *begin = rows.getDefiningOp();
  return place && place->isBeforeInBlock(end) && (!begin || begin->isBeforeInBlock(place));
}

bool KernelFormer::mayReserveAt(Value rows, AppendOp op) {
  // An attend before the append does not see it.
  return llvm::none_of(cacheUses[op.getCache()].attends, [&](AttendOp attend) { return isBetween(attend, rows, op); });
}

bool KernelFormer::mayViewAt(Value rows, AttendOp op) {
  // The attend sees every append before it.
  return llvm::all_of(cacheUses[op.getCache()].appends, [&](AppendOp append) {
    return services.entries.contains(getEntryKey(append)) || !isBetween(append, rows, op);
  });
}

void KernelFormer::outdateViews(Operation *op) {
  op->walk([&](Operation *inner) {
    if (auto append = dyn_cast<AppendOp>(inner))
      ++numReserved[append.getCache()];
    else if (auto attention = dyn_cast<AttentionOp>(inner))
      ++numReserved[storage.getTransientCache(attention).getValue()];
  });
}

//===----------------------------------------------------------------------===//
// Row ops
//===----------------------------------------------------------------------===//

bool lariat::forming::formSelect(KernelFormer &former, SelectOp op) {
  OpBuilder &b = former.builder();
  RowSet from = former.getRows(op.getFrom());
  Value bits = former.getBuffer(op.getWhere()), table = former.createWords(kNumRowColumns);
  Value count = kernel::CompactOp::create(b, op.getLoc(), b.getIndexType(), from.count, from.table, bits, table);
  former.defineRows(op.getResult(), table, count);
  return true;
}

bool lariat::forming::formLast(KernelFormer &former, LastOp op) {
  OpBuilder &b = former.builder();
  RowSet from = former.getRows(op.getFrom());
  Value table = former.createWords(kNumRowColumns);
  Value count = kernel::LastOp::create(b, op.getLoc(), b.getIndexType(), from.count, from.table, table);
  former.defineRows(op.getResult(), table, count);
  return true;
}

bool lariat::forming::formAdvance(KernelFormer &former, AdvanceOp op) {
  RowSet from = former.getRows(op.getFrom());
  Value table = former.createWords(kNumRowColumns);
  Value depth = op.getTo() ? former.getScalar(op.getTo()) : Value();
  kernel::AdvanceOp::create(former.builder(), op.getLoc(), from.count, from.table, depth, table);
  former.defineRows(op.getResult(), table, from.count);
  return true;
}

bool lariat::forming::formCount(KernelFormer &former, CountOp op) {
  former.setScalar(op.getResult(), former.getRows(op.getRows()).count);
  return true;
}

bool lariat::forming::formDim(KernelFormer &former, tensor::DimOp op) {
  if (!isRowTensor(op.getSource().getType()) || op.getConstantIndex() != 0)
    return false;
  former.setScalar(op.getResult(), former.getRows(former.getRowsOf(op.getSource())).count);
  return true;
}

bool lariat::forming::formExtract(KernelFormer &former, tensor::ExtractOp op) {
  if (!isRowTensor(op.getTensor().getType()))
    return false;
  Value buffer = former.getBuffer(op.getTensor());
  auto indices = llvm::map_to_vector(op.getIndices(), [&](Value index) { return former.getScalar(index); });
  Value element = memref::LoadOp::create(former.builder(), op.getLoc(), buffer, indices);
  former.setScalar(op.getResult(), element);
  return true;
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

Value KernelFormer::getSlots(Value rows, StringRef key, Value fixed, kernel::SlotRuleAttr rule,
                             kernel::SlotRuleAttr generatedRule) {
  Value &known = services.slots[key];
  if (known)
    return known;
  RowSet set = getRows(rows);
  known = createBuffer(b.getIndexType(), 0);
  if (fixed)
    kernel::FillOp::create(b, function.getLoc(), set.count, fixed, known);
  else
    kernel::SlotsOp::create(b, function.getLoc(), set.count, set.table, known, rule, generatedRule);
  return known;
}

/// The rule of a policy; rows at depth `end` and deeper have no slot.
static kernel::SlotRuleAttr getRuleAttr(KVPolicyAttrInterface policy, std::optional<int64_t> end = std::nullopt) {
  SlotRule rule = policy.getSlotRule();
  return kernel::SlotRuleAttr::get(policy.getContext(), kernel::fromArtefact(rule.kind),
                                   std::max<int64_t>(rule.slots, 1), end);
}

Value KernelFormer::getAppendSlots(AppendOp op) {
  KVPolicyAttrInterface policy = storage.getCache(op.getCache()).getPolicy();
  auto ruleFor = [&](bool generated) {
    KVPolicyAttrInterface one = policy.getForRows(generated);
    return getRuleAttr(one, getEndOfWrites(one, op.getFilled()));
  };
  std::string key = getKey(op.getCache(), op.getFilled() ? "fill" : "append", {op.getAt(), op.getSlot()});
  return getSlots(op.getAt(), key, op.getSlot() ? getScalar(op.getSlot()) : Value(), ruleFor(/*generated=*/false),
                  isPhased(policy) ? ruleFor(/*generated=*/true) : kernel::SlotRuleAttr());
}

Value KernelFormer::getAttendSlots(AttendOp op, bool generated) {
  KVPolicyAttrInterface policy = storage.getCache(op.getCache()).getPolicy();
  std::string key = getKey(op.getCache(), generated ? "attend generated" : "attend", {op.getAt(), op.getSlot()});
  return getSlots(op.getAt(), key, op.getSlot() ? getScalar(op.getSlot()) : Value(),
                  getRuleAttr(policy.getForRows(generated)), kernel::SlotRuleAttr());
}

std::string KernelFormer::getEntryKey(AppendOp op) {
  return getKey(op.getCache(), op.getFilled() ? "filled" : "", {op.getAt(), op.getSlot()});
}

Value KernelFormer::getEntries(AppendOp op) {
  std::string key = getEntryKey(op);
  if (Value known = services.entries.lookup(key))
    return known;
  RowSet rows = getRows(op.getAt());
  Value places = getAppendSlots(op);
  Value out = createWords(2);
  kernel::ReserveOp::create(b, op.getLoc(), rows.count, rows.table, places, out,
                            storage.getCacheDeclaration(op.getCache()), b.getBoolAttr(op.getFilled()),
                            op.getSlot() ? b.getUnitAttr() : UnitAttr());
  services.entries[key] = out;
  ++numReserved[op.getCache()];
  return out;
}

Value KernelFormer::getViews(AttendOp op) {
  KVPolicyAttrInterface policy = storage.getCache(op.getCache()).getPolicy();
  auto lookUpOf = [&](bool generated) {
    LookUp lookUp = op.getSlot() ? LookUp::Exact : policy.getForRows(generated).getLookUp();
    return kernel::LookUpKindAttr::get(b.getContext(), kernel::fromArtefact(lookUp));
  };
  bool ahead = looksAhead(op.getMask());
  // A view has what was reserved before it was made.
  std::string use = (ahead ? "ahead " : "") + std::to_string(numReserved[op.getCache()]);
  std::string key = getKey(op.getCache(), use, {op.getAt(), op.getSlot()});
  if (Value known = services.views.lookup(key))
    return known;
  RowSet rows = getRows(op.getAt());
  Value places = getAttendSlots(op, /*generated=*/false), generatedPlaces;
  kernel::LookUpKindAttr generatedLookUp;
  if (!op.getSlot() && isPhased(policy)) {
    generatedPlaces = getAttendSlots(op, /*generated=*/true);
    generatedLookUp = lookUpOf(/*generated=*/true);
  }
  Value out = createWords(4);
  kernel::ViewOp::create(b, op.getLoc(), rows.count, rows.table, places, generatedPlaces, out,
                         storage.getCacheDeclaration(op.getCache()), lookUpOf(/*generated=*/false), generatedLookUp,
                         b.getBoolAttr(ahead));
  services.views[key] = out;
  return out;
}

KernelFormer::CallCache KernelFormer::getCallCache(AttentionOp op) {
  FlatSymbolRefAttr cache = storage.getTransientCache(op);
  RowSet rows = getRows(op.getAt());
  // What rows of another set leave there is over, and so is what is known of it.
  int64_t &number = numReserved[cache.getValue()];
  auto name = [&] { return getKey(cache.getValue(), Twine(number), {op.getAt()}); };
  Value places = services.entries.lookup(name());
  if (!places) {
    ++number;
    Value slots = createBuffer(b.getIndexType(), 0);
    Value zero = arith::ConstantIndexOp::create(b, op.getLoc(), 0);
    kernel::FillOp::create(b, op.getLoc(), rows.count, zero, slots);
    places = createWords(2);
    kernel::ReserveOp::create(b, op.getLoc(), rows.count, rows.table, slots, places, cache, b.getBoolAttr(false));
    services.slots[name()] = slots;
    services.entries[name()] = places;
  }
  Value &seen = services.views[name() + (looksAhead(op.getMask()) ? " ahead" : "")];
  if (!seen) {
    seen = createWords(4);
    kernel::ViewOp::create(b, op.getLoc(), rows.count, rows.table, services.slots[name()], /*generated_slots=*/Value(),
                           seen, cache, kernel::LookUpKindAttr::get(b.getContext(), kernel::LookUpKind::Exact),
                           /*generated_look_up=*/kernel::LookUpKindAttr(), b.getBoolAttr(looksAhead(op.getMask())));
  }
  return {cache, places, seen};
}
