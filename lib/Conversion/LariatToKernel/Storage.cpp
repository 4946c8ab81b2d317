// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares what lies in weights.bin. Names follow from content, so that equal data is declared once.

#include "Forming.h"

#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

Storage::Storage(ModuleOp source, ModuleOp target, Type weightType)
    : source(source), target(target), weightType(weightType) {
  for (auto weight : source.getOps<WeightOp>())
    weights[weight.getSymName()] = weight;
  for (auto cache : source.getOps<CacheOp>()) {
    cacheNumbers[cache.getSymName()] = static_cast<int64_t>(caches.size());
    caches[cache.getSymName()] = cache;
  }
  // Attention among the rows of a call has caches too, one per shape, behind the model's.
  source.walk([&](AttentionOp op) {
    int64_t next = static_cast<int64_t>(caches.size() + transientNumbers.size());
    transientNumbers.try_emplace(describeTransient(op).first, next);
  });
}

std::pair<std::string, int64_t> Storage::describeTransient(AttentionOp op) {
  int64_t width = getWidth(op.getQuery().getType()) / static_cast<int64_t>(op.getQueryHeads());
  return {"call." + std::to_string(op.getKvHeads()) + "x" + std::to_string(width), width};
}

FlatSymbolRefAttr Storage::getTransientCache(AttentionOp op) {
  auto [name, width] = describeTransient(op);
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (target.lookupSymbol(symbol))
    return symbol;
  OpBuilder builder = atEnd();
  kernel::CacheOp::create(builder, op.getLoc(), name, transientNumbers[name], /*layers=*/1, op.getKvHeads(), width,
                          builder.getF32Type(), /*transient=*/true);
  return symbol;
}

/// Declarations stand before the functions.
OpBuilder Storage::atEnd() {
  Block *body = target.getBody();
  for (Operation &op : *body)
    if (isa<func::FuncOp>(op))
      return OpBuilder(&op);
  return OpBuilder::atBlockEnd(body);
}

FlatSymbolRefAttr Storage::declare(std::string name, kernel::PackKind kind, ArrayRef<FlatSymbolRefAttr> names,
                                   ArrayRef<int64_t> shape, Type type) {
  for (auto [index, part] : llvm::enumerate(names))
    name += (index ? "+" : ":") + part.getValue().str();
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (target.lookupSymbol(symbol))
    return symbol;
  OpBuilder builder = atEnd();
  SmallVector<StringRef> sources = llvm::map_to_vector(names, [](FlatSymbolRefAttr n) { return n.getValue(); });
  WeightOp first = getWeight(names.front());
  IntegerAttr depths;
  if (first.getDepths())
    depths = builder.getI64IntegerAttr(*first.getDepths());
  kernel::PackedOp::create(builder, first.getLoc(), name, kind, builder.getStrArrayAttr(sources), shape, type, depths,
                           /*value=*/ElementsAttr(), /*offset=*/IntegerAttr());
  return symbol;
}

FlatSymbolRefAttr Storage::getPanels(ArrayRef<FlatSymbolRefAttr> names) {
  int64_t numRows = 0, numColumns = 0;
  for (FlatSymbolRefAttr name : names) {
    ArrayRef<int64_t> shape = getWeight(name).getTensorType().getShape();
    numRows += shape[0];
    numColumns = shape[1];
  }
  return declare("panels", kernel::PackKind::Panels, names, {numRows, numColumns}, weightType);
}

FlatSymbolRefAttr Storage::getVector(ArrayRef<FlatSymbolRefAttr> names) {
  int64_t size = 0;
  for (FlatSymbolRefAttr name : names)
    size += getWeight(name).getTensorType().getNumElements();
  return declare("vector", kernel::PackKind::Vector, names, {size}, Float32Type::get(target.getContext()));
}

FlatSymbolRefAttr Storage::getVectors(FlatSymbolRefAttr name) {
  return declare("vectors", kernel::PackKind::Vectors, {name}, getWeight(name).getTensorType().getShape(),
                 Float32Type::get(target.getContext()));
}

FlatSymbolRefAttr Storage::getConstant(DenseElementsAttr value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  std::string name = "constant:" + llvm::utohexstr(static_cast<uint64_t>(llvm::hash_value(StringRef(text))));
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (target.lookupSymbol(symbol))
    return symbol;
  OpBuilder builder = atEnd();
  kernel::PackedOp::create(builder, target.getLoc(), name, kernel::PackKind::Vector, builder.getArrayAttr({}),
                           value.getType().getShape(), value.getElementType(), IntegerAttr(), value, IntegerAttr());
  return symbol;
}

FlatSymbolRefAttr Storage::getRopeTable(RopeOp op) {
  SmallVector<double> frequencies = getRopeFrequencies(op);
  Type angles = op.getAngles() ? *op.getAngles() : Float32Type::get(op.getContext());
  auto model = source->getAttrOfType<ModelAttr>(kModelAttr);
  std::string text;
  llvm::raw_string_ostream os(text);
  for (double frequency : frequencies)
    os << llvm::bit_cast<uint64_t>(frequency) << ' ';
  os << angles;
  std::string name = "rope:" + llvm::utohexstr(static_cast<uint64_t>(llvm::hash_value(StringRef(text))));
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (target.lookupSymbol(symbol))
    return symbol;
  OpBuilder builder = atEnd();
  kernel::RopeTableOp::create(builder, op.getLoc(), name, frequencies, model ? model.getContextSize() : 1, angles,
                              IntegerAttr());
  return symbol;
}

FlatSymbolRefAttr Storage::getCacheDeclaration(StringRef name) {
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (target.lookupSymbol(symbol))
    return symbol;
  CacheOp cache = getCache(name);
  OpBuilder builder = atEnd();
  kernel::CacheOp::create(builder, cache.getLoc(), name, cacheNumbers[name], cache.getLayers(), cache.getHeads(),
                          cache.getDim(), cache.getType(), /*transient=*/false);
  return symbol;
}
