// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel from text, compiled and called.

#include "lariat/Testing/CompiledKernel.h"

#include "lariat/Target/CPU/SharedObject.h"
#include "lariat/Target/CPU/Targets.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>

using namespace lariat;
using namespace lariat::test;
using namespace mlir;

std::vector<std::string> test::listTargets() {
  std::vector<std::string> names;
  for (const CPUTarget &target : getCPUTargets())
    if (runsHere(target))
      names.push_back(target.name);
  return names;
}

std::unique_ptr<MLIRContext> test::makeContext() {
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, kernel::KernelDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  auto context = std::make_unique<MLIRContext>(registry);
  context->loadAllAvailableDialects();
  return context;
}

/// func.func private kernels to LLVM's dialect.
static LogicalResult lowerToLLVM(ModuleOp module) {
  PassManager manager(module.getContext());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

KernelObject test::compileObject(StringRef text, const CPUTarget &target) {
  KernelObject object;
  std::unique_ptr<MLIRContext> context = makeContext();
  auto module = parseSourceString<ModuleOp>(text, ParserConfig(context.get()));
  if (!module)
    llvm::report_fatal_error("the kernel's text does not parse");
  KernelEmitter emitter(*module, target);
  SmallVector<Operation *> sources;
  std::optional<int64_t> first;
  module->walk([&](func::FuncOp function) { sources.push_back(function); });
  for (Operation *source : sources)
    source->walk([&](kernel::ParallelKernelInterface op) {
      FailureOr<int64_t> number = emitter.emit(op);
      if (failed(number))
        llvm::report_fatal_error("a kernel cannot be written");
      if (first)
        return;
      first = *number;
      for (RecordField &field : kernel::getRecordFields(op, emitter.getLiterals(op))) {
        if (field.kind == RecordField::Kind::Packed || field.kind == RecordField::Kind::Table) {
          auto offset = SymbolTable::lookupNearestSymbolFrom(op, field.symbol)->getAttrOfType<IntegerAttr>("offset");
          object.packedOffsets.push_back(offset ? offset.getInt() : 0);
        }
        object.fields.push_back({field.kind, Value(), FlatSymbolRefAttr(), field.literal});
      }
    });
  object.scratchBytes = emitter.getScratchBytes();
  for (Operation *source : sources)
    source->erase();
  for (Operation &op : llvm::make_early_inc_range(*module->getBody()))
    if (isa<kernel::KernelDialect>(op.getDialect()))
      op.erase();
  OpBuilder b = OpBuilder::atBlockEnd(module->getBody());
  auto callee = module->lookupSymbol<func::FuncOp>(emitter.getFunctions()[*first]);
  auto wrapper = func::FuncOp::create(b, module->getLoc(), "lariat_kernel", callee.getFunctionType());
  b.setInsertionPointToEnd(wrapper.addEntryBlock());
  func::CallOp::create(b, module->getLoc(), callee, wrapper.getArguments());
  func::ReturnOp::create(b, module->getLoc());
  if (getenv("LARIAT_TEST_DUMP"))
    module->dump();
  if (failed(lowerToLLVM(*module)))
    llvm::report_fatal_error("a kernel cannot be lowered");
  auto code = emitCode(*module, target, CodeForm::Object);
  if (!code)
    llvm::report_fatal_error(code.takeError());
  object.bytes = std::move(code->bytes);
  return object;
}

CompiledKernel::CompiledKernel(StringRef text, const CPUTarget &target) : object(compileObject(text, target)) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  jit = cantFail(llvm::orc::LLJITBuilder().create());
  StringRef bytes(object.bytes.data(), object.bytes.size());
  cantFail(jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(bytes)));
  function = cantFail(jit->lookup("lariat_kernel")).toPtr<decltype(function)>();
}

CompiledKernel::~CompiledKernel() = default;

