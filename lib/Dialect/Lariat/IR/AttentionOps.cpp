// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verification and memory effects of attention, caches and state. A cache or state is a resource of its own, named by
// its symbol, so that upstream CSE and LICM keep reads on their side of writes.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lariat;

namespace {

/// Memory of all caches and states; the symbol says which.
struct CacheResource : SideEffects::Resource::Base<CacheResource> {
  StringRef getName() final { return "lariat.cache"; }
};

using Effects = SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

} // namespace

static void addRead(Effects &effects, FlatSymbolRefAttr symbol) {
  effects.emplace_back(MemoryEffects::Read::get(), symbol, CacheResource::get());
}

static void addWrite(Effects &effects, FlatSymbolRefAttr symbol) {
  effects.emplace_back(MemoryEffects::Write::get(), symbol, CacheResource::get());
}

/// The cache or state behind a symbol, with `layer` one of its layers.
template <typename OpT>
static FailureOr<OpT> lookupMemory(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                                   int64_t layer) {
  auto memory = symbols.lookupNearestSymbolFrom<OpT>(op, name);
  if (!memory)
    return op->emitOpError() << "uses " << name << ", which is not a '" << OpT::getOperationName() << "'";
  if (layer >= 0 && layer < static_cast<int64_t>(memory.getLayers()))
    return memory;
  InFlightDiagnostic diag = op->emitOpError()
                            << "uses layer " << layer << " of " << name << ", which has " << memory.getLayers();
  diag.attachNote(memory.getLoc()) << "it is declared here";
  return diag;
}

static LogicalResult verifyColumns(Operation *op, Type type, int64_t expected, const Twine &what) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() == 2 && tensor.getDimSize(1) == expected)
    return success();
  return op->emitOpError() << "has " << what << " of type " << tensor << ", expected " << expected << " columns";
}

/// `sinks` has one entry per head, `distance_bias` one row.
template <typename OpT>
static LogicalResult verifyScoreWeights(OpT op, SymbolTableCollection &symbols, int64_t heads) {
  auto check = [&](FlatSymbolRefAttr name, int64_t rank) -> LogicalResult {
    if (!name)
      return success();
    auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(op, name);
    if (!weight)
      return op.emitOpError() << "uses " << name << ", which is not a weight";
    RankedTensorType type = weight.getTensorType();
    if (type.getRank() == rank && type.getDimSize(0) == heads && !weight.getDepths())
      return success();
    return op.emitOpError() << "uses " << name << " of type " << type << ", expected rank " << rank << " and " << heads
                            << " heads without depths";
  };
  return failure(failed(check(op.getSinksAttr(), 1)) || failed(check(op.getDistanceBiasAttr(), 2)));
}

//===----------------------------------------------------------------------===//
// attention, append, attend
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  int64_t queryHeads = getQueryHeads(), kvHeads = getKvHeads();
  auto query = cast<RankedTensorType>(getQuery().getType()), key = cast<RankedTensorType>(getKey().getType());
  if (queryHeads % kvHeads != 0) // attention_c1
    return emitOpError() << "has " << queryHeads << " heads and " << kvHeads << " KV heads, expected a multiple";
  if (query.getRank() != 2 || key.getRank() != 2 || query.getDimSize(1) % queryHeads != 0 ||
      query.getDimSize(1) / queryHeads * kvHeads != key.getDimSize(1)) // attention_c1
    return emitOpError() << "has queries " << query << " and keys " << key << " for heads (" << queryHeads << ", "
                         << kvHeads << "), expected one head width";
  if (key.getEncoding() != query.getEncoding())
    return emitOpError() << "has keys of " << getRowsType(key) << ", but its rows are " << getAt().getType();
  return success();
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyScoreWeights(*this, symbols, getQueryHeads()); // attention_c2
}

/// A slot that is known before it runs is one of the cache's.
template <typename OpT>
static LogicalResult verifySlot(OpT op, CacheOp cache) {
  KVPolicyAttrInterface policy = cache.getPolicy();
  std::optional<int64_t> slot;
  APInt constant;
  if (!op.getSlot())
    slot = isPhased(policy) ? std::nullopt : getConstantDepth(op.getAt());
  else if (matchPattern(op.getSlot(), m_ConstantInt(&constant)))
    slot = constant.getSExtValue();
  if (!slot)
    return success();
  if (!op.getSlot())
    slot = policy.getSlotRule().getSlot(*slot);
  int64_t numSlots = cache.getDepths() ? policy.getNumSlots(*cache.getDepths()) : kMaxDepth + 1;
  if (*slot >= 0 && *slot < numSlots)
    return success();
  InFlightDiagnostic diag = op.emitOpError()
                            << "uses slot " << *slot << " of " << op.getCacheAttr() << ", which has " << numSlots;
  diag.attachNote(cache.getLoc()) << "it is declared here";
  return diag;
}

LogicalResult AppendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto cache = lookupMemory<CacheOp>(*this, symbols, getCacheAttr(), getLayer()); // append_c1
  if (failed(cache))
    return failure();
  if (failed(verifyColumns(*this, getKey().getType(), cache->getHeads() * cache->getDim(), "keys"))) // append_c2
    return failure();
  return verifySlot(*this, *cache); // append_c3
}

void AppendOp::getEffects(Effects &effects) { addWrite(effects, getCacheAttr()); }

LogicalResult AttendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto cache = lookupMemory<CacheOp>(*this, symbols, getCacheAttr(), getLayer()); // attend_c1
  if (failed(cache))
    return failure();
  if (getHeads() % cache->getHeads() != 0) // attend_c2
    return emitOpError() << "has " << getHeads() << " heads, but " << getCacheAttr() << " has " << cache->getHeads()
                         << ", expected a multiple";
  if (failed(verifyColumns(*this, getQuery().getType(), getHeads() * cache->getDim(), "queries")))
    return failure();
  if (failed(verifyScoreWeights(*this, symbols, getHeads()))) // attend_c3
    return failure();
  return verifySlot(*this, *cache); // attend_c4
}

void AttendOp::getEffects(Effects &effects) { addRead(effects, getCacheAttr()); }

//===----------------------------------------------------------------------===//
// shift, scan
//===----------------------------------------------------------------------===//

template <typename OpT>
static LogicalResult verifyStateUse(OpT op, SymbolTableCollection &symbols) {
  auto state = lookupMemory<StateOp>(op, symbols, op.getStateAttr(), op.getLayer());
  if (failed(state))
    return failure();
  return verifyColumns(op, op.getValue().getType(), state->getWidth(), "values");
}

LogicalResult ShiftOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyStateUse(*this, symbols); }

void ShiftOp::getEffects(Effects &effects) {
  addRead(effects, getStateAttr());
  addWrite(effects, getStateAttr());
}

LogicalResult ScanOp::verifySymbolUses(SymbolTableCollection &symbols) { return verifyStateUse(*this, symbols); }

void ScanOp::getEffects(Effects &effects) {
  addRead(effects, getStateAttr());
  addWrite(effects, getStateAttr());
}
