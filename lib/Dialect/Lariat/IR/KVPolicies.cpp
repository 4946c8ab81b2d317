// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What each KV policy means: slots, look-up, memory, order. dialects/Lariat/README.md has the same as a table.

#include "lariat/Dialect/Lariat/IR/CacheUse.h"
#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace mlir;
using namespace lariat;

static int64_t sumOf(ArrayRef<int64_t> values) { return std::accumulate(values.begin(), values.end(), int64_t(0)); }

/// Entries of depths that have a slot each.
static int64_t sumOfSlots(ArrayRef<int64_t> rowsPerDepth, int64_t slots) {
  return sumOf(rowsPerDepth.take_front(std::min<size_t>(slots, rowsPerDepth.size())));
}

static int64_t firstOf(ArrayRef<int64_t> rowsPerDepth) { return rowsPerDepth.empty() ? 0 : rowsPerDepth.front(); }

static LogicalResult verifySlots(function_ref<InFlightDiagnostic()> emitError, StringRef name, int64_t slots) {
  if (slots > 0)
    return success();
  return emitError() << "KV policy '" << name << "' has " << slots << " slots, expected at least 1";
}

static LogicalResult verifyOverwriting(function_ref<InFlightDiagnostic()> emitError, StringRef name, RowOrder order) {
  if (order != RowOrder::Free)
    return success();
  return emitError() << "KV policy '" << name << "' overwrites entries, so its order is atomic or sequential, not free";
}

//===----------------------------------------------------------------------===//
// Slots in IR
//===----------------------------------------------------------------------===//

bool lariat::isPhased(KVPolicyAttrInterface policy) {
  return policy.getForRows(/*generated=*/false) != policy.getForRows(/*generated=*/true);
}

bool lariat::propagates(KVPolicyAttrInterface policy) {
  auto propagatesFor = [&](bool generated) {
    return policy.getForRows(generated).getMissingMode() == MissingMode::Propagate;
  };
  return propagatesFor(false) || propagatesFor(true);
}

Value lariat::buildSlot(OpBuilder &builder, Location loc, SlotRule rule, Value depth) {
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value).getResult(); };
  switch (rule.kind) {
  case SlotRule::Own:
    return depth;
  case SlotRule::First:
    return constant(0);
  case SlotRule::Shared:
    if (rule.slots == 1)
      return constant(0);
    return arith::MinSIOp::create(builder, loc, depth, constant(rule.slots - 1));
  case SlotRule::Ring:
    return arith::RemUIOp::create(builder, loc, depth, constant(rule.slots));
  }
  llvm_unreachable("enumeration covered");
}

std::optional<int64_t> lariat::getEndOfWrites(KVPolicyAttrInterface policy, bool filled) {
  if (policy.getSlotRule().kind == SlotRule::First)
    return 1;
  if (filled && policy.getMissingMode() != MissingMode::Propagate)
    return 0;
  return std::nullopt;
}

AppendSlot lariat::buildAppendSlot(OpBuilder &builder, Location loc, KVPolicyAttrInterface policy, bool filled,
                                   Value depth, function_ref<Value()> buildIsGenerated) {
  auto buildFor = [&](KVPolicyAttrInterface one) -> AppendSlot {
    Value slot = buildSlot(builder, loc, one.getSlotRule(), depth);
    std::optional<int64_t> end = getEndOfWrites(one, filled);
    if (!end || *end == 0)
      return {slot, arith::ConstantOp::create(builder, loc, builder.getBoolAttr(!end))};
    Value limit = arith::ConstantIndexOp::create(builder, loc, *end);
    return {slot, arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, depth, limit)};
  };
  AppendSlot prompt = buildFor(policy.getForRows(/*generated=*/false));
  if (!isPhased(policy))
    return prompt;
  AppendSlot generated = buildFor(policy.getForRows(/*generated=*/true));
  Value isGenerated = buildIsGenerated();
  return {arith::SelectOp::create(builder, loc, isGenerated, generated.slot, prompt.slot),
          arith::SelectOp::create(builder, loc, isGenerated, generated.writes, prompt.writes)};
}

