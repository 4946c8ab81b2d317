// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: how kernels read B, the weights of a product or the entries of a page, by its format. A format has a loader,
// in a file of its own in PanelLoaders; kernels ask it and know no format by name.
//
// B lies in panels of columns. A panel is lines, one behind the other; a line holds some steps of k, as words, one per
// column: a word has one step of its column, or several that are loaded together. Where words have fewer steps than
// lines, those of all columns with the first steps come before those with the next. How many columns a panel has is not
// known here.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_PANELLOADER_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_PANELLOADER_H

#include "KernelWriter.h"

namespace lariat::vectors {

class PanelLoader {
public:
  virtual ~PanelLoader() = default;

  /// As names of functions have it.
  virtual llvm::StringRef getName() const = 0;

  // How a line lies in memory.

  /// Type of the values, a float.
  virtual Type getElementType(mlir::OpBuilder &b) const = 0;
  virtual int64_t getStepsPerWord() const { return 1; }
  virtual int64_t getStepsPerLine() const { return getStepsPerWord(); }
  /// What a word is loaded as.
  virtual Type getWordType(mlir::OpBuilder &b) const = 0;

  int64_t getWordBytes(mlir::OpBuilder &b) const { return getWordType(b).getIntOrFloatBitWidth() / 8; }
  /// Bytes from a column's first word of a line to its word with step `step`, where panels have `columns` columns.
  int64_t getWordOffset(mlir::OpBuilder &b, int64_t step, int64_t columns) const {
    return step / getStepsPerWord() * columns * getWordBytes(b);
  }

  // How values are loaded.

  /// The words of `lanes` columns.
  Value loadWords(CodeWriter &w, Value address, int64_t lanes, bool isVolatile = false) const;
  /// The values of step `step` in their words, as f32.
  virtual Value widen(CodeWriter &w, Value words, int64_t step) const = 0;
  /// The value of one column at step `step`, as f32. `address` is that of the column's first word of the line.
  Value loadValue(CodeWriter &w, Value address, int64_t step, int64_t columns) const;

  // How products are cut and what they prefetch: the numbers of a target that go for the format.

  /// Registers that widening holds.
  virtual int64_t getNumRegisters() const { return 0; }
  /// Panels that a microkernel of so many rows takes at once.
  int64_t getTilePanels(const CPUTarget &target, int64_t rows) const;
  /// Whether a microkernel of one row does all steps of a line for one vector of columns, then for the next: a word of
  /// several steps is loaded once. Else it does one step after the other.
  virtual bool takesWholeLines(const CPUTuning &tuning) const { return getStepsPerWord() > 1 && tuning.loadsPairsOnce; }
  /// The rows of a call from which the panels that are next are prefetched.
  int64_t getPrefetchRows(const CPUTuning &tuning, bool isStreamed) const;
  /// The same of a tile.
  virtual int64_t getTilePrefetchRows(const CPUTuning &tuning) const { return tuning.pairTilePrefetchRows; }
};

/// The loader of packed weights; null where their format has none.
const PanelLoader *findPanelLoader(kernel::PackedOp data);

/// The loader of lines with one step of 16 values each, as pages of caches have them.
const PanelLoader &getLineLoader(Type element);

// The loaders.
const PanelLoader &getF32Loader();
const PanelLoader &getBF16Loader();
const PanelLoader &getBF16LineLoader();
const PanelLoader &getF16Loader();

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_PANELLOADER_H
