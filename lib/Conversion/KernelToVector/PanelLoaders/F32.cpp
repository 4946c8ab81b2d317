// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of #kernel.f32, and lines of f32: words are the values.

#include "../PanelLoader.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

namespace {

class F32Loader : public PanelLoader {
public:
  StringRef getName() const override { return "f32"; }
  Type getElementType(OpBuilder &b) const override { return b.getF32Type(); }
  Type getWordType(OpBuilder &b) const override { return b.getF32Type(); }
  Value widen(CodeWriter &, Value words, int64_t) const override { return words; }
  int64_t getTilePrefetchRows(const CPUTuning &tuning) const override { return tuning.tilePrefetchRows; }
};

} // namespace

const PanelLoader &lariat::vectors::getF32Loader() {
  static const F32Loader loader;
  return loader;
}
