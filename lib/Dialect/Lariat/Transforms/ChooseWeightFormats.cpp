// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes `stored` of weights by rules:
//   ffn=bf16:  lariat.weight @up : tensor<32x8xf32> from ...  ->  lariat.weight @up : tensor<32x8xf32> stored <bf16>
//   from ...
// The most special rule decides: a name, then a class, then `*`; of several names the first. So the order of a list
// does not matter otherwise, and a rule that nothing follows is an error rather than a surprise.

#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "lariat/Dialect/Lariat/Transforms/WeightFormats.h"
#include "lariat/Support/Error.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/STLExtras.h"

#define DEBUG_TYPE "lariat-choose-weight-formats"

namespace lariat {
#define GEN_PASS_DEF_CHOOSEWEIGHTFORMATSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

static constexpr WeightClass kClasses[] = {WeightClass::Embed, WeightClass::Head, WeightClass::Attention,
                                           WeightClass::FFN,   WeightClass::Norm, WeightClass::Other};

std::string lariat::listWeightFormats() {
  std::string list;
  for (uint32_t number = 0; auto format = symbolizeStoredFormat(number); ++number) {
    bool isLast = number == getMaxEnumValForStoredFormat();
    list += (number == 0 ? "" : isLast ? " or " : ", ") + stringifyStoredFormat(*format).str();
  }
  return list;
}

static llvm::Expected<WeightFormatRule> parseRule(StringRef text) {
  bool hasSelector = text.contains('=');
  StringRef selector = hasSelector ? text.split('=').first.trim() : "*";
  StringRef format = hasSelector ? text.split('=').second.trim() : text;
  WeightFormatRule rule;
  rule.text = text.str();
  std::optional<StoredFormat> found = symbolizeStoredFormat(format);
  if (!found)
    return makeError("'" + format + "' is no format of weights, expected " + listWeightFormats());
  rule.format = *found;
  if (selector == "*")
    return rule;
  if (selector.consume_front("@")) {
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(selector);
    if (!pattern)
      return makeError("rule '" + text + "' has a pattern that is none: " + toString(pattern.takeError()));
    rule.name = std::move(*pattern);
    return rule;
  }
  const auto *it =
      llvm::find_if(kClasses, [&](WeightClass weightClass) { return stringifyWeightClass(weightClass) == selector; });
  if (it == std::end(kClasses)) {
    std::string classes;
    for (WeightClass weightClass : kClasses)
      classes += stringifyWeightClass(weightClass).str() + ", ";
    return makeError("rule '" + text + "' is for '" + selector + "', expected " + classes + "@NAME or *");
  }
  rule.weightClass = *it;
  return rule;
}

llvm::Expected<SmallVector<WeightFormatRule>> lariat::parseWeightFormats(StringRef rules) {
  SmallVector<WeightFormatRule> result;
  SmallVector<StringRef> texts;
  rules.split(texts, ',');
  for (StringRef text : texts) {
    llvm::Expected<WeightFormatRule> rule = parseRule(text.trim());
    if (!rule)
      return rule.takeError();
    auto isSame = [&](const WeightFormatRule &other) {
      return !rule->name && !other.name && other.weightClass == rule->weightClass;
    };
    const auto *same = llvm::find_if(result, isSame);
    if (same != result.end())
      return makeError("rules '" + same->text + "' and '" + rule->text + "' are for the same weights");
    result.push_back(std::move(*rule));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {

struct ChooseWeightFormatsPass : lariat::impl::ChooseWeightFormatsPassBase<ChooseWeightFormatsPass> {
  using ChooseWeightFormatsPassBase::ChooseWeightFormatsPassBase;

  void runOnOperation() override;
};

} // namespace

/// The rules of a list that decide about one weight: one, or none, or those of its classes, whose formats differ.
static SmallVector<const WeightFormatRule *> findDeciding(ArrayRef<WeightFormatRule> rules, WeightOp weight,
                                                          const llvm::SmallSet<WeightClass, 2> &classes,
                                                          llvm::DenseSet<const WeightFormatRule *> &matched) {
  SmallVector<const WeightFormatRule *> named, classed, forAll;
  for (const WeightFormatRule &rule : rules) {
    bool isNamed = rule.name && rule.name->match(weight.getSymName());
    bool isClassed = rule.weightClass && classes.contains(*rule.weightClass);
    if (isNamed || isClassed || rule.isForAll())
      (isNamed ? named : isClassed ? classed : forAll).push_back(&rule);
  }
  for (const WeightFormatRule *rule : llvm::concat<const WeightFormatRule *>(named, classed))
    matched.insert(rule);
  if (!named.empty())
    return {named.front()};
  if (classed.empty())
    return forAll;
  bool agree =
      llvm::all_of(classed, [&](const WeightFormatRule *rule) { return rule->format == classed.front()->format; });
  return agree ? SmallVector<const WeightFormatRule *>{classed.front()} : classed;
}

void ChooseWeightFormatsPass::runOnOperation() {
  ModuleOp module = getOperation();
  llvm::Expected<SmallVector<WeightFormatRule>> parsed = parseWeightFormats(rules);
  if (!parsed) {
    module.emitError() << toString(parsed.takeError());
    return signalPassFailure();
  }
  llvm::DenseSet<const WeightFormatRule *> matched;
  for (auto &[op, classes] : classifyWeights(module)) {
    auto weight = cast<WeightOp>(op);
    SmallVector<const WeightFormatRule *> deciding = findDeciding(*parsed, weight, classes, matched);
    if (deciding.size() > 1) {
      weight.emitOpError() << "is of two classes, and rules '" << deciding[0]->text << "' and '" << deciding[1]->text
                           << "' disagree about it, expected a rule for its name, such as '@" << weight.getSymName()
                           << "=" << stringifyStoredFormat(deciding[1]->format) << "'";
      return signalPassFailure();
    }
    auto say = [&](bool isChosen) {
      return remark::RemarkOpts::name(isChosen ? "chosen" : "kept").category(DEBUG_TYPE);
    };
    std::string name = ("weight @" + weight.getSymName()).str();
    if (deciding.empty()) {
      remark::missed(weight.getLoc(), say(false)) << name + " keeps its format: no rule is for it";
      continue;
    }
    weight.setStoredAttr(StoredAttr::get(&getContext(), deciding.front()->format));
    remark::passed(weight.getLoc(), say(true)) << name + " is stored as rule '" + deciding.front()->text + "' says";
    numRounded += weight.getStored().getFormat() != StoredFormat::F32;
  }
  for (const WeightFormatRule &rule : *parsed)
    if (!rule.isForAll() && !matched.contains(&rule)) {
      module.emitError() << "rule '" << rule.text << "' is for no weight of the model";
      return signalPassFailure();
    }
}
