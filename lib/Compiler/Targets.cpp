// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one place that names kinds of targets; everything else asks the registry.

#include "lariat/Compiler/Targets.h"

#include "lariat/Support/Error.h"
#include "lariat/Target/CPU/Targets.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace lariat;

TargetRegistry &lariat::getTargetRegistry() {
  static TargetRegistry registry = [] {
    TargetRegistry all;
    registerCPUTargets(all);
    return all;
  }();
  return registry;
}

FailureOr<const Target *> lariat::findTarget(ModuleOp module, StringRef name) {
  if (const Target *target = getTargetRegistry().find(name))
    return target;
  return emitError(module.getLoc()) << "target is '" << name << "', which is not in the table of targets";
}

/// All targets whose code runs on machines of this kind; the list is best first.
static SmallVector<const Target *> listHostTargets() {
  SmallVector<const Target *> targets;
  for (const auto &target : getTargetRegistry().getAll())
    if (target->isForHost())
      targets.push_back(target.get());
  return targets;
}

llvm::Expected<SmallVector<const Target *>> lariat::selectTargets(StringRef choice) {
  SmallVector<const Target *> known = listHostTargets(), chosen;
  std::string list;
  for (const Target *target : known)
    list += (target->getName() + ", ").str();
  SmallVector<StringRef> words;
  choice.split(words, ',');
  for (StringRef word : words) {
    word = word.trim();
    if (word == "all" || choice.empty())
      return known;
    const auto *it = llvm::find_if(
        known, [&](const Target *target) { return word == "native" ? target->runsHere() : word == target->getName(); });
    if (it == known.end() && word == "native")
      return makeError("this machine runs none of the targets " + StringRef(list).drop_back(2));
    if (it == known.end())
      return makeError("option --target is '" + word + "', expected " + list + "native or all");
    if (!llvm::is_contained(chosen, *it))
      chosen.push_back(*it);
  }
  llvm::sort(chosen, [&](const Target *a, const Target *b) { return llvm::find(known, a) < llvm::find(known, b); });
  return chosen;
}

static void print(const Target &target, llvm::raw_ostream &os) {
  target.print(os);
  os << "  sums: ";
  llvm::interleaveComma(target.getSums(), os, [&](const Sum &sum) {
    os << kernel::stringifySumKind(sum.kind);
    if (sum.size)
      os << " of " << sum.size;
  });
  os << '\n';
}

llvm::Error lariat::printTargets(StringRef name, llvm::raw_ostream &os) {
  if (name == "native") {
    llvm::Expected<SmallVector<const Target *>> best = selectTargets(name);
    if (!best)
      return best.takeError();
    print(*best->front(), os);
    return llvm::Error::success();
  }
  std::string list;
  bool isKnown = name.empty();
  for (const auto &target : getTargetRegistry().getAll()) {
    list += (target->getName() + ", ").str();
    isKnown |= target->getName() == name;
  }
  if (!isKnown)
    return makeError("option --print-target is '" + name + "', expected " + StringRef(list).drop_back(2) +
                     " or native");
  for (const auto &target : getTargetRegistry().getAll())
    if (name.empty() || target->getName() == name)
      print(*target, os);
  return llvm::Error::success();
}
