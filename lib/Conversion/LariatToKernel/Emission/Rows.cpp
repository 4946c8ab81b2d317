// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row sets, movement of rows, caches.

#include "Groups.h"

#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

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

Value Forming::createWords(int64_t numWords) {
  return kernel::BufferOp::create(b, function.getLoc(), getWordsType(b.getContext(), numWords), IntegerAttr());
}

void Forming::forEachRow(Value count, Location loc, llvm::function_ref<void(Value)> body) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  auto loop = scf::ForOp::create(b, loc, zero, count, one);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void Forming::copyRows(Value from, Value to, Value count, Location loc) {
  forEachRow(count, loc, [&](Value row) {
    for (int64_t column = 0; column < kNumRowColumns; ++column) {
      Value place = arith::ConstantIndexOp::create(b, loc, column);
      Value word = memref::LoadOp::create(b, loc, from, ValueRange{row, place});
      memref::StoreOp::create(b, loc, word, to, ValueRange{row, place});
    }
  });
}

Value Forming::getLines(Value from, Value at) {
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

void Forming::defineRows(Value rows, Value table, Value count) {
  rowSets[rows] = {table, count};
  prepareRows(rows);
}

void Forming::prepareRows(Value rows) {
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

void Forming::checkDepths(Operation *op, Value rows) {
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

bool Forming::mayReserveAt(Value rows, AppendOp op) {
  // An attend before the append does not see it.
  return llvm::none_of(cacheUses[op.getCache()].attends, [&](AttendOp attend) { return isBetween(attend, rows, op); });
}

bool Forming::mayViewAt(Value rows, AttendOp op) {
  // The attend sees every append before it.
  return llvm::all_of(cacheUses[op.getCache()].appends, [&](AppendOp append) {
    return services.entries.contains(getEntryKey(append)) || !isBetween(append, rows, op);
  });
}

void Forming::outdateViews(Operation *op) {
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

bool Forming::formRowOp(Operation *op) {
  Location loc = op->getLoc();
  if (auto select = dyn_cast<SelectOp>(op)) {
    RowSet from = getRows(select.getFrom());
    Value bits = getBuffer(select.getWhere()), table = createWords(kNumRowColumns);
    Value count = kernel::CompactOp::create(b, loc, b.getIndexType(), from.count, from.table, bits, table);
    defineRows(select.getResult(), table, count);
  } else if (auto last = dyn_cast<LastOp>(op)) {
    RowSet from = getRows(last.getFrom());
    Value table = createWords(kNumRowColumns);
    Value count = kernel::LastOp::create(b, loc, b.getIndexType(), from.count, from.table, table);
    defineRows(last.getResult(), table, count);
  } else if (auto advance = dyn_cast<AdvanceOp>(op)) {
    RowSet from = getRows(advance.getFrom());
    Value table = createWords(kNumRowColumns);
    Value depth = advance.getTo() ? getScalar(advance.getTo()) : Value();
    kernel::AdvanceOp::create(b, loc, from.count, from.table, depth, table);
    defineRows(advance.getResult(), table, from.count);
  } else if (auto count = dyn_cast<CountOp>(op)) {
    scalars.map(count.getResult(), getRows(count.getRows()).count);
  } else if (auto put = dyn_cast<PutOp>(op)) {
    formPut(put);
  } else if (auto concat = dyn_cast<ConcatOp>(op)) {
    return formConcat(concat);
  } else if (auto embed = dyn_cast<EmbedOp>(op)) {
    RowSet rows = getRows(getRowsOf(embed.getIds()));
    Value ids = getBuffer(embed.getIds()), out = createBuffer(embed.getResult());
    kernel::EmbedOp::create(b, loc, rows.count, ids, out, storage.getPanels({embed.getWeightAttr()}));
    setBuffer(embed.getResult(), out);
  } else if (auto rope = dyn_cast<RopeOp>(op)) {
    formRope(rope);
  } else if (auto append = dyn_cast<AppendOp>(op)) {
    formAppend(append);
  } else if (auto attend = dyn_cast<AttendOp>(op)) {
    formAttend(attend);
  } else if (auto attention = dyn_cast<AttentionOp>(op)) {
    formAttention(attention);
  } else {
    return false;
  }
  return true;
}

/// Whether nothing reads a tensor after `op`, so that its buffer may be changed there.
static bool isLastUse(Value tensor, Operation *op) {
  if (tensor.getParentBlock() != op->getBlock())
    return false;
  return llvm::all_of(tensor.getUsers(), [&](Operation *user) {
    Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
    return ancestor == op || ancestor->isBeforeInBlock(op);
  });
}

void Forming::formPut(PutOp op) {
  Value into = op.getInto();
  // Groups that still have to read the old lines are over first.
  groups->closeAll();
  Value buffer;
  bool inPlace = hasBuffer(into) && isLastUse(into, op) && op.getValue() != into &&
                 getBuffer(into).getDefiningOp<kernel::BufferOp>();
  if (inPlace) {
    buffer = getBuffer(into);
  } else {
    buffer = createBuffer(op.getResult());
    groups->copy(into, buffer);
  }
  groups->scatter(op, buffer);
  setBuffer(op.getResult(), buffer);
}

bool Forming::formConcat(ConcatOp op) {
  int64_t first = 0;
  for (Value input : op.getInputs()) {
    if (first % kernel::kPanelColumns)
      return false;
    first += getWidth(input.getType());
  }
  Value whole = createBuffer(op.getResult());
  first = 0;
  for (Value input : op.getInputs()) {
    int64_t width = getWidth(input.getType());
    groups->copy(input, createColumns(whole, first, width));
    first += width;
  }
  setBuffer(op.getResult(), whole);
  return true;
}

//===----------------------------------------------------------------------===//
// Rotary position
//===----------------------------------------------------------------------===//

static kernel::RopeAttr getRopeAttr(RopeOp op, Storage &storage) {
  return kernel::RopeAttr::get(op.getContext(), storage.getRopeTable(op), getRotatedColumns(op),
                               op.getStyle() == RopeStyle::Interleaved);
}

/// Whether the one reader of a rotated value rotates it itself: an append its keys, an attend its queries.
static bool isRotatedByReader(RopeOp op, Storage &storage) {
  if (!op->hasOneUse())
    return false;
  Operation *user = *op->user_begin();
  if (user->getBlock() != op->getBlock())
    return false;
  if (auto append = dyn_cast<AppendOp>(user))
    return append.getKey() == op.getResult() && append.getValue() != op.getResult() &&
           storage.getCache(append.getCache()).getHeads() == op.getHeads();
  if (auto attention = dyn_cast<AttentionOp>(user))
    return attention.getKey() == op.getResult() && attention.getValue() != op.getResult()
               ? attention.getKvHeads() == op.getHeads()
               : attention.getQuery() == op.getResult() && attention.getQueryHeads() == op.getHeads();
  auto attend = dyn_cast<AttendOp>(user);
  return attend && attend.getHeads() == op.getHeads();
}

void Forming::formRope(RopeOp op) {
  if (isRotatedByReader(op, storage))
    return;
  RowSet rows = getRows(op.getAt());
  Value input = getBuffer(op.getInput()), out = createBuffer(op.getResult());
  kernel::RotateOp::create(b, op.getLoc(), rows.count, rows.table, input, out, op.getHeads(), getRopeAttr(op, storage));
  setBuffer(op.getResult(), out);
}

std::pair<Value, kernel::RopeAttr> Forming::getUnrotated(Value value) {
  auto rope = value.getDefiningOp<RopeOp>();
  if (!rope || hasBuffer(value))
    return {getBuffer(value), {}};
  return {getBuffer(rope.getInput()), getRopeAttr(rope, storage)};
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

Value Forming::getSlots(Value rows, StringRef key, llvm::function_ref<Value(Value)> choose) {
  if (Value known = services.slots.lookup(key))
    return known;
  Location loc = function.getLoc();
  RowSet set = getRows(rows);
  Value out = createBuffer(b.getIndexType(), 0);
  forEachRow(set.count, loc, [&](Value row) { memref::StoreOp::create(b, loc, choose(row), out, ValueRange{row}); });
  services.slots[key] = out;
  return out;
}

Value Forming::getFact(Value rows, Value row, int64_t column) {
  Value place = arith::ConstantIndexOp::create(b, function.getLoc(), column);
  return memref::LoadOp::create(b, function.getLoc(), getRows(rows).table, ValueRange{row, place});
}

Value Forming::getAppendSlots(AppendOp op) {
  Location loc = function.getLoc();
  CacheOp cache = storage.getCache(op.getCache());
  Value rows = op.getAt(), fixed = op.getSlot() ? getScalar(op.getSlot()) : Value();
  Value none = arith::ConstantIndexOp::create(b, loc, -1);
  std::string key = getKey(op.getCache(), op.getFilled() ? "fill" : "append", {rows, op.getSlot()});
  return getSlots(rows, key, [&](Value row) -> Value {
    if (fixed)
      return fixed;
    auto isGenerated = [&]() -> Value {
      Value flag = arith::ConstantIndexOp::create(b, loc, kGenerated);
      Value found = arith::AndIOp::create(b, loc, getFact(rows, row, kFlags), flag);
      return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, found, flag);
    };
    AppendSlot target =
        buildAppendSlot(b, loc, cache.getPolicy(), op.getFilled(), getFact(rows, row, kDepth), isGenerated);
    return arith::SelectOp::create(b, loc, target.writes, target.slot, none);
  });
}

Value Forming::getAttendSlots(AttendOp op, bool generated) {
  Value rows = op.getAt(), fixed = op.getSlot() ? getScalar(op.getSlot()) : Value();
  SlotRule rule = storage.getCache(op.getCache()).getPolicy().getForRows(generated).getSlotRule();
  std::string key = getKey(op.getCache(), generated ? "attend generated" : "attend", {rows, op.getSlot()});
  return getSlots(rows, key, [&](Value row) {
    return fixed ? fixed : buildSlot(b, function.getLoc(), rule, getFact(rows, row, kDepth));
  });
}

std::string Forming::getEntryKey(AppendOp op) {
  return getKey(op.getCache(), op.getFilled() ? "filled" : "", {op.getAt(), op.getSlot()});
}

Value Forming::getEntries(AppendOp op) {
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

static kernel::MaskKind getMaskKind(MaskKind kind) {
  switch (kind) {
  case MaskKind::Causal:
    return kernel::MaskKind::Causal;
  case MaskKind::Full:
    return kernel::MaskKind::Full;
  case MaskKind::Prefix:
    return kernel::MaskKind::Prefix;
  case MaskKind::Window:
    return kernel::MaskKind::Window;
  case MaskKind::Chunk:
    return kernel::MaskKind::Chunk;
  }
  llvm_unreachable("enumeration covered");
}

/// Whether a mask shows later positions.
static bool looksAhead(MaskAttr mask) { return mask.getKind() == MaskKind::Full || mask.getKind() == MaskKind::Prefix; }

Value Forming::getViews(AttendOp op) {
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

void Forming::formAppend(AppendOp op) {
  auto [key, rope] = getUnrotated(op.getKey());
  Value value = getBuffer(op.getValue()), places = getEntries(op);
  RowSet rows = getRows(op.getAt());
  kernel::AppendOp::create(b, op.getLoc(), rows.count, rows.table, places, key, value,
                           storage.getCacheDeclaration(op.getCache()), op.getLayerAttr(), rope);
}

/// What attend and attention have in common.
template <typename OpT>
static void createAttend(OpT op, Storage &storage, OpBuilder &b, RowSet rows, Value seen, Value query, Value out,
                         FlatSymbolRefAttr cache, IntegerAttr layer, IntegerAttr heads, int64_t width,
                         kernel::RopeAttr rope) {
  double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0 / std::sqrt(double(width));
  auto mask = kernel::MaskAttr::get(op.getContext(), getMaskKind(op.getMask().getKind()), op.getMask().getSize());
  FlatSymbolRefAttr sinks, bias;
  if (op.getSinksAttr())
    sinks = storage.getVector({op.getSinksAttr()});
  if (op.getDistanceBiasAttr())
    bias = storage.getVectors(op.getDistanceBiasAttr());
  kernel::AttendOp::create(b, op.getLoc(), rows.count, rows.table, seen, query, out, cache, layer, heads,
                           b.getF64FloatAttr(scale), op.getSoftcapAttr(), mask, sinks, bias, rope);
}

void Forming::formAttend(AttendOp op) {
  auto [query, rope] = getUnrotated(op.getQuery());
  Value seen = getViews(op), out = createBuffer(op.getResult());
  createAttend(op, storage, b, getRows(op.getAt()), seen, query, out, storage.getCacheDeclaration(op.getCache()),
               op.getLayerAttr(), op.getHeadsAttr(), storage.getCache(op.getCache()).getDim(), rope);
  setBuffer(op.getResult(), out);
}

void Forming::formAttention(AttentionOp op) {
  auto [query, queryRope] = getUnrotated(op.getQuery());
  auto [key, keyRope] = getUnrotated(op.getKey());
  Value value = getBuffer(op.getValue());
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
    forEachRow(rows.count, op.getLoc(),
               [&](Value row) { memref::StoreOp::create(b, op.getLoc(), zero, slots, ValueRange{row}); });
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
  IntegerAttr layer = b.getI64IntegerAttr(0);
  kernel::AppendOp::create(b, op.getLoc(), rows.count, rows.table, places, key, value, cache, layer, keyRope);
  Value out = createBuffer(op.getResult());
  int64_t width = getWidth(op.getType()) / static_cast<int64_t>(op.getQueryHeads());
  createAttend(op, storage, b, rows, seen, query, out, cache, layer, op.getQueryHeadsAttr(), width, queryRope);
  setBuffer(op.getResult(), out);
}
