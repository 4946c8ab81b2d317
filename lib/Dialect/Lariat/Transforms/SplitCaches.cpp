// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gives layers caches of their own where they are not written together.
//   before:  cache @kv layers(2); append @kv[0] at a; attend @kv[1] at a; append @kv[1] at b
//   after:   cache @kv.0 layers(1), @kv.1 layers(1); append @kv.0[0] at a; attend @kv.1[0] at a; append @kv.1[0] at b
// The layers of a cache share the list of what is in it, which is what makes an entry one for all of them. It is true
// of a cache only if each entry gets its keys and values in all layers before any of them is attended to.

#include "lariat/Dialect/Lariat/IR/CacheUse.h"
#include "lariat/Dialect/Lariat/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "lariat-split-caches"

namespace lariat {
#define GEN_PASS_DEF_SPLITCACHESPASS
#include "lariat/Dialect/Lariat/LariatPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct SplitCachesPass : lariat::impl::SplitCachesPassBase<SplitCachesPass> {
  void runOnOperation() override;
};

} // namespace

/// A cache of one layer per layer of `cache`, which they replace.
static void split(CacheOp cache, const CacheUse &use, SymbolTable &symbols) {
  OpBuilder builder(cache);
  SmallVector<FlatSymbolRefAttr> names;
  for (int64_t layer = 0; layer < static_cast<int64_t>(cache.getLayers()); ++layer) {
    auto part = cast<CacheOp>(builder.clone(*cache));
    part.setLayers(1);
    part.setSymName((cache.getSymName() + "." + Twine(layer)).str());
    symbols.insert(part, Block::iterator(cache));
    names.push_back(FlatSymbolRefAttr::get(part.getSymNameAttr()));
  }
  auto redirect = [&](auto op) {
    op.setCacheAttr(names[op.getLayer()]);
    op.setLayer(0);
  };
  llvm::for_each(use.appends, redirect);
  llvm::for_each(use.attends, redirect);
  symbols.erase(cache);
}

void SplitCachesPass::runOnOperation() {
  llvm::StringMap<CacheUse> uses = collectCacheUses(getOperation());
  SymbolTable symbols(getOperation());
  for (auto cache : llvm::make_early_inc_range(getOperation().getOps<CacheOp>())) {
    const CacheUse &use = uses[cache.getSymName()];
    bool isSplit = cache.getLayers() > 1 && findLayerApart(use);
    auto opts = remark::RemarkOpts::name(isSplit ? "split" : "kept").category(DEBUG_TYPE);
    std::string name = ("cache @" + cache.getSymName()).str();
    if (!isSplit && cache.getLayers() > 1)
      remark::analysis(cache.getLoc(), opts) << name + " stays whole: its layers are written together";
    if (!isSplit)
      continue;
    remark::passed(cache.getLoc(), opts) << name + " is split: its layers are not written together";
    split(cache, use, symbols);
    ++numSplit;
  }
}
