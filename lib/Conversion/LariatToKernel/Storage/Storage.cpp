// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares what lies in weights.bin, equal data once. What is equal is decided by value: attributes are unique in their
// context, so two of them are equal if they are the same. Names only have to be free.

#include "Storage.h"

#include "lariat/Dialect/Lariat/IR/Rope.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

Storage::Storage(ModuleOp source, const ModelSymbols &symbols, ModuleOp target)
    : source(source), target(target), symbols(symbols) {
  for (auto weight : source.getOps<WeightOp>())
    if (weight.getDepths() && weight.getBeyond() == Beyond::Error)
      checkedWeights.try_emplace(weight.getSymName(), static_cast<int64_t>(checkedWeights.size()));
  for (auto cache : source.getOps<CacheOp>())
    cacheNumbers.try_emplace(cache.getSymName(), static_cast<int64_t>(cacheNumbers.size()));
  // Attention among the rows of a call has caches too, one per shape, behind the model's.
  source.walk([&](AttentionOp op) {
    int64_t next = static_cast<int64_t>(cacheNumbers.size() + transientNumbers.size());
    transientNumbers.try_emplace(getTransientShape(op), next);
  });
}

std::string Storage::getFreeName(const Twine &wanted) {
  std::string name = wanted.str();
  for (unsigned number = 1; target.lookupSymbol(name) || source.lookupSymbol(name); ++number)
    name = (wanted + "_" + Twine(number)).str();
  return name;
}

std::optional<int64_t> Storage::getCheckedWeightNumber(FlatSymbolRefAttr name) const {
  auto it = checkedWeights.find(name.getValue());
  return it == checkedWeights.end() ? std::nullopt : std::optional(it->second);
}

std::pair<int64_t, int64_t> Storage::getTransientShape(AttentionOp op) {
  int64_t width = getWidth(op.getQuery().getType()) / static_cast<int64_t>(op.getQueryHeads());
  return {static_cast<int64_t>(op.getKvHeads()), width};
}

