// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rotary frequencies and the ways in which models stretch them.

#include "lariat/Dialect/Lariat/IR/Rope.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace lariat;

int64_t lariat::getRotatedColumns(RopeOp op) {
  int64_t width = cast<RankedTensorType>(op.getType()).getDimSize(1) / static_cast<int64_t>(op.getHeads());
  return op.getDims() ? static_cast<int64_t>(*op.getDims()) : width;
}

/// The frequency of pair `i` of `dims` / 2.
static double getFrequency(RopeOp op, int64_t i, int64_t dims) {
  double frequency = std::pow(op.getTheta()->convertToDouble(), -2.0 * i / dims);
  std::optional<RopeScalingAttr> scaling = op.getScaling();
  if (!scaling)
    return frequency;
  double factor = scaling->getFactor().getValueAsDouble();
  if (scaling->getKind() == RopeScalingKind::Linear)
    return frequency / factor;
  double low = scaling->getLow().getValueAsDouble(), high = scaling->getHigh().getValueAsDouble();
  double original = scaling->getOriginal(), wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / high)
    return frequency;
  if (wavelength > original / low)
    return frequency / factor;
  double blend = (original / wavelength - low) / (high - low);
  return (1 - blend) * frequency / factor + blend * frequency;
}

SmallVector<double> lariat::getRopeFrequencies(RopeOp op) {
  if (auto listed = dyn_cast_if_present<DenseF64ArrayAttr>(op.getFrequenciesAttr()))
    return SmallVector<double>(listed.asArrayRef());
  int64_t dims = getRotatedColumns(op);
  SmallVector<double> frequencies;
  for (int64_t i = 0; i < dims / 2; ++i)
    frequencies.push_back(getFrequency(op, i, dims));
  return frequencies;
}

FlatSymbolRefAttr lariat::getFrequencyWeight(RopeOp op) {
  return dyn_cast_if_present<FlatSymbolRefAttr>(op.getFrequenciesAttr());
}

llvm::SmallPtrSet<Operation *, 2> lariat::findFrequencyWeights(ModuleOp module) {
  llvm::SmallPtrSet<Operation *, 2> weights;
  module.walk([&](RopeOp op) {
    if (FlatSymbolRefAttr name = getFrequencyWeight(op))
      if (auto weight = module.lookupSymbol<WeightOp>(name.getAttr()))
        weights.insert(weight);
  });
  return weights;
}

double lariat::getMagnitude(RopeOp op) { return op.getMagnitude() ? op.getMagnitude()->convertToDouble() : 1.0; }

Type lariat::getAngleType(RopeOp op) { return op.getAngles() ? *op.getAngles() : Float32Type::get(op.getContext()); }