//===----------------------------------------------------------------------===//
// own
//===----------------------------------------------------------------------===//

static bool fillsAll(MissingMode mode) { return mode == MissingMode::Propagate || mode == MissingMode::Compute; }

SlotRule OwnAttr::getSlotRule() const { return {SlotRule::Own}; }

LookUp OwnAttr::getLookUp() const {
  switch (getMissing()) {
  case MissingMode::Slot0:
    return LookUp::ElseFirst;
  case MissingMode::CopyLast:
    return LookUp::NewestAtMost;
  case MissingMode::Skip:
  case MissingMode::Propagate:
  case MissingMode::Compute:
    return LookUp::Exact;
  }
  llvm_unreachable("enumeration covered");
}

std::optional<MissingMode> OwnAttr::getMissingMode() const { return getMissing(); }
std::optional<ExitScope> OwnAttr::findExitScope() const { return getExitScope(); }

bool OwnAttr::allowsMissing(MissingMode mode) const {
  return mode == getMissing() || mode == MissingMode::Compute || llvm::is_contained(getAllowed(), mode);
}

KVPolicyAttrInterface OwnAttr::withMissing(MissingMode mode) const {
  return OwnAttr::get(getContext(), mode, getAllowed(), getExitScope());
}

int64_t OwnAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return fillsAll(getMissing()) ? firstOf(rowsPerDepth) * static_cast<int64_t>(rowsPerDepth.size())
                                : sumOf(rowsPerDepth);
}

std::string OwnAttr::getFormula() const { return fillsAll(getMissing()) ? "n(0) * R" : "sum over d < R of n(d)"; }

//===----------------------------------------------------------------------===//
// first
//===----------------------------------------------------------------------===//

SlotRule FirstAttr::getSlotRule() const { return {SlotRule::First}; }
LookUp FirstAttr::getLookUp() const { return LookUp::First; }
std::optional<MissingMode> FirstAttr::getMissingMode() const { return std::nullopt; }
bool FirstAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface FirstAttr::withMissing(MissingMode) const { return *this; }
int64_t FirstAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return firstOf(rowsPerDepth); }
std::string FirstAttr::getFormula() const { return "n(0)"; }

//===----------------------------------------------------------------------===//
// first_then_shared, ring, last: depths share slots
//===----------------------------------------------------------------------===//

SlotRule FirstThenSharedAttr::getSlotRule() const { return {SlotRule::Shared, getSlots(), toArtefact(getOrder())}; }
LookUp FirstThenSharedAttr::getLookUp() const { return LookUp::Exact; }
std::optional<MissingMode> FirstThenSharedAttr::getMissingMode() const { return std::nullopt; }
bool FirstThenSharedAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface FirstThenSharedAttr::withMissing(MissingMode) const { return *this; }
int64_t FirstThenSharedAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return sumOfSlots(rowsPerDepth, getSlots());
}
std::string FirstThenSharedAttr::getFormula() const {
  return "sum over d < min(R, " + std::to_string(getSlots()) + ") of n(d)";
}
LogicalResult FirstThenSharedAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t slots, RowOrder order) {
  return failure(failed(verifySlots(emitError, getMnemonic(), slots)) ||
                 failed(verifyOverwriting(emitError, getMnemonic(), order)));
}

SlotRule RingAttr::getSlotRule() const { return {SlotRule::Ring, getSlots(), toArtefact(getOrder())}; }
LookUp RingAttr::getLookUp() const { return LookUp::Exact; }
std::optional<MissingMode> RingAttr::getMissingMode() const { return std::nullopt; }
bool RingAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface RingAttr::withMissing(MissingMode) const { return *this; }
int64_t RingAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return sumOfSlots(rowsPerDepth, getSlots()); }
std::string RingAttr::getFormula() const { return "sum over d < min(R, " + std::to_string(getSlots()) + ") of n(d)"; }
LogicalResult RingAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t slots, RowOrder order) {
  return failure(failed(verifySlots(emitError, getMnemonic(), slots)) ||
                 failed(verifyOverwriting(emitError, getMnemonic(), order)));
}