CompiledKernel::Prepared CompiledKernel::prepare(std::vector<Operand> operands, void *weights, int64_t numThreads) {
  int64_t scratchBytes = object.scratchBytes + 64;
  Prepared prepared(scratchBytes, numThreads);
  std::vector<std::byte *> &bases = prepared.bases;
  std::vector<int64_t> &cells = prepared.cells;
  abi::RecordEncoder &record = prepared.record;
  bases.resize(abi::kFirstPort);
  size_t next = 0, nextPacked = 0;
  for (const RecordField &field : object.fields) {
    switch (field.kind) {
    case RecordField::Kind::Buffer:
      record.addBuffer({static_cast<int64_t>(bases.size()), /*rowBytes=*/0, /*offset=*/0});
      bases.push_back(static_cast<std::byte *>(operands[next++].address));
      break;
    case RecordField::Kind::Cell:
      record.addWord(static_cast<int64_t>(cells.size()));
      cells.push_back(operands[next++].value);
      break;
    case RecordField::Kind::Packed:
    case RecordField::Kind::Table:
      record.addWord(object.packedOffsets[nextPacked++]);
      break;
    case RecordField::Kind::Literal:
      record.addWord(field.literal);
      break;
    }
  }
  if (next != operands.size())
    llvm::report_fatal_error("a kernel is called with another number of operands than it has");
  cells.push_back(0);
  bases[abi::kWeights] = prepared.call.tables = static_cast<std::byte *>(weights);
  bases[abi::kCells] = reinterpret_cast<std::byte *>(cells.data());
  prepared.call.scratchBytes = scratchBytes;
  prepared.function = function;
  return prepared;
}

void CompiledKernel::Prepared::run() {
  call.bases = bases.data();
  call.cells = cells.data();
  call.scratch = scratch.get();
  for (int64_t thread = 0; thread < numThreads; ++thread)
    function(&call, record.getWords().data(), thread, numThreads);
}

uint16_t test::toBF16(float value) {
  uint32_t bits = 0;
  memcpy(&bits, &value, 4);
  if (std::isnan(value))
    return static_cast<uint16_t>((bits | 0x400000) >> 16);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float test::fromBF16(uint16_t value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result = 0;
  memcpy(&result, &bits, 4);
  return result;
}

static uint16_t toF16(float value) {
  APFloat number(value);
  bool isInexact = false;
  number.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &isInexact);
  return static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
}

float test::roundTo(StringRef format, float value) {
  if (format == "bf16")
    return fromBF16(toBF16(value));
  if (format == "f16")
    return APFloat(APFloat::IEEEhalf(), APInt(16, toF16(value))).convertToFloat();
  return value;
}

int64_t test::packPanels(char *place, const std::vector<float> &weights, int64_t n, int64_t k, StringRef format,
                         int64_t columns) {
  bool isPairs = format == "bf16", isF16 = format == "f16";
  int64_t lineBytes = columns * 4, panels = (n + columns - 1) / columns,
          bytes = isPairs || isF16 ? (k + 1) / 2 * lineBytes : k * lineBytes;
  memset(place, 0, panels * bytes);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t column = 0; column < k; ++column) {
      char *panel = place + row / columns * bytes;
      float value = weights[row * k + column];
      if (isPairs)
        reinterpret_cast<uint16_t *>(panel)[(column / 2 * columns + row % columns) * 2 + column % 2] = toBF16(value);
      else if (isF16)
        reinterpret_cast<uint16_t *>(panel)[column * columns + row % columns] = toF16(value);
      else
        reinterpret_cast<float *>(panel)[column * columns + row % columns] = value;
    }
  return panels * bytes;
}

std::string lariat::test::bufferType(int64_t width, const char *element) {
  int64_t line = lineOf(width);
  if (line == width)
    return llvm::formatv("memref<?x{0}x{1}>", width, element);
  return llvm::formatv("memref<?x{0}x{1}, strided<[{2}, 1]>>", width, element, line);
}

std::string lariat::test::getPlainGemm(int64_t n, int64_t k, llvm::StringRef format, llvm::StringRef out,
                                       bool isStreamed, int64_t panelColumns) {
  std::string in = bufferType(k), own = bufferType(n);
  return llvm::formatv(R"(
    kernel.packed @w panels ["w"] shape [{0}, {1}] panel_columns({6}) offset(0) {5} : {2}
    func.func @f(%n: index, %x: {3}, %y: {4}) {{
      kernel.gemm rows(%n) k({1}) n({0}) ins(%x : {3}) vectors [] weights [@w] epilogue_vectors [] outs(%y : {4})
        gather [-1] scatter [-1] prologue {{
      ^bb0(%e: f32):
        kernel.yield %e : f32
      } epilogue {{
      ^bb0(%s: f32):
        kernel.yield %s : f32
      }
      return
    })",
                       n, k, format, in, out.empty() ? llvm::StringRef(own) : out, isStreamed ? "streamed" : "",
                       panelColumns);
}
