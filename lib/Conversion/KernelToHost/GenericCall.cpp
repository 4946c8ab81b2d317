// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls of the generic path: row-major copies in, the C interface of a lowered function, copies out.
// A descriptor is {allocated, aligned, offset, sizes, strides}, every word eight bytes; results come as consecutive
// descriptors behind the first argument.

#include "HostWriter.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/Fault.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstddef>

using namespace mlir;
using namespace lariat;
using namespace lariat::host;

static constexpr int64_t kWordBytes = 8;

static int64_t getColumns(MemRefType type) { return type.getRank() == 2 ? type.getDimSize(1) : 1; }

/// A descriptor of row-major memory on the stack.
Value HostWriter::describe(Value data, ArrayRef<Value> sizes) {
  int64_t rank = static_cast<int64_t>(sizes.size()), numWords = 3 + 2 * rank;
  Value place = reserveStack(LLVM::LLVMArrayType::get(i64, numWords));
  auto put = [&](int64_t word, Value value) { LLVM::StoreOp::create(b, loc, value, ptrAdd(place, word * kWordBytes)); };
  put(0, data);
  put(1, data);
  put(2, constantI64(0));
  Value stride = constantI64(1);
  for (int64_t dimension = rank; dimension-- > 0;) {
    put(3 + dimension, sizes[dimension]);
    put(3 + rank + dimension, stride);
    stride = arith::MulIOp::create(b, loc, stride, sizes[dimension]);
  }
  return place;
}

void HostWriter::copyLines(Value from, Value fromLine, Value to, Value toLine, Value bytes, Value rows) {
  auto loop = scf::ForOp::create(b, loc, constantI64(0), rows, constantI64(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  Value source = ptrAdd(from, arith::MulIOp::create(b, loc, row, fromLine).getResult());
  Value target = ptrAdd(to, arith::MulIOp::create(b, loc, row, toLine).getResult());
  LLVM::MemcpyOp::create(b, loc, target, source, bytes, /*isVolatile=*/false);
}

/// The first `rows` lines of a buffer, one after the other.
Value HostWriter::packLines(Value buffer, Value rows) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t lineBytes = kernel::getLineBytes(type),
          bytes = getColumns(type) * kernel::getElementBytes(type.getElementType());
  if (lineBytes == bytes)
    return getAddress(buffer);
  Value size = arith::MulIOp::create(b, loc, rows, constantI64(bytes));
  Value packed = callService(offsetof(abi::Services, allocate), pointer, {size});
  copyLines(getAddress(buffer), constantI64(lineBytes), packed, constantI64(bytes), constantI64(bytes), rows);
  return packed;
}

/// The callee's C interface; declared here, since it is lowered apart.
LLVM::LLVMFuncOp HostWriter::getBody(kernel::GenericOp op, ValueRange operands) {
  std::string name = ("_mlir_ciface_" + op.getCallee()).str();
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return known;
  OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), llvm::to_vector(operands.getTypes()));
  return LLVM::LLVMFuncOp::create(atEnd, loc, name, type);
}

LogicalResult HostWriter::rewriteGeneric(kernel::GenericOp op) {
  SmallVector<Value> operands;
  // Results.
  int64_t numWords = 0;
  for (Value out : op.getOuts())
    numWords += 3 + 2 * cast<MemRefType>(out.getType()).getRank();
  Value results = reserveStack(LLVM::LLVMArrayType::get(i64, std::max<int64_t>(numWords, 1)));
  if (numWords)
    operands.push_back(results);
  // Inputs.
  for (auto [input, count] : llvm::zip(op.getInputs(), op.getInputRows())) {
    auto type = dyn_cast<MemRefType>(input.getType());
    if (!type) {
      operands.push_back(toI64(input));
      continue;
    }
    Value rows = toI64(count);
    SmallVector<Value> sizes{rows};
    if (type.getRank() == 2)
      sizes.push_back(constantI64(type.getDimSize(1)));
    operands.push_back(describe(packLines(input, rows), sizes));
  }
  // Data of weights.bin.
  if (ArrayAttr packed = op.getPackedAttr())
    for (auto symbol : packed.getAsRange<FlatSymbolRefAttr>()) {
      auto data = SymbolTable::lookupNearestSymbolFrom<kernel::PackedOp>(op, symbol);
      if (!data)
        return op.emitOpError() << "names " << symbol << ", which is no packed data of the module";
      Value weights = load(pointer, ptrAdd(bases, abi::kWeights * kWordBytes));
      operands.push_back(
          describe(ptrAdd(weights, data.getOffset().value_or(0)), {constantI64(data.getShape().front())}));
    }
  // States, in the order of the module.
  if (auto states = module->getAttrOfType<ArrayAttr>(kStatesAttr))
    for (auto [index, attr] : llvm::enumerate(states)) {
      auto state = cast<DenseI64ArrayAttr>(attr);
      Value all = load(pointer, ptrAdd(call, offsetof(abi::Call, states)));
      Value depths = load(pointer, ptrAdd(call, offsetof(abi::Call, stateDepths)));
      int64_t at = static_cast<int64_t>(index) * kWordBytes;
      SmallVector<Value> sizes{load(i64, ptrAdd(call, offsetof(abi::Call, numSequences))), constantI64(state[0]),
                               load(i64, ptrAdd(depths, at)), constantI64(state[1])};
      operands.push_back(describe(load(pointer, ptrAdd(all, at)), sizes));
    }
  operands.push_back(
      describe(load(pointer, ptrAdd(call, offsetof(abi::Call, faults))), constantI64(abi::kNumFaultWords)));
  LLVM::CallOp::create(b, loc, getBody(op, operands), operands);
  // Copies of the results.
  int64_t word = 0;
  for (auto [out, count] : llvm::zip(op.getOuts(), op.getCounts())) {
    auto type = cast<MemRefType>(out.getType());
    int64_t rank = type.getRank(), element = kernel::getElementBytes(type.getElementType());
    auto get = [&](int64_t offset, Type wordType) {
      return load(wordType, ptrAdd(results, (word + offset) * kWordBytes));
    };
    Value bytes = constantI64(element), data = get(1, pointer),
          first = arith::MulIOp::create(b, loc, get(2, i64), bytes);
    Value rows = get(3, i64), stride = arith::MulIOp::create(b, loc, get(3 + rank, i64), bytes);
    copyLines(ptrAdd(data, first), stride, getAddress(out), constantI64(kernel::getLineBytes(type)),
              constantI64(getColumns(type) * element), rows);
    count.replaceAllUsesWith(arith::IndexCastOp::create(b, loc, b.getIndexType(), rows).getResult());
    word += 3 + 2 * rank;
  }
  callService(offsetof(abi::Services, release), {}, {});
  op.erase();
  return success();
}
