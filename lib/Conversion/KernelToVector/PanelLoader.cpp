// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What loaders of all formats share, and which format has which.

#include "PanelLoader.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

const PanelLoader *vectors::findPanelLoader(kernel::PackedOp data) {
  return llvm::TypeSwitch<Attribute, const PanelLoader *>(data.getFormat())
      .Case([](kernel::F32PanelsAttr) { return &getF32Loader(); })
      .Case([](kernel::BF16PanelsAttr) { return &getBF16Loader(); })
      .Case([](kernel::F16PanelsAttr) { return &getF16Loader(); })
      .Default(static_cast<const PanelLoader *>(nullptr));
}

const PanelLoader &vectors::getLineLoader(Type element) {
  return element.isBF16() ? getBF16LineLoader() : getF32Loader();
}

Value PanelLoader::loadWords(CodeWriter &w, Value address, int64_t lanes, bool isVolatile) const {
  return LLVM::LoadOp::create(w.b, w.loc, w.vectorOf(getWordType(w.b), lanes), address, getWordBytes(w.b), isVolatile);
}

Value PanelLoader::loadValue(CodeWriter &w, Value address, int64_t step, int64_t columns) const {
  Type element = getElementType(w.b);
  int64_t inWord = step % getStepsPerWord() * element.getIntOrFloatBitWidth() / 8;
  Value value = w.load(element, w.ptrAdd(address, getWordOffset(w.b, step, columns) + inWord));
  return element.isF32() ? value : w.widen(value);
}

int64_t PanelLoader::getTilePanels(const CPUTarget &target, int64_t rows) const {
  // A line of several steps brings few sums of a row, which needs more of them to keep the units busy.
  if (getStepsPerLine() > 1 && rows == 1)
    return target.tuning.pairRowPanels;
  int64_t panels = target.getPanels(rows);
  while (panels > 1 && target.getTileRegisters(rows, panels) + getNumRegisters() > target.numRegisters)
    --panels;
  return panels;
}

int64_t PanelLoader::getPrefetchRows(const CPUTuning &tuning, bool isStreamed) const {
  if (getStepsPerLine() > 1)
    return tuning.pairPrefetchRows;
  return isStreamed && tuning.prefetchStreams > 1 ? tuning.streamedPrefetchRows : tuning.prefetchRows;
}
