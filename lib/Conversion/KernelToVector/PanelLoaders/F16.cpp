// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of #kernel.f16, whose lines have one step of all columns after the other: CPUs widen f16 that lie side by
// side.

#include "../PanelLoader.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

namespace {

class F16Loader : public PanelLoader {
public:
  StringRef getName() const override { return "f16"; }
  Type getElementType(OpBuilder &b) const override { return b.getF16Type(); }
  int64_t getStepsPerLine() const override { return 2; }
  Type getWordType(OpBuilder &b) const override { return b.getF16Type(); }
  Value widen(CodeWriter &w, Value words, int64_t) const override {
    return arith::ExtFOp::create(w.b, w.loc, cast<VectorType>(words.getType()).clone(w.b.getF32Type()), words);
  }
  /// Step after step, sums of both would be in registers at once, of which AVX2 has too few.
  bool takesWholeLines(const CPUTuning &) const override { return true; }
};

} // namespace

const PanelLoader &lariat::vectors::getF16Loader() {
  static const F16Loader loader;
  return loader;
}