SlotRule LastAttr::getSlotRule() const { return {SlotRule::Shared, 1, toArtefact(getOrder())}; }
LookUp LastAttr::getLookUp() const { return LookUp::First; }
std::optional<MissingMode> LastAttr::getMissingMode() const { return std::nullopt; }
bool LastAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface LastAttr::withMissing(MissingMode) const { return *this; }
int64_t LastAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return firstOf(rowsPerDepth); }
std::string LastAttr::getFormula() const { return "n(0)"; }
LogicalResult LastAttr::verify(function_ref<InFlightDiagnostic()> emitError, RowOrder order) {
  return verifyOverwriting(emitError, getMnemonic(), order);
}

//===----------------------------------------------------------------------===//
// latest, union: own slots, other look-ups
//===----------------------------------------------------------------------===//

SlotRule LatestAttr::getSlotRule() const { return {SlotRule::Own}; }
LookUp LatestAttr::getLookUp() const { return LookUp::NewestAtMost; }
std::optional<MissingMode> LatestAttr::getMissingMode() const { return std::nullopt; }
bool LatestAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface LatestAttr::withMissing(MissingMode) const { return *this; }
int64_t LatestAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return sumOf(rowsPerDepth); }
std::string LatestAttr::getFormula() const { return "sum over d < R of n(d)"; }

SlotRule UnionAttr::getSlotRule() const { return {SlotRule::Own}; }
LookUp UnionAttr::getLookUp() const { return LookUp::AllAtMost; }
std::optional<MissingMode> UnionAttr::getMissingMode() const { return std::nullopt; }
bool UnionAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface UnionAttr::withMissing(MissingMode) const { return *this; }
int64_t UnionAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return sumOf(rowsPerDepth); }
std::string UnionAttr::getFormula() const { return "sum over d < R of n(d)"; }

//===----------------------------------------------------------------------===//
// phased: bounds are the larger of both
//===----------------------------------------------------------------------===//

KVPolicyAttrInterface PhasedAttr::getForRows(bool generated) const { return generated ? getGenerated() : getPrompt(); }
SlotRule PhasedAttr::getSlotRule() const { return getPrompt().getSlotRule(); }
LookUp PhasedAttr::getLookUp() const { return getPrompt().getLookUp(); }
std::optional<MissingMode> PhasedAttr::getMissingMode() const { return std::nullopt; }
bool PhasedAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface PhasedAttr::withMissing(MissingMode) const { return *this; }
std::optional<ExitScope> PhasedAttr::findExitScope() const { return getPrompt().findExitScope(); }
int64_t PhasedAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return std::max(getPrompt().getLiveEntries(rowsPerDepth), getGenerated().getLiveEntries(rowsPerDepth));
}
std::string PhasedAttr::getFormula() const {
  return "prompt rows: " + getPrompt().getFormula() + "; generated rows: " + getGenerated().getFormula();
}
LogicalResult PhasedAttr::verify(function_ref<InFlightDiagnostic()> emitError, KVPolicyAttrInterface prompt,
                                 KVPolicyAttrInterface generated) {
  for (KVPolicyAttrInterface part : {prompt, generated}) {
    if (isa<PhasedAttr>(part))
      return emitError() << "a part of KV policy 'phased' is phased itself, expected a policy that is the same for all "
                            "rows";
    auto own = dyn_cast<OwnAttr>(part);
    if (own && own.getMissing() == MissingMode::Compute)
      return emitError() << "a part of KV policy 'phased' says missing = compute, which is a choice of the caller";
    if (own && !own.getAllowed().empty())
      return emitError() << "a part of KV policy 'phased' allows missing modes, but callers have no choice there";
  }
  if (generated.findExitScope() == ExitScope::Generated)
    return emitError()
           << "the generated part of KV policy 'phased' has an exit scope, which belongs to the prompt part";
  return success();
}
