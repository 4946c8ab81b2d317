// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// bf16: panels of #kernel.bf16, whose words hold two steps, the earlier one in the low half, and lines of bf16. The
// upper half of an f32 is the bf16 of the same value, so that widening is a shift, or a mask.

#include "../PanelLoader.h"

using namespace mlir;
using namespace lariat::vectors;

static Value constantLike(CodeWriter &w, Value words, int64_t value) {
  auto attr = DenseElementsAttr::get(cast<VectorType>(words.getType()), w.b.getI32IntegerAttr(value));
  return arith::ConstantOp::create(w.b, w.loc, attr);
}

static Value asFloats(CodeWriter &w, Value words) {
  Type type = cast<VectorType>(words.getType()).clone(w.b.getF32Type());
  return arith::BitcastOp::create(w.b, w.loc, type, words);
}

/// f32 of what is in the low half of words.
static Value shiftUp(CodeWriter &w, Value words) {
  return asFloats(w, arith::ShLIOp::create(w.b, w.loc, words, constantLike(w, words, 16)));
}

namespace {

class BF16Loader : public PanelLoader {
public:
  StringRef getName() const override { return "bf16pair"; }
  Type getElementType(OpBuilder &b) const override { return b.getBF16Type(); }
  int64_t getStepsPerWord() const override { return 2; }
  Type getWordType(OpBuilder &b) const override { return b.getI32Type(); }
  int64_t getNumRegisters() const override { return 1; } // the mask
  Value widen(CodeWriter &w, Value words, int64_t step) const override {
    if (step == 0)
      return shiftUp(w, words);
    return asFloats(w, arith::AndIOp::create(w.b, w.loc, words, constantLike(w, words, 0xffff0000)));
  }
};

class BF16LineLoader : public PanelLoader {
public:
  StringRef getName() const override { return "bf16"; }
  Type getElementType(OpBuilder &b) const override { return b.getBF16Type(); }
  Type getWordType(OpBuilder &b) const override { return b.getI16Type(); }
  int64_t getNumRegisters() const override { return 1; }
  Value widen(CodeWriter &w, Value words, int64_t) const override {
    Type type = cast<VectorType>(words.getType()).clone(w.b.getI32Type());
    return shiftUp(w, arith::ExtUIOp::create(w.b, w.loc, type, words));
  }
};

} // namespace

const PanelLoader &lariat::vectors::getBF16Loader() {
  static const BF16Loader loader;
  return loader;
}

const PanelLoader &lariat::vectors::getBF16LineLoader() {
  static const BF16LineLoader loader;
  return loader;
}
