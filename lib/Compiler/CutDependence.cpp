// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each attend is compared with each append to the same layer. Depths are symbolic: so many steps past that of a loop,
// or past 0. Slots that are given by hand are computed for every step of the loops around, where those are constant.

#include "lariat/Compiler/CutDependence.h"

#include "lariat/Dialect/Lariat/IR/CacheUse.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/TypeSwitch.h"

#include <optional>

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Depths
//===----------------------------------------------------------------------===//

namespace {

/// `offset` steps past the depth of a step of `loop`, or past 0 without one.
struct Depth {
  Operation *loop;
  int64_t offset;
};

} // namespace

static std::optional<Depth> traceDepth(Value rows) {
  int64_t offset = 0;
  while (true) {
    if (auto argument = dyn_cast<BlockArgument>(rows)) {
      Operation *parent = argument.getOwner()->getParentOp();
      if (auto topK = dyn_cast<TopKOp>(parent)) {
        rows = topK.getFrom();
        continue;
      }
      if (isa<RecurOp>(parent))
        return Depth{parent, offset};
      return isa<func::FuncOp>(parent) ? std::optional(Depth{nullptr, offset}) : std::nullopt;
    }
    Operation *op = rows.getDefiningOp();
    if (auto advance = dyn_cast<AdvanceOp>(op)) {
      APInt depth;
      if (!advance.getTo())
        ++offset;
      else if (matchPattern(advance.getTo(), m_ConstantInt(&depth)))
        return Depth{nullptr, depth.getSExtValue() + offset};
      else
        return std::nullopt;
      rows = advance.getFrom();
    } else if (auto choice = dyn_cast<RowChoiceOpInterface>(op)) {
      rows = choice.getFrom();
    } else {
      return std::nullopt;
    }
  }
}

/// Whether an attend at depth `reading` may show what an append at depth `writing` leaves, in the same steps of all
/// loops.
static bool mayShow(KVPolicyAttrInterface policy, Depth writing, Depth reading) {
  if (writing.loop != reading.loop)
    return true;
  bool mayBeFirst = writing.loop ? writing.offset <= 0 : writing.offset == 0;
  switch (policy.getSlotRule().kind) {
  case SlotRule::First:
    return mayBeFirst;
  case SlotRule::Shared:
  case SlotRule::Ring:
    return true;
  case SlotRule::Own:
    break;
  }
  switch (policy.getLookUp()) {
  case LookUp::Exact:
    return writing.offset == reading.offset;
  case LookUp::ElseFirst:
    return writing.offset == reading.offset || mayBeFirst;
  case LookUp::First:
    return mayBeFirst;
  case LookUp::NewestAtMost:
  case LookUp::AllAtMost:
    return writing.offset <= reading.offset;
  }
  llvm_unreachable("enumeration covered");
}

/// As `mayShow`, of an append in a later step of the loop over depth whose steps both depths count. Depths that share a
/// slot are what the order of the policy speaks of.
static bool mayShowLater(KVPolicyAttrInterface policy, Depth writing, Depth reading) {
  if (writing.loop != reading.loop || !writing.loop)
    return mayShow(policy, writing, reading);
  switch (policy.getSlotRule().kind) {
  case SlotRule::First:
    return writing.offset < 0;
  case SlotRule::Shared:
  case SlotRule::Ring:
    return writing.offset != reading.offset;
  case SlotRule::Own:
    return writing.offset < reading.offset;
  }
  llvm_unreachable("enumeration covered");
}

//===----------------------------------------------------------------------===//
// Explicit slots
//===----------------------------------------------------------------------===//

namespace {

/// When an op runs, comparable with other times of the function, and the slot that it names then.
struct Event {
  SmallVector<int64_t> time;
  int64_t slot;
};

/// Runs the constant loops around an op.
class Events {
public:
  /// Nothing where a loop or the slot is not constant, or there are too many.
  static std::optional<std::vector<Event>> list(Operation *op, Value slot);

private:
  static constexpr size_t kMaxEvents = 512;

  Events(ArrayRef<Operation *> path, Value slot) : path(path), slot(slot) {}
  bool run(size_t level);
  std::optional<int64_t> evaluate(Value value) const;

  ArrayRef<Operation *> path; ///< from the function's body to the op
  Value slot;
  llvm::DenseMap<Value, int64_t> known;
  SmallVector<int64_t> time;
  std::vector<Event> events;
};

} // namespace

std::optional<int64_t> Events::evaluate(Value value) const {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumOperands() == 0 || op->getNumOperands() > 2)
    return std::nullopt;
  std::optional<int64_t> left = evaluate(op->getOperand(0)),
                         right = op->getNumOperands() == 2 ? evaluate(op->getOperand(1)) : 0;
  if (!left || !right)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(op)
      .Case([&](arith::AddIOp) { return std::optional(*left + *right); })
      .Case([&](arith::SubIOp) { return std::optional(*left - *right); })
      .Case([&](arith::MulIOp) { return std::optional(*left * *right); })
      .Case([&](arith::IndexCastOp) { return left; })
      .Default(std::nullopt);
}

