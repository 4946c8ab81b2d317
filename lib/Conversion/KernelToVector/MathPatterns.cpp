// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of math as arithmetic. The polynomial of exp is Cephes' (expf.c, S. Moshier); reducing and scaling are our
// own. Every step is an operation of IEEE 754, so results are the same for scalars, vectors and all CPUs.

#include "MathPatterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;

namespace {

/// Arithmetic on f32 or vectors of it.
struct Arithmetic {
  PatternRewriter &b;
  Location loc;
  Type type;

  Type integers() const {
    Type i32 = b.getI32Type();
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(i32)) : i32;
  }
  static TypedAttr splat(Type type, TypedAttr attr) {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? TypedAttr(DenseElementsAttr::get(vector, Attribute(attr))) : attr;
  }
  Value constantFloat(double value) const {
    return arith::ConstantOp::create(b, loc, splat(type, b.getF32FloatAttr(static_cast<float>(value))));
  }
  Value integer(int32_t value) const {
    return arith::ConstantOp::create(b, loc, splat(integers(), b.getI32IntegerAttr(value)));
  }
  Value fma(Value x, Value y, Value z) const { return math::FmaOp::create(b, loc, x, y, z); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value addI(Value x, Value y) const { return arith::AddIOp::create(b, loc, x, y); }
  Value subI(Value x, Value y) const { return arith::SubIOp::create(b, loc, x, y); }
  Value bitsOf(Value x) const { return arith::BitcastOp::create(b, loc, integers(), x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, loc, type, x); }
  /// `x`, but `bound` where x is beyond it; NaN stays.
  Value clamp(arith::CmpFPredicate beyond, Value x, double bound) const {
    Value limit = constantFloat(bound);
    return arith::SelectOp::create(b, loc, arith::CmpFOp::create(b, loc, beyond, x, limit), limit, x);
  }

  /// 2^n, n an integer from -126 to 127.
  Value powerOfTwo(Value n) const {
    return fromBits(arith::ShLIOp::create(b, loc, addI(n, integer(127)), integer(23)));
  }

  /// e^r * 2^n for |r| <= ln(2) / 2. Two factors, since 2^n may be no number that f32 has.
  Value expOfParts(Value r, Value n) const {
    static constexpr double kFactors[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                                          4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
    Value p = constantFloat(kFactors[0]);
    for (double factor : llvm::drop_begin(kFactors))
      p = fma(p, r, constantFloat(factor));
    p = fma(mul(r, r), p, r);
    p = arith::AddFOp::create(b, loc, p, constantFloat(1));
    Value half = arith::ShRSIOp::create(b, loc, n, integer(1));
    return mul(mul(p, powerOfTwo(half)), powerOfTwo(subI(n, half)));
  }
};

// Adding this rounds to an integer, which is then in the low bits.
constexpr double kRoundToInteger = 12582912; // 1.5 * 2^23

struct ExpandExp : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::ExpOp op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    Arithmetic a{rewriter, op.getLoc(), op.getType()};
    // Below the first bound the result is 0, above the second infinity.
    Value x = a.clamp(arith::CmpFPredicate::OLT, op.getOperand(), -105);
    x = a.clamp(arith::CmpFPredicate::OGT, x, 89);
    Value shift = a.constantFloat(kRoundToInteger), shifted = a.fma(x, a.constantFloat(1.44269504088896341), shift);
    Value whole = a.sub(shifted, shift);
    // ln(2) in two parts, the first of few bits.
    Value r = a.fma(whole, a.constantFloat(-0.693359375), x);
    r = a.fma(whole, a.constantFloat(2.12194440e-4), r);
    rewriter.replaceOp(op, a.expOfParts(r, a.subI(a.bitsOf(shifted), a.bitsOf(shift))));
    return success();
  }
};

struct ExpandExp2 : OpRewritePattern<math::Exp2Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::Exp2Op op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    Arithmetic a{rewriter, op.getLoc(), op.getType()};
    Value x = a.clamp(arith::CmpFPredicate::OLT, op.getOperand(), -151);
    x = a.clamp(arith::CmpFPredicate::OGT, x, 128);
    Value shift = a.constantFloat(kRoundToInteger), shifted = arith::AddFOp::create(rewriter, op.getLoc(), x, shift);
    Value fraction = a.sub(x, a.sub(shifted, shift));
    Value r = a.mul(fraction, a.constantFloat(0.693147180559945309));
    rewriter.replaceOp(op, a.expOfParts(r, a.subI(a.bitsOf(shifted), a.bitsOf(shift))));
    return success();
  }
};

