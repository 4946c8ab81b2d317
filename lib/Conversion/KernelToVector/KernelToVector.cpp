// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of all kinds of kernels.

#include "KernelCode.h"
#include "MathPatterns.h"
#include "PanelLoader.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

static KernelCodes populateKernelCodes() {
  KernelCodes codes;
  populateAppendCode(codes);
  populateAttendCode(codes);
  populateEmbedCode(codes);
  populateGemmCode(codes);
  populateRotateCode(codes);
  populateRowwiseCode(codes);
  populateTopKCode(codes);
  return codes;
}

/// The code of a kernel; null if its kind has none.
static const KernelCode *findCode(Operation *kernel) {
  static const KernelCodes codes = populateKernelCodes();
  return codes.find(kernel);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

struct KernelEmitter::Patterns {
  FrozenRewritePatternSet math;
};

KernelEmitter::KernelEmitter(ModuleOp module, const CPUTarget &target)
    : module(module), target(target), patterns(std::make_unique<Patterns>()) {
  MLIRContext *context = module.getContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
                       vector::VectorDialect>();
  RewritePatternSet set(context);
  populateMathPatterns(set);
  patterns->math = std::move(set);
}

KernelEmitter::~KernelEmitter() = default;

func::FuncOp KernelEmitter::getFunction(StringRef name, FunctionType type,
                                        llvm::function_ref<void(OpBuilder &, func::FuncOp)> write) {
  func::FuncOp &function = functions[name];
  if (function)
    return function;
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto created = func::FuncOp::create(b, UnknownLoc::get(b.getContext()), name, type);
  created.setPrivate();
  function = created; // the reference does not outlive `write`, which may add others
  b.setInsertionPointToEnd(created.addEntryBlock());
  write(b, created);
  func::ReturnOp::create(b, created.getLoc());
  GreedyRewriteConfig config;
  config.enableFolding(false).enableConstantCSE(false).setRegionSimplificationLevel(
      GreedySimplifyRegionLevel::Disabled);
  (void)applyPatternsGreedily(created, patterns->math, config);
  return created;
}

/// Checks that referenced symbols exist, and that every op in the kernel's regions has code.
static LogicalResult verify(Operation *kernel) {
  if (!findCode(kernel))
    return kernel->emitOpError("is no kernel that has code of its own");
  if (failed(kernel::verifySymbols(kernel)))
    return failure();
  for (FlatSymbolRefAttr symbol : cast<kernel::ParallelKernelInterface>(kernel).getPackedOperands()) {
    auto data = lookUp<kernel::PackedOp>(kernel, symbol);
    if (data && data.getPanelFormat() && !findPanelLoader(data))
      return kernel->emitOpError() << "reads " << symbol << ", whose format of panels has no loader";
  }
  for (Region &region : kernel->getRegions())
    for (Operation &op : region.front())
      if (!isa<kernel::KernelDialect>(op.getDialect()) && !kernel::canStandInRowRegion(&op))
        return kernel->emitOpError() << "has '" << op.getName() << "' in its region, which has no code there";
  return success();
}

SmallVector<int64_t> KernelEmitter::getLiterals(Operation *kernel) const {
  return findCode(kernel)->getLiterals(kernel);
}

FailureOr<int64_t> KernelEmitter::emit(Operation *kernel) {
  if (failed(verify(kernel)))
    return failure();
  auto number = static_cast<int64_t>(kernels.size());
  auto [it, isNew] = numbers.try_emplace(kernel::getKernelKey(kernel), number);
  if (!isNew)
    return it->second;
  MLIRContext *context = module.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = IntegerType::get(context, 64);
  std::string name = ("kernel_" + kernel->getName().stripDialect() + "_" + llvm::Twine(number)).str();
  func::FuncOp function = getFunction(
      name, FunctionType::get(context, {pointer, pointer, i64, i64}, {}), [&](OpBuilder &b, func::FuncOp f) {
        KernelWriter writer(*this, f, kernel::getRecordFields(kernel, getLiterals(kernel)));
        findCode(kernel)->write(kernel, writer);
        b.setInsertionPointToEnd(&f.getBody().front());
      });
  kernels.push_back(FlatSymbolRefAttr::get(function));
  return number;
}