bool Events::run(size_t level) {
  Operation *op = path[level];
  time.push_back(std::distance(op->getBlock()->begin(), op->getIterator()));
  llvm::scope_exit restore([&] { time.pop_back(); });
  if (level + 1 == path.size()) {
    std::optional<int64_t> at = evaluate(slot);
    if (!at || events.size() == kMaxEvents)
      return false;
    events.push_back({time, *at});
    return true;
  }
  auto loop = dyn_cast<scf::ForOp>(op);
  if (!loop)
    return false;
  std::optional<int64_t> from = evaluate(loop.getLowerBound()), to = evaluate(loop.getUpperBound()),
                         step = evaluate(loop.getStep());
  if (!from || !to || !step || *step <= 0)
    return false;
  for (int64_t number = *from; number < *to; number += *step) {
    known[loop.getInductionVar()] = number;
    time.push_back(number);
    bool done = run(level + 1);
    time.pop_back();
    if (!done)
      return false;
  }
  return true;
}

std::optional<std::vector<Event>> Events::list(Operation *op, Value slot) {
  SmallVector<Operation *> path;
  for (; op && !isa<func::FuncOp>(op); op = op->getParentOp())
    path.insert(path.begin(), op);
  Events events(path, slot);
  if (!events.run(0))
    return std::nullopt;
  return std::move(events.events);
}

/// Whether an append to a slot by hand may run behind an attend to the same one.
static bool mayFollow(AppendOp append, AttendOp attend) {
  if (!append.getSlot() || !attend.getSlot())
    return true;
  auto written = Events::list(append, append.getSlot()), read = Events::list(attend, attend.getSlot());
  if (!written || !read)
    return true;
  return llvm::any_of(*written, [&](const Event &write) {
    return llvm::any_of(*read, [&](const Event &event) { return event.slot == write.slot && event.time < write.time; });
  });
}

//===----------------------------------------------------------------------===//
// Order of two ops
//===----------------------------------------------------------------------===//

namespace {

/// How an append and an attend of one function may follow each other.
struct Order {
  bool isLaterInStep = false; ///< the append stands behind the attend
  RecurOp depthLoop;          ///< the innermost loop over depth around both
  bool isInOtherLoop = false; ///< a loop that is not over depth holds both
};

} // namespace

static Order findOrder(AppendOp append, AttendOp attend) {
  Order order;
  Operation *common = nullptr;
  for (Block *block = attend->getBlock(); block; block = block->getParentOp()->getBlock()) {
    Operation *write = block->findAncestorOpInBlock(*append), *read = block->findAncestorOpInBlock(*attend);
    if (!write)
      continue;
    order.isLaterInStep = read->isBeforeInBlock(write);
    // Regions of one op: a fill runs before its body, and of branches only one does.
    common = write == read ? read : block->getParentOp();
    break;
  }
  for (; common && !isa<func::FuncOp>(common); common = common->getParentOp()) {
    if (auto loop = dyn_cast<RecurOp>(common))
      order.depthLoop = order.depthLoop ? order.depthLoop : loop;
    else
      order.isInOtherLoop |= isa<LoopLikeOpInterface>(common);
  }
  return order;
}

/// Whether an append may run behind an attend of its call that would have shown what it leaves.
static bool isMissed(AppendOp append, AttendOp attend, KVPolicyAttrInterface policy) {
  Order order = findOrder(append, attend);
  bool mayRunBehind = order.isLaterInStep || order.depthLoop || order.isInOtherLoop;
  if (append.getSlot() || attend.getSlot())
    return mayRunBehind && mayFollow(append, attend);
  std::optional<Depth> writing = traceDepth(append.getAt()), reading = traceDepth(attend.getAt());
  if (!writing || !reading)
    return mayRunBehind;
  if ((order.isLaterInStep || order.isInOtherLoop) && mayShow(policy, *writing, *reading))
    return true;
  return order.depthLoop && mayShowLater(policy, *writing, *reading);
}

static std::string describe(AttendOp attend, StringRef why) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "an attend to layer " << attend.getLayer() << " of cache @" << attend.getCache();
  if (auto place = attend.getLoc()->findInstanceOf<FileLineColLoc>())
    os << " (line " << place.getLine() << ")";
  os << ' ' << why;
  return text;
}

std::string lariat::findCutDependence(ModuleOp module) {
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>())
    for (const auto &[name, use] : collectCacheUses(function)) {
      KVPolicyAttrInterface policy = symbols.lookup<CacheOp>(name).getPolicy();
      for (AttendOp attend : use.attends) {
        if (attend.getMask().getKind() == MaskKind::Full)
          return describe(attend, "sees rows behind its own");
        for (AppendOp append : use.appends)
          if (append.getLayer() == attend.getLayer())
            for (bool generated : {false, true})
              if (isMissed(append, attend, policy.getForRows(generated)))
                return describe(attend, "comes before an append of what it shows");
      }
    }
  return {};
}