struct ExpandRsqrt : OpRewritePattern<math::RsqrtOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::RsqrtOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType();
    auto one = Arithmetic::splat(type, rewriter.getFloatAttr(getElementTypeOrSelf(type), 1));
    Value root = math::SqrtOp::create(rewriter, op.getLoc(), op.getOperand());
    rewriter.replaceOpWithNewOp<arith::DivFOp>(op, arith::ConstantOp::create(rewriter, op.getLoc(), one), root);
    return success();
  }
};

/// The C library's name for f64; empty where there is none, or the CPU has instructions.
StringRef getLibraryName(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case<math::SinOp>([](auto) { return "sin"; })
      .Case<math::CosOp>([](auto) { return "cos"; })
      .Case<math::TanOp>([](auto) { return "tan"; })
      .Case<math::SinhOp>([](auto) { return "sinh"; })
      .Case<math::CoshOp>([](auto) { return "cosh"; })
      .Case<math::TanhOp>([](auto) { return "tanh"; })
      .Case<math::AsinOp>([](auto) { return "asin"; })
      .Case<math::AcosOp>([](auto) { return "acos"; })
      .Case<math::AtanOp>([](auto) { return "atan"; })
      .Case<math::Atan2Op>([](auto) { return "atan2"; })
      .Case<math::AsinhOp>([](auto) { return "asinh"; })
      .Case<math::AcoshOp>([](auto) { return "acosh"; })
      .Case<math::AtanhOp>([](auto) { return "atanh"; })
      .Case<math::CbrtOp>([](auto) { return "cbrt"; })
      .Case<math::ErfOp>([](auto) { return "erf"; })
      .Case<math::ErfcOp>([](auto) { return "erfc"; })
      .Case<math::ExpOp>([](auto) { return "exp"; })
      .Case<math::Exp2Op>([](auto) { return "exp2"; })
      .Case<math::ExpM1Op>([](auto) { return "expm1"; })
      .Case<math::LogOp>([](auto) { return "log"; })
      .Case<math::Log10Op>([](auto) { return "log10"; })
      .Case<math::Log1pOp>([](auto) { return "log1p"; })
      .Case<math::Log2Op>([](auto) { return "log2"; })
      .Case<math::PowFOp>([](auto) { return "pow"; })
      .Case<arith::RemFOp>([](auto) { return "fmod"; })
      .Default(StringRef());
}

/// An op as calls, one per entry. Tried where nothing better matches.
struct CallLibrary : RewritePattern {
  explicit CallLibrary(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/0, context) {}

  static FlatSymbolRefAttr declare(PatternRewriter &rewriter, Operation *op, StringRef name, Type type) {
    auto module = op->getParentOfType<ModuleOp>();
    if (!module.lookupSymbol(name)) {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToEnd(module.getBody());
      SmallVector<Type> operands(op->getNumOperands(), type);
      auto function = func::FuncOp::create(rewriter, module.getLoc(), name, rewriter.getFunctionType(operands, type));
      function.setPrivate();
    }
    return FlatSymbolRefAttr::get(op->getContext(), name);
  }

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    StringRef name = getLibraryName(op);
    if (name.empty())
      return rewriter.notifyMatchFailure(op, "no function of the C library");
    Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
    if (!element.isF32() && !element.isF64())
      return rewriter.notifyMatchFailure(op, "neither f32 nor f64");
    Location loc = op->getLoc();
    FlatSymbolRefAttr callee = declare(rewriter, op, element.isF32() ? (name + "f").str() : name.str(), element);
    auto callWith = [&](ValueRange operands) {
      return func::CallOp::create(rewriter, loc, callee, element, operands).getResult(0);
    };
    auto vector = dyn_cast<VectorType>(type);
    if (!vector) {
      rewriter.replaceOp(op, callWith(op->getOperands()));
      return success();
    }
    Value result = op->getOperand(0);
    for (int64_t lane = 0; lane < vector.getNumElements(); ++lane) {
      SmallVector<Value> operands;
      for (Value operand : op->getOperands())
        operands.push_back(vector::ExtractOp::create(rewriter, loc, operand, lane));
      result = vector::InsertOp::create(rewriter, loc, callWith(operands), result, lane);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void lariat::vectors::populateMathPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<ExpandExp, ExpandExp2, ExpandRsqrt>(context, /*benefit=*/3);
  patterns.add<CallLibrary>(context);
  static const llvm::StringSet<> kPolynomials = {"tanh", "log", "log2", "log1p", "erf", "expm1"};
  populateMathPolynomialApproximationPatterns(
      patterns, [](StringRef name) { return kPolynomials.contains(name.split('.').second); }, /*benefit=*/2);
  math::populateExpansionPatterns(patterns, {"clampf", "fpowi"});
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
}
