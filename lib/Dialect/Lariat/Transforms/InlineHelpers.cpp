// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts the bodies of helper functions in place of their calls.
//   before:  func @f(%x) { y = g(x); return y }; func @forward(%x) { z = call @f(%x) }
//   after:   func @forward(%x) { z = g(x) }
// Callees are flattened before they are copied, so each function is gone through once. A label that a helper introduces
// is renamed in every copy: a label names one set of a function.

#include "RowSets.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/DenseSet.h"

#define DEBUG_TYPE "lariat-inline-helpers"

namespace lariat {
#define GEN_PASS_DEF_INLINEHELPERSPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

constexpr size_t kMaxNesting = 256;
constexpr int64_t kMaxOps = 1'000'000;

/// Inlines the calls of one function after those of the functions it calls.
class Inliner {
public:
  explicit Inliner(ModuleOp module) : symbols(module), labels(module) {}

  LogicalResult flatten(func::FuncOp function);
  int64_t getNumInlined() const { return numInlined; }

private:
  /// Fails where the call has no body to put in its place.
  LogicalResult check(func::CallOp call, func::FuncOp callee);
  LogicalResult checkCircle(func::CallOp call, func::FuncOp callee);
  void inlineCall(func::CallOp call, func::FuncOp callee);

  SymbolTable symbols;
  LabelPool labels;
  SmallVector<func::FuncOp> nesting;          ///< functions that are being flattened, outermost first
  llvm::DenseMap<Operation *, int64_t> sizes; ///< ops of functions that are flat
  int64_t numInlined = 0;
};

struct InlineHelpersPass : lariat::impl::InlineHelpersPassBase<InlineHelpersPass> {
  using InlineHelpersPassBase::InlineHelpersPassBase;

  void runOnOperation() override;
};

} // namespace

static int64_t countOps(func::FuncOp function) {
  int64_t count = 0;
  function.walk([&](Operation *) { ++count; });
  return count;
}

LogicalResult Inliner::checkCircle(func::CallOp call, func::FuncOp callee) {
  auto *first = llvm::find(nesting, callee);
  if (first == nesting.end())
    return success();
  InFlightDiagnostic diag = call.emitError() << "functions call each other in a circle: ";
  for (func::FuncOp function : llvm::make_range(first, nesting.end()))
    diag << '@' << function.getSymName() << " -> ";
  return diag << '@' << callee.getSymName();
}

LogicalResult Inliner::check(func::CallOp call, func::FuncOp callee) {
  if (!callee)
    return call.emitError() << "'func.call' names @" << call.getCallee() << ", which is no function of the module";
  if (callee.isExternal())
    return call.emitError() << "function @" << callee.getSymName()
                            << " is only declared, but a model calls nothing from outside";
  if (failed(checkCircle(call, callee)))
    return failure();
  if (!llvm::hasSingleElement(callee.getBody()))
    return call.emitError() << "function @" << callee.getSymName() << " has " << llvm::range_size(callee.getBody())
                            << " blocks, expected 1: branch with 'scf.if'";
  if (nesting.size() >= kMaxNesting)
    return call.emitError() << "calls are nested deeper than " << kMaxNesting;
  return success();
}

/// Labels of a function's arguments and results, which its caller knows.
static llvm::DenseSet<StringAttr> collectSignatureLabels(func::FuncOp function) {
  llvm::DenseSet<StringAttr> known;
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes()))
    if (StringAttr label = getRowLabel(type))
      known.insert(label);
  return known;
}

void Inliner::inlineCall(func::CallOp call, func::FuncOp callee) {
  llvm::DenseSet<StringAttr> kept = collectSignatureLabels(callee);
  llvm::DenseMap<StringAttr, StringAttr> renamed;
  auto rename = [&](StringAttr label) -> StringAttr {
    if (!label || kept.contains(label))
      return label;
    StringAttr &fresh = renamed[label];
    if (!fresh)
      fresh = labels.getFresh(label.getValue()).getLabel();
    return fresh;
  };
  AttrTypeReplacer replacer;
  replacer.addReplacement(
      [&](RowsType rows) -> Type { return RowsType::get(rows.getContext(), rename(rows.getLabel())); });
  replacer.addReplacement([&](OfAttr of) -> Attribute { return OfAttr::get(of.getContext(), rename(of.getLabel())); });

  remark::passed(call.getLoc(), remark::RemarkOpts::name("inlined").category(DEBUG_TYPE))
      << ("inlined @" + callee.getSymName()).str();
  OpBuilder builder(call);
  IRMapping mapping;
  mapping.map(callee.getArguments(), call.getOperands());
  Block &body = callee.getBody().front();
  for (Operation &op : body.without_terminator())
    replacer.recursivelyReplaceElementsIn(builder.clone(op, mapping), /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
  for (auto [result, value] : llvm::zip_equal(call.getResults(), body.getTerminator()->getOperands()))
    result.replaceAllUsesWith(mapping.lookup(value));
  call.erase();
  ++numInlined;
}

LogicalResult Inliner::flatten(func::FuncOp function) {
  if (sizes.contains(function))
    return success();
  nesting.push_back(function);
  SmallVector<func::CallOp> calls;
  function.walk([&](func::CallOp call) { calls.push_back(call); });
  int64_t size = countOps(function);
  for (func::CallOp call : calls) {
    auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
    if (failed(check(call, callee)) || failed(flatten(callee)))
      return failure();
    size += sizes.lookup(callee);
    if (size > kMaxOps)
      return call.emitError() << "@" << function.getSymName() << " has more than " << kMaxOps
                              << " ops once its calls are inlined";
    inlineCall(call, callee);
  }
  sizes[function] = size;
  nesting.pop_back();
  return success();
}

void InlineHelpersPass::runOnOperation() {
  auto function = getOperation().lookupSymbol<func::FuncOp>(entry);
  if (!function || function.isExternal())
    return;
  Inliner inliner(getOperation());
  if (failed(inliner.flatten(function)))
    return signalPassFailure();
  numInlined += inliner.getNumInlined();
  for (auto other : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
    if (other != function)
      other.erase();
}
