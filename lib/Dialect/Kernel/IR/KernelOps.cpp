// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers of the kernel level, and what each kernel reads of weights.bin.

#include "lariat/Dialect/Kernel/IR/Kernel.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/IR/OpImplementation.h"

#include <cstddef>

using namespace mlir;
using namespace lariat::kernel;

/// `custom<PackedFormat>`: a format of panels by its name, or a type.
static ParseResult parsePackedFormat(OpAsmParser &parser, Attribute &format, PackKindAttr kind) {
  if (kind.getValue() == PackKind::Panels)
    return parsePanelFormat(parser, format);
  Type type;
  if (parser.parseType(type))
    return failure();
  format = TypeAttr::get(type);
  return success();
}

static void printPackedFormat(OpAsmPrinter &printer, PackedOp op, Attribute format, PackKindAttr) {
  if (auto panels = op.getPanelFormat())
    printPanelFormat(printer, panels);
  else
    printer.printAttribute(format);
}

#define GET_OP_CLASSES
#include "lariat/Dialect/Kernel/KernelOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

LogicalResult PackedOp::verify() {
  size_t rank = getKind() == PackKind::Vector ? 1 : 2;
  if (getShape().size() != rank)
    return emitOpError() << "of kind " << stringifyPackKind(getKind()) << " has a shape of rank " << getShape().size()
                         << ", expected " << rank;
  if (getSources().empty() == !getValue())
    return emitOpError() << "expected either sources or a value";
  if (getKind() == PackKind::Panels) {
    auto columns = static_cast<int64_t>(getPanelColumns());
    if (columns % kLineColumns || !llvm::isPowerOf2_64(columns))
      return emitOpError() << "has panels of " << columns << " columns, expected " << kLineColumns
                           << " times a power of two";
    if (getPanelFormat())
      return success();
    return emitOpError() << "of kind panels has the format " << getFormat() << ", expected a format of panels";
  }
  auto type = dyn_cast<TypeAttr>(getFormat());
  if (!type || (!type.getValue().isF32() && !(getValue() && getKind() == PackKind::Vector)))
    return emitOpError() << "of kind " << stringifyPackKind(getKind()) << " has the format " << getFormat()
                         << ", expected f32";
  return success();
}

int64_t PackedOp::getDepthBytes() {
  ArrayRef<int64_t> shape = getShape();
  auto columns = static_cast<int64_t>(getPanelColumns());
  if (getPanelFormat())
    return roundUp(shape[0], columns) / columns * getPanelBytes();
  int64_t line = roundUp(shape.back(), kLineColumns) * getElementBytes(getElementType());
  return getKind() == PackKind::Vector ? line : line * shape[0];
}

int64_t BufferOp::getRowBytes() { return getLineBytes(cast<MemRefType>(getResult().getType())); }

LogicalResult ColumnsOp::verify() {
  auto source = cast<MemRefType>(getSource().getType()), result = cast<MemRefType>(getResult().getType());
  if (source.getRank() != 2 || result.getRank() != 2)
    return emitOpError() << "takes columns of rank " << source.getRank() << ", expected 2";
  int64_t first = getFirst();
  if (first % kLineColumns)
    return emitOpError() << "starts at column " << first << ", expected a multiple of " << kLineColumns;
  if (first < 0 || first + result.getDimSize(1) > source.getDimSize(1))
    return emitOpError() << "takes columns " << first << " to " << first + result.getDimSize(1) << " of "
                         << source.getDimSize(1);
  if (getLineElements(source) != getLineElements(result))
    return emitOpError() << "has lines of " << getLineElements(result) << " elements, expected those of the source, "
                         << getLineElements(source);
  return success();
}

LogicalResult ParallelRegionOp::verify() {
  for (Operation &op : getBody().front())
    if (!isa<ParallelKernelInterface, BarrierOp>(op))
      return emitOpError() << "holds '" << op.getName()
                           << "', expected kernels and barriers: what some threads may not reach has no place here";
  return success();
}

//===----------------------------------------------------------------------===//
// Row regions
//===----------------------------------------------------------------------===//

static Type getElement(Value operand) {
  auto type = dyn_cast<MemRefType>(operand.getType());
  return type ? type.getElementType() : operand.getType();
}

