// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What each KV policy means: slots, append slot, look-up, memory, order. dialects/Lariat/README.md has the same as a
// table. A policy whose result depends on the order in which rows run is declared but not built yet.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace mlir;
using namespace lariat;

static AppendSlot always(OpBuilder &builder, Location loc, Value slot) {
  return {slot, arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true))};
}

static Value indexConstant(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

static int64_t sumOf(ArrayRef<int64_t> values) { return std::accumulate(values.begin(), values.end(), int64_t(0)); }

/// Why a policy that overwrites slots cannot run yet; empty where each depth has a slot of its own after all.
static std::string notBuiltUnlessOwn(StringRef name, int64_t slots, int64_t maxDepth) {
  if (maxDepth > 0 && slots >= maxDepth)
    return {};
  return ("KV policy '" + name + "' with fewer slots than depths is not built yet").str();
}

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
// own
//===----------------------------------------------------------------------===//

int64_t OwnAttr::getNumSlots(int64_t maxDepth) const { return maxDepth; }

AppendSlot OwnAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  return always(builder, loc, depth);
}

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

bool OwnAttr::allowsMissing(MissingMode mode) const {
  return mode == getMissing() || mode == MissingMode::Compute || llvm::is_contained(getAllowed(), mode);
}

KVPolicyAttrInterface OwnAttr::withMissing(MissingMode mode) const {
  return OwnAttr::get(getContext(), mode, getAllowed(), getExitScope());
}

RowOrder OwnAttr::getRowOrder(int64_t) const { return RowOrder::Free; }

int64_t OwnAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  bool filled = getMissing() == MissingMode::Propagate || getMissing() == MissingMode::Compute;
  if (!filled)
    return sumOf(rowsPerDepth);
  return rowsPerDepth.empty() ? 0 : rowsPerDepth.front() * static_cast<int64_t>(rowsPerDepth.size());
}

std::string OwnAttr::getFormula() const {
  bool filled = getMissing() == MissingMode::Propagate || getMissing() == MissingMode::Compute;
  return filled ? "n(0) * R" : "sum over d < R of n(d)";
}

std::string OwnAttr::getNotBuiltReason(int64_t) const {
  return getExitScope() == ExitScope::All ? "" : "exit_scope = generated is not built yet";
}

//===----------------------------------------------------------------------===//
// first
//===----------------------------------------------------------------------===//

int64_t FirstAttr::getNumSlots(int64_t) const { return 1; }

AppendSlot FirstAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  Value zero = indexConstant(builder, loc, 0);
  return {zero, arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, depth, zero)};
}

LookUp FirstAttr::getLookUp() const { return LookUp::First; }
std::optional<MissingMode> FirstAttr::getMissingMode() const { return std::nullopt; }
bool FirstAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface FirstAttr::withMissing(MissingMode) const { return *this; }
RowOrder FirstAttr::getRowOrder(int64_t) const { return RowOrder::Free; }
int64_t FirstAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return rowsPerDepth.empty() ? 0 : rowsPerDepth.front();
}
std::string FirstAttr::getFormula() const { return "n(0)"; }
std::string FirstAttr::getNotBuiltReason(int64_t) const { return {}; }

//===----------------------------------------------------------------------===//
// first_then_shared, ring, last: depths share slots
//===----------------------------------------------------------------------===//

int64_t FirstThenSharedAttr::getNumSlots(int64_t maxDepth) const { return std::min(getSlots(), maxDepth); }

AppendSlot FirstThenSharedAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  Value last = indexConstant(builder, loc, getSlots() - 1);
  return always(builder, loc, arith::MinSIOp::create(builder, loc, depth, last));
}

LookUp FirstThenSharedAttr::getLookUp() const { return LookUp::Exact; }
std::optional<MissingMode> FirstThenSharedAttr::getMissingMode() const { return std::nullopt; }
bool FirstThenSharedAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface FirstThenSharedAttr::withMissing(MissingMode) const { return *this; }
RowOrder FirstThenSharedAttr::getRowOrder(int64_t maxDepth) const {
  return getSlots() >= maxDepth ? RowOrder::Free : getOrder();
}
int64_t FirstThenSharedAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return sumOf(rowsPerDepth.take_front(getSlots()));
}
std::string FirstThenSharedAttr::getFormula() const {
  return "sum over d < min(R, " + std::to_string(getSlots()) + ") of n(d)";
}
std::string FirstThenSharedAttr::getNotBuiltReason(int64_t maxDepth) const {
  return notBuiltUnlessOwn(getMnemonic(), getSlots(), maxDepth);
}
LogicalResult FirstThenSharedAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t slots, RowOrder order) {
  return failure(failed(verifySlots(emitError, getMnemonic(), slots)) ||
                 failed(verifyOverwriting(emitError, getMnemonic(), order)));
}

int64_t RingAttr::getNumSlots(int64_t maxDepth) const { return std::min(getSlots(), maxDepth); }

AppendSlot RingAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  Value slots = indexConstant(builder, loc, getSlots());
  return always(builder, loc, arith::RemUIOp::create(builder, loc, depth, slots));
}