FlatSymbolRefAttr Storage::getTransientCache(AttentionOp op) {
  auto shape = getTransientShape(op);
  FlatSymbolRefAttr &symbol = transientCaches[shape];
  if (symbol)
    return symbol;
  auto [heads, width] = shape;
  std::string name = getFreeName("call." + Twine(heads) + "x" + Twine(width));
  symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  OpBuilder builder = atEnd();
  kernel::CacheOp::create(builder, op.getLoc(), name, transientNumbers.lookup(shape), /*layers=*/1, heads, width,
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

FlatSymbolRefAttr Storage::declare(kernel::PackKind kind, ArrayRef<FlatSymbolRefAttr> names, ArrayRef<int64_t> shape,
                                   Attribute format) {
  OpBuilder builder = atEnd();
  ArrayAttr sources =
      builder.getStrArrayAttr(llvm::map_to_vector(names, [](FlatSymbolRefAttr name) { return name.getValue(); }));
  FlatSymbolRefAttr &symbol = declared[{sources, static_cast<int>(kind)}];
  if (symbol)
    return symbol;
  std::string wanted = kernel::stringifyPackKind(kind).str();
  for (auto [index, part] : llvm::enumerate(names))
    wanted += (index ? "+" : ":") + part.getValue().str();
  std::string name = getFreeName(wanted);
  symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  WeightOp first = getWeight(names.front());
  IntegerAttr depths;
  if (first.getDepths())
    depths = builder.getI64IntegerAttr(*first.getDepths());
  kernel::PackedOp::create(builder, first.getLoc(), name, kind, sources, shape, format, depths,
                           /*value=*/ElementsAttr(), /*offset=*/IntegerAttr());
  return symbol;
}

/// How products read weights of a format: panels keep the numbers of the format, which are exact in them.
static kernel::PanelFormatAttrInterface getPanelFormat(StoredAttr stored) {
  switch (stored.getFormat()) {
  case StoredFormat::F32:
    return kernel::F32PanelsAttr::get(stored.getContext());
  case StoredFormat::BF16:
    return kernel::BF16PanelsAttr::get(stored.getContext());
  case StoredFormat::F16:
    return kernel::F16PanelsAttr::get(stored.getContext());
  }
  llvm_unreachable("all formats are above");
}

FlatSymbolRefAttr Storage::getPanels(ArrayRef<FlatSymbolRefAttr> names) {
  int64_t numRows = 0, numColumns = 0;
  for (FlatSymbolRefAttr name : names) {
    ArrayRef<int64_t> shape = getWeight(name).getTensorType().getShape();
    numRows += shape[0];
    numColumns = shape[1];
  }
  return declare(kernel::PackKind::Panels, names, {numRows, numColumns},
                 getPanelFormat(getWeight(names.front()).getStored()));
}

/// The format of vectors.
static TypeAttr getF32(MLIRContext *context) { return TypeAttr::get(Float32Type::get(context)); }

FlatSymbolRefAttr Storage::getVector(ArrayRef<FlatSymbolRefAttr> names) {
  int64_t size = 0;
  for (FlatSymbolRefAttr name : names)
    size += getWeight(name).getTensorType().getNumElements();
  return declare(kernel::PackKind::Vector, names, {size}, getF32(target.getContext()));
}

FlatSymbolRefAttr Storage::getVectors(FlatSymbolRefAttr name) {
  return declare(kernel::PackKind::Vectors, {name}, getWeight(name).getTensorType().getShape(),
                 getF32(target.getContext()));
}

FlatSymbolRefAttr Storage::getConstant(DenseElementsAttr value) {
  FlatSymbolRefAttr &symbol = constants[value];
  if (symbol)
    return symbol;
  std::string name = getFreeName("constant:" + Twine(constants.size() - 1));
  symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  OpBuilder builder = atEnd();
  kernel::PackedOp::create(builder, target.getLoc(), name, kernel::PackKind::Vector, builder.getArrayAttr({}),
                           ArrayRef<int64_t>{value.getNumElements()}, TypeAttr::get(value.getElementType()),
                           /*depths=*/IntegerAttr(), value, /*offset=*/IntegerAttr());
  return symbol;
}

FlatSymbolRefAttr Storage::getRopeTable(RopeOp op) {
  OpBuilder builder = atEnd();
  FlatSymbolRefAttr weight = getFrequencyWeight(op);
  auto frequencies = builder.getDenseF64ArrayAttr(weight ? SmallVector<double>() : getRopeFrequencies(op));
  auto name = weight ? builder.getStringAttr(weight.getValue()) : StringAttr();
  auto numPairs = weight ? builder.getI64IntegerAttr(getRotatedColumns(op) / 2) : IntegerAttr();
  auto angles = TypeAttr::get(getAngleType(op));
  // What a table holds, as one attribute: tables are told apart by it.
  SmallVector<Attribute> held{frequencies, angles};
  for (Attribute other : {Attribute(name), Attribute(numPairs), Attribute(op.getMagnitudeAttr())})
    held.push_back(other ? other : builder.getUnitAttr());
  FlatSymbolRefAttr &symbol = ropeTables[builder.getArrayAttr(held)];
  if (symbol)
    return symbol;
  std::string wanted = getFreeName("rope:" + Twine(ropeTables.size() - 1));
  symbol = FlatSymbolRefAttr::get(target.getContext(), wanted);
  auto model = source->getAttrOfType<ModelAttr>(kModelAttr);
  kernel::RopeTableOp::create(builder, op.getLoc(), wanted, frequencies.asArrayRef(), name, numPairs,
                              model ? model.getContextSize() : 1, getAngleType(op), op.getMagnitudeAttr(),
                              /*offset=*/IntegerAttr(), /*stored=*/IntegerAttr());
  return symbol;
}

FlatSymbolRefAttr Storage::getCacheDeclaration(StringRef name) {
  auto symbol = FlatSymbolRefAttr::get(target.getContext(), name);
  if (!declaredCaches.insert(name).second)
    return symbol;
  CacheOp cache = getCache(name);
  OpBuilder builder = atEnd();
  kernel::CacheOp::create(builder, cache.getLoc(), name, cacheNumbers[name], cache.getLayers(), cache.getHeads(),
                          cache.getDim(), cache.getType(), /*transient=*/false);
  return symbol;
}