/// Region arguments are the elements of operands, then one f32 (or inline element) per vector.
static LogicalResult verifyArguments(Operation *op, StringRef what, Block &block, ArrayRef<Type> leading,
                                     ValueRange operands, size_t numVectors) {
  size_t expected = leading.size() + operands.size() + numVectors;
  if (block.getNumArguments() != expected)
    return op->emitOpError() << what << " takes " << block.getNumArguments() << " arguments, expected " << expected;
  for (auto [index, type] : llvm::enumerate(leading))
    if (block.getArgument(index).getType() != type)
      return op->emitOpError() << what << " argument " << index << " has type " << block.getArgument(index).getType()
                               << ", expected " << type;
  for (auto [index, operand] : llvm::enumerate(operands)) {
    BlockArgument argument = block.getArgument(leading.size() + index);
    if (argument.getType() != getElement(operand))
      return op->emitOpError() << what << " argument " << argument.getArgNumber() << " has type " << argument.getType()
                               << ", expected " << getElement(operand);
  }
  return success();
}

static LogicalResult verifyYield(Operation *op, StringRef what, Block &block, ArrayRef<Type> types) {
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().size() != types.size())
    return op->emitOpError() << what << " yields " << block.getTerminator()->getNumOperands() << " values, expected "
                             << types.size();
  for (auto [index, value] : llvm::enumerate(yield.getValues()))
    if (value.getType() != types[index])
      return op->emitOpError() << what << " yields " << value.getType() << " as value " << index << ", expected "
                               << types[index];
  return success();
}

static LogicalResult verifyIndices(Operation *op, StringRef what, ArrayRef<int64_t> map, size_t expected,
                                   size_t numIndices) {
  if (map.size() != expected)
    return op->emitOpError() << what << " has " << map.size() << " entries, expected " << expected;
  for (int64_t index : map)
    if (index < -1 || index >= static_cast<int64_t>(numIndices))
      return op->emitOpError() << what << " names index list " << index << ", expected -1 to "
                               << static_cast<int64_t>(numIndices) - 1;
  return success();
}

static LogicalResult verifyWidths(Operation *op, StringRef what, ValueRange buffers, int64_t width) {
  for (Value buffer : buffers) {
    auto type = dyn_cast<MemRefType>(buffer.getType());
    if (type && type.getRank() == 2 && type.getDimSize(1) != width)
      return op->emitOpError() << what << " has " << type.getDimSize(1) << " columns, expected " << width;
  }
  return success();
}

static SmallVector<Type> getElements(ValueRange operands) { return llvm::map_to_vector(operands, getElement); }

LogicalResult RowwiseOp::verify() {
  Block &block = getBody().front();
  if (failed(verifyArguments(*this, "body", block, {}, getInputs(), getVectors().size())) ||
      failed(verifyYield(*this, "body", block, getElements(getOuts()))) ||
      failed(verifyIndices(*this, "gather", getGather(), getInputs().size(), getIndices().size())) ||
      failed(verifyIndices(*this, "scatter", getScatter(), getOuts().size(), getIndices().size())) ||
      failed(verifyWidths(*this, "an input", getInputs(), getWidth() * getGroups())) ||
      failed(verifyWidths(*this, "an out", getOuts(), getWidth() * getGroups())))
    return failure();
  return success();
}

/// Kinds of sums are of products or of attention; which of them there is code for is the target's to say.
static LogicalResult verifySum(Operation *op, SumAttr found, SumKind kind) {
  if (found.getKind() == kind)
    return success();
  return op->emitOpError() << "declares " << found << ", expected " << stringifySumKind(kind);
}

LogicalResult AttendOp::verify() { return verifySum(*this, getSum(), SumKind::Segments); }

LogicalResult GemmOp::verify() {
  Block &prologue = getPrologue().front(), &epilogue = getEpilogue().front();
  Type f32 = Float32Type::get(getContext());
  SmallVector<Type> sums(getWeights().size(), f32);
  if (getWeights().empty())
    return emitOpError() << "has no weights";
  if (failed(verifySum(*this, getSum(), SumKind::Chain)))
    return failure();
  if (failed(verifyArguments(*this, "prologue", prologue, {}, getInputs(), getPrologueVectors().size())) ||
      failed(verifyYield(*this, "prologue", prologue, {f32})) ||
      failed(verifyArguments(*this, "epilogue", epilogue, sums, getExtras(), getEpilogueVectors().size())) ||
      failed(verifyYield(*this, "epilogue", epilogue, getElements(getOuts()))) ||
      failed(
          verifyIndices(*this, "gather", getGather(), getInputs().size() + getExtras().size(), getIndices().size())) ||
      failed(verifyIndices(*this, "scatter", getScatter(), getOuts().size(), getIndices().size())) ||
      failed(verifyWidths(*this, "an input", getInputs(), getDepthK())) ||
      failed(verifyWidths(*this, "an extra", getExtras(), getWidthN())) ||
      failed(verifyWidths(*this, "an out", getOuts(), getWidthN())))
    return failure();
  size_t numPairs = getLowRankInputs().size();
  if (getLowRankWeights().size() != numPairs || getLowRankOf().size() != numPairs)
    return emitOpError() << "low_rank has " << numPairs << " buffers, " << getLowRankWeights().size()
                         << " weights and numbers of " << getLowRankOf().size() << " sums, expected as many of each";
  for (int64_t sum : getLowRankOf())
    if (sum < 0 || sum >= static_cast<int64_t>(getWeights().size()))
      return emitOpError() << "low_rank names sum " << sum << ", expected 0 to " << getWeights().size() - 1;
  for (Value input : getLowRankInputs())
    if (cast<MemRefType>(input.getType()).getRank() != 2)
      return emitOpError() << "low_rank has " << input.getType() << ", expected rows of rank columns";
  if (llvm::any_of(epilogue, [](Operation &op) { return op.hasTrait<ReducesColumns>(); }))
    return emitOpError() << "epilogue reduces over columns, which a tile does not have all of";
  return success();
}