LookUp RingAttr::getLookUp() const { return LookUp::Exact; }
std::optional<MissingMode> RingAttr::getMissingMode() const { return std::nullopt; }
bool RingAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface RingAttr::withMissing(MissingMode) const { return *this; }
RowOrder RingAttr::getRowOrder(int64_t maxDepth) const { return getSlots() >= maxDepth ? RowOrder::Free : getOrder(); }
int64_t RingAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return sumOf(rowsPerDepth.take_front(getSlots()));
}
std::string RingAttr::getFormula() const { return "sum over d < min(R, " + std::to_string(getSlots()) + ") of n(d)"; }
std::string RingAttr::getNotBuiltReason(int64_t maxDepth) const {
  return notBuiltUnlessOwn(getMnemonic(), getSlots(), maxDepth);
}
LogicalResult RingAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t slots, RowOrder order) {
  return failure(failed(verifySlots(emitError, getMnemonic(), slots)) ||
                 failed(verifyOverwriting(emitError, getMnemonic(), order)));
}

int64_t LastAttr::getNumSlots(int64_t) const { return 1; }

AppendSlot LastAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value) const {
  return always(builder, loc, indexConstant(builder, loc, 0));
}

LookUp LastAttr::getLookUp() const { return LookUp::First; }
std::optional<MissingMode> LastAttr::getMissingMode() const { return std::nullopt; }
bool LastAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface LastAttr::withMissing(MissingMode) const { return *this; }
RowOrder LastAttr::getRowOrder(int64_t maxDepth) const { return maxDepth == 1 ? RowOrder::Free : getOrder(); }
int64_t LastAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return rowsPerDepth.empty() ? 0 : rowsPerDepth.front();
}
std::string LastAttr::getFormula() const { return "n(0)"; }
std::string LastAttr::getNotBuiltReason(int64_t maxDepth) const {
  return notBuiltUnlessOwn(getMnemonic(), 1, maxDepth);
}
LogicalResult LastAttr::verify(function_ref<InFlightDiagnostic()> emitError, RowOrder order) {
  return verifyOverwriting(emitError, getMnemonic(), order);
}

//===----------------------------------------------------------------------===//
// latest, union: own slots, other look-ups
//===----------------------------------------------------------------------===//

int64_t LatestAttr::getNumSlots(int64_t maxDepth) const { return maxDepth; }
AppendSlot LatestAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  return always(builder, loc, depth);
}
LookUp LatestAttr::getLookUp() const { return LookUp::NewestAtMost; }
std::optional<MissingMode> LatestAttr::getMissingMode() const { return std::nullopt; }
bool LatestAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface LatestAttr::withMissing(MissingMode) const { return *this; }
RowOrder LatestAttr::getRowOrder(int64_t) const { return RowOrder::Free; }
int64_t LatestAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return sumOf(rowsPerDepth); }
std::string LatestAttr::getFormula() const { return "sum over d < R of n(d)"; }
std::string LatestAttr::getNotBuiltReason(int64_t) const { return {}; }

int64_t UnionAttr::getNumSlots(int64_t maxDepth) const { return maxDepth; }
AppendSlot UnionAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  return always(builder, loc, depth);
}
LookUp UnionAttr::getLookUp() const { return LookUp::AllAtMost; }
std::optional<MissingMode> UnionAttr::getMissingMode() const { return std::nullopt; }
bool UnionAttr::allowsMissing(MissingMode) const { return false; }
KVPolicyAttrInterface UnionAttr::withMissing(MissingMode) const { return *this; }
RowOrder UnionAttr::getRowOrder(int64_t) const { return RowOrder::Free; }
int64_t UnionAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const { return sumOf(rowsPerDepth); }
std::string UnionAttr::getFormula() const { return "sum over d < R of n(d)"; }
std::string UnionAttr::getNotBuiltReason(int64_t) const { return {}; }

//===----------------------------------------------------------------------===//
// phased: the larger of two is the bound
//===----------------------------------------------------------------------===//

int64_t PhasedAttr::getNumSlots(int64_t maxDepth) const {
  return std::max(getPrompt().getNumSlots(maxDepth), getGenerated().getNumSlots(maxDepth));
}
AppendSlot PhasedAttr::buildAppendSlot(OpBuilder &builder, Location loc, Value depth) const {
  return getPrompt().buildAppendSlot(builder, loc, depth);
}
LookUp PhasedAttr::getLookUp() const { return getPrompt().getLookUp(); }
std::optional<MissingMode> PhasedAttr::getMissingMode() const { return getGenerated().getMissingMode(); }
bool PhasedAttr::allowsMissing(MissingMode mode) const { return getGenerated().allowsMissing(mode); }
KVPolicyAttrInterface PhasedAttr::withMissing(MissingMode mode) const {
  return PhasedAttr::get(getContext(), getPrompt(), getGenerated().withMissing(mode));
}
RowOrder PhasedAttr::getRowOrder(int64_t maxDepth) const {
  return std::max(getPrompt().getRowOrder(maxDepth), getGenerated().getRowOrder(maxDepth));
}
int64_t PhasedAttr::getLiveEntries(ArrayRef<int64_t> rowsPerDepth) const {
  return std::max(getPrompt().getLiveEntries(rowsPerDepth), getGenerated().getLiveEntries(rowsPerDepth));
}
std::string PhasedAttr::getFormula() const {
  return "prompt rows: " + getPrompt().getFormula() + "; generated rows: " + getGenerated().getFormula();
}
std::string PhasedAttr::getNotBuiltReason(int64_t) const { return "KV policy 'phased' is not built yet"; }
