// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One module of kernels to upstream dialects. Afterwards kernels are functions of LLVM already, since a table holds
// their addresses; host code is what upstream conversions know.

#include "lariat/Conversion/KernelToHost/KernelToHost.h"

#include "HostWriter.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::host;

/// The pointer to the runtime's services and the function that sets it.
static void createBinding(ModuleOp module) {
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  Location loc = module.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  auto global = LLVM::GlobalOp::create(b, loc, pointer, /*isConstant=*/false, LLVM::Linkage::Internal,
                                       abi::kServicesSymbol, Attribute(), /*alignment=*/8);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&global.getInitializerRegion().emplaceBlock());
    LLVM::ReturnOp::create(b, loc, LLVM::ZeroOp::create(b, loc, pointer).getResult());
  }
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer});
  auto bind = LLVM::LLVMFuncOp::create(b, loc, abi::kBindSymbol, type);
  b.setInsertionPointToStart(bind.addEntryBlock(b));
  LLVM::StoreOp::create(b, loc, bind.getArgument(0), LLVM::AddressOfOp::create(b, loc, pointer, abi::kServicesSymbol));
  LLVM::ReturnOp::create(b, loc, ValueRange());
}

/// A constant that holds the addresses of symbols.
static void createAddresses(OpBuilder &b, Location loc, StringRef name, ArrayRef<FlatSymbolRefAttr> symbols) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type type = LLVM::LLVMArrayType::get(pointer, symbols.size());
  auto global = LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name, Attribute());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&global.getInitializerRegion().emplaceBlock());
  Value all = LLVM::UndefOp::create(b, loc, type);
  for (auto [index, symbol] : llvm::enumerate(symbols)) {
    Value address = LLVM::AddressOfOp::create(b, loc, pointer, symbol.getValue());
    all = LLVM::InsertValueOp::create(b, loc, all, address, static_cast<int64_t>(index));
  }
  LLVM::ReturnOp::create(b, loc, all);
}

/// The table of kernels that the object exports: an abi::KernelTable.
static void createKernelTable(ModuleOp module, ArrayRef<FlatSymbolRefAttr> kernels) {
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  Location loc = module.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  constexpr llvm::StringLiteral addresses = "kernels";
  createAddresses(b, loc, addresses, kernels);
  auto count = b.getI64IntegerAttr(static_cast<int64_t>(kernels.size()));
  module->setAttr(kNumKernelsAttr, count);
  Type type = LLVM::LLVMStructType::getLiteral(b.getContext(), {i64, pointer});
  auto table = LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true, LLVM::Linkage::External, abi::kKernelsSymbol,
                                      Attribute());
  b.setInsertionPointToStart(&table.getInitializerRegion().emplaceBlock());
  Value content = LLVM::UndefOp::create(b, loc, type);
  content = LLVM::InsertValueOp::create(b, loc, content, LLVM::ConstantOp::create(b, loc, i64, count), int64_t(0));
  content =
      LLVM::InsertValueOp::create(b, loc, content, LLVM::AddressOfOp::create(b, loc, pointer, addresses), int64_t(1));
  LLVM::ReturnOp::create(b, loc, content);
}

/// Turns the functions whose addresses are taken into functions of LLVM.
static void convertAddressedFunctions(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::SetVector<Operation *> addressed;
  module.walk([&](LLVM::AddressOfOp op) {
    if (auto function = symbols.lookup<func::FuncOp>(op.getGlobalName()))
      addressed.insert(function);
  });
  for (Operation *op : addressed) {
    auto function = cast<func::FuncOp>(op);
    OpBuilder b(function);
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                            llvm::to_vector(function.getArgumentTypes()));
    auto converted =
        LLVM::LLVMFuncOp::create(b, function.getLoc(), function.getSymName(), type, LLVM::Linkage::Internal);
    converted.getBody().takeBody(function.getBody());
    converted.walk([](func::ReturnOp op) {
      OpBuilder b(op);
      LLVM::ReturnOp::create(b, op.getLoc(), ValueRange());
      op.erase();
    });
    function.erase();
  }
}

/// Divisions that no instruction does, in host code.
static void expandDivisions(func::FuncOp entry) {
  SmallVector<Operation *> divisions;
  entry.walk([&](Operation *op) {
    if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op))
      divisions.push_back(op);
  });
  if (divisions.empty())
    return;
  RewritePatternSet patterns(entry.getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  (void)applyOpPatternsGreedily(divisions, std::move(patterns));
}

LogicalResult lariat::lowerKernelsToHost(ModuleOp module, KernelCodegen &codegen) {
  SmallVector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      entries.push_back(function);
  createBinding(module);
  for (func::FuncOp entry : entries) {
    expandDivisions(entry);
    if (failed(HostWriter(entry, codegen).run()))
      return failure();
  }
  Builder builder(module.getContext());
  for (func::FuncOp entry : entries)
    entry->setAttr(kScratchBytesAttr, builder.getI64IntegerAttr(codegen.getScratchBytes()));
  createKernelTable(module, codegen.getFunctions());
  convertAddressedFunctions(module);
  for (Operation &op : llvm::make_early_inc_range(module.getOps()))
    if (isa<kernel::KernelDialect>(op.getDialect())) // declarations
      op.erase();
  return success();
}