bool GemmOp::hasPlainInput() {
  Block &block = getPrologue().front();
  auto yield = cast<YieldOp>(block.getTerminator());
  auto argument = dyn_cast<BlockArgument>(yield.getValues().front());
  if (!argument || argument.getArgNumber() >= getInputs().size() || getGather()[argument.getArgNumber()] != -1)
    return false;
  auto type = dyn_cast<MemRefType>(getInputs()[argument.getArgNumber()].getType());
  return type && type.getRank() == 2;
}

//===----------------------------------------------------------------------===//
// Rows of a sequence
//===----------------------------------------------------------------------===//

LogicalResult TopKOp::verify() {
  auto scores = cast<MemRefType>(getScores().getType()), out = cast<MemRefType>(getOut().getType());
  Type score = scores.getElementType();
  if (scores.getRank() != 1 || !(score.isF32() || score.isBF16() || score.isF16()))
    return emitOpError() << "has scores of " << scores << ", expected f32, bf16 or f16 per row";
  if (out.getRank() != 1 || !out.getElementType().isInteger(1))
    return emitOpError() << "writes to " << out << ", expected a bit per row";
  auto numNumerators = static_cast<int64_t>(getNumerators().size()),
       denominator = static_cast<int64_t>(getDenominator());
  if (numNumerators == 0 || denominator < 1)
    return emitOpError() << "has " << numNumerators << " numerators over " << denominator
                         << ", expected at least one over a positive number";
  auto counts = getCounts() ? cast<MemRefType>(getCounts().getType()) : MemRefType();
  if (counts &&
      (counts.getRank() != 2 || counts.getDimSize(1) != numNumerators || !counts.getElementType().isInteger(32)))
    return emitOpError() << "has counts of " << counts << ", expected i32 in " << numNumerators << " columns";
  return success();
}

//===----------------------------------------------------------------------===//
// Packed data
//===----------------------------------------------------------------------===//

static SmallVector<FlatSymbolRefAttr> getSymbols(ArrayRef<ArrayAttr> lists) {
  SmallVector<FlatSymbolRefAttr> symbols;
  for (ArrayAttr list : lists)
    llvm::append_range(symbols, list.getAsRange<FlatSymbolRefAttr>());
  return symbols;
}

SmallVector<FlatSymbolRefAttr> RowwiseOp::getPackedOperands() { return getSymbols({getVectors()}); }

SmallVector<FlatSymbolRefAttr> GemmOp::getPackedOperands() {
  return getSymbols({getWeights(), getPrologueVectors(), getEpilogueVectors(), getLowRankWeights()});
}
SmallVector<FlatSymbolRefAttr> GemmOp::getFullyReadOperands() {
  return getSymbols({getWeights(), getLowRankWeights()});
}

SmallVector<FlatSymbolRefAttr> EmbedOp::getPackedOperands() { return {getWeightAttr()}; }

SmallVector<FlatSymbolRefAttr> AttendOp::getPackedOperands() {
  SmallVector<FlatSymbolRefAttr> symbols{getSinksAttr(), getDistanceBiasAttr()};
  llvm::erase(symbols, FlatSymbolRefAttr());
  return symbols;
}

static FlatSymbolRefAttr getTable(std::optional<RopeAttr> rope) {
  return rope ? rope->getTable() : FlatSymbolRefAttr();
}

FlatSymbolRefAttr RotateOp::getRotaryTable() { return ::getTable(getRope()); }
FlatSymbolRefAttr AppendOp::getRotaryTable() { return ::getTable(getRope()); }
FlatSymbolRefAttr AttendOp::getRotaryTable() { return ::getTable(getRope()); }

// The layer's place in a page.
SmallVector<StringAttr> AppendOp::getLiteralAttributes() { return {getLayerAttrName()}; }
SmallVector<StringAttr> AttendOp::getLiteralAttributes() { return {getLayerAttrName()}; }
