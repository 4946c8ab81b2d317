// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many depths memory has for each step of the outermost loop, where loops over depth stand in each other. The key
// of step d in step D of the loop around is D * m + d (lariat-lower-recur), so all uses must agree on the bounds m.

#include "lariat/Compiler/ModelFacts.h"

#include "lariat/Support/Error.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lariat;

namespace {

/// The bounds of the loops around a use of memory, but for the outermost.
struct Nest {
  Operation *op = nullptr;
  SmallVector<int64_t> bounds;
};

} // namespace

/// " (line N)", or nothing.
static std::string describePlace(Operation *op) {
  auto place = op->getLoc()->findInstanceOf<FileLineColLoc>();
  return place ? " (line " + std::to_string(place.getLine()) + ")" : std::string();
}

static llvm::Expected<Nest> describeNest(Operation *op, const Twine &memory) {
  Nest nest{op, {}};
  for (auto loop = op->getParentOfType<RecurOp>(); loop;) {
    auto around = loop->getParentOfType<RecurOp>();
    std::optional<int64_t> bound = around ? getStepBound(loop) : 0;
    if (!bound)
      return makeError(
          memory + " is used in a loop inside of another one" + describePlace(loop) +
          ", whose max is neither constant nor the input 'loops' with a limit: its steps cannot be told apart");
    if (around)
      nest.bounds.insert(nest.bounds.begin(), *bound);
    loop = around;
  }
  return nest;
}

/// The factor of one cache or state from all of its uses.
static llvm::Error addUse(Operation *op, const Twine &memory, Nest &first, int64_t &factor) {
  llvm::Expected<Nest> nest = describeNest(op, memory);
  if (!nest)
    return nest.takeError();
  if (first.op && first.bounds != nest->bounds)
    return makeError(memory + " is used in loops of different nesting" + describePlace(first.op) + " and" +
                     describePlace(op) + ", whose steps would share places: declare one for each");
  first = std::move(*nest);
  uint64_t product = 1;
  for (int64_t bound : first.bounds)
    product = llvm::SaturatingMultiply<uint64_t>(product, bound);
  if (product > static_cast<uint64_t>(kMaxDepth))
    return makeError(memory + " has " + Twine(product) + " depths per step of the outermost loop, expected at most " +
                     Twine(kMaxDepth));
  factor = std::max<int64_t>(1, static_cast<int64_t>(product));
  return llvm::Error::success();
}

llvm::Error lariat::findDepthFactors(ModuleOp module, ModelFacts &facts) {
  llvm::StringMap<Nest> nests;
  llvm::Error error = llvm::Error::success();
  auto note = [&](Operation *op, StringRef name, StringRef kind, int64_t &factor) {
    if (!error)
      error = addUse(op, kind + " @" + name, nests[name], factor);
  };
  auto noteCache = [&](Operation *op, StringRef name) {
    for (CacheFacts &cache : facts.caches)
      if (cache.op.getSymName() == name)
        note(op, name, "cache", cache.depthFactor);
  };
  auto noteState = [&](Operation *op, StringRef name) {
    for (StateFacts &state : facts.states)
      if (state.op.getSymName() == name)
        note(op, name, "state", state.depthFactor);
  };
  module.walk([&](Operation *op) {
    if (auto append = dyn_cast<AppendOp>(op); append && !append.getSlot())
      noteCache(op, append.getCache());
    else if (auto attend = dyn_cast<AttendOp>(op); attend && !attend.getSlot())
      noteCache(op, attend.getCache());
    else if (auto shift = dyn_cast<ShiftOp>(op))
      noteState(op, shift.getState());
    else if (auto scan = dyn_cast<ScanOp>(op))
      noteState(op, scan.getState());
  });
  return error;
}
