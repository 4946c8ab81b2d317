// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parsing, printing and verification of attributes other than KV policies.

#include "lariat/Dialect/Lariat/IR/Lariat.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;

/// custom<Bracketed>: `[a, b]`.
template <typename T>
static ParseResult parseBracketed(AsmParser &parser, SmallVector<T> &list) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    FailureOr<T> value = FieldParser<T>::parse(parser);
    if (succeeded(value))
      list.push_back(*value);
    return failure(failed(value));
  });
}

template <typename T>
static void printBracketed(AsmPrinter &printer, ArrayRef<T> list) {
  printer << '[';
  llvm::interleaveComma(list, printer, [&](const T &value) { printer.printStrippedAttrOrType(value); });
  printer << ']';
}

/// custom<Suggested>: `, default = 0.5, usual = 0.9`, either or both of them.
static ParseResult parseSuggested(AsmParser &parser, FloatAttr &declared, FloatAttr &usual) {
  while (succeeded(parser.parseOptionalComma())) {
    bool isDefault = succeeded(parser.parseOptionalKeyword("default"));
    FloatAttr &value = isDefault ? declared : usual;
    if (value)
      return parser.emitError(parser.getCurrentLocation(), "a threshold is there twice");
    if ((!isDefault && parser.parseKeyword("usual")) || parser.parseEqual() || parser.parseAttribute(value))
      return failure();
  }
  return success();
}

static void printSuggested(AsmPrinter &printer, FloatAttr declared, FloatAttr usual) {
  if (declared)
    printer << ", default = " << declared;
  if (usual)
    printer << ", usual = " << usual;
}

#include "lariat/Dialect/Lariat/LariatAttrInterfaces.cpp.inc"
#include "lariat/Dialect/Lariat/LariatEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "lariat/Dialect/Lariat/LariatAttrs.cpp.inc"

void LariatDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lariat/Dialect/Lariat/LariatAttrs.cpp.inc"
      >();
}

LogicalResult OfAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                     function_ref<InFlightDiagnostic()> emitError) const {
  if (!shape.empty() && ShapedType::isDynamic(shape.front()))
    return success();
  return emitError() << "row tensor of set " << getLabel()
                     << " needs a dynamic leading dimension, which runs over its rows";
}

//===----------------------------------------------------------------------===//
// Source
//===----------------------------------------------------------------------===//

/// key | stack = [key, ...]
static ParseResult parseKeys(AsmParser &parser, SmallVector<StringAttr> &keys, bool &stacked) {
  std::string key;
  stacked = succeeded(parser.parseOptionalKeyword("stack"));
  if (!stacked) {
    if (parser.parseString(&key))
      return failure();
    keys.push_back(parser.getBuilder().getStringAttr(key));
    return success();
  }
  return failure(parser.parseEqual() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
    if (parser.parseString(&key))
      return failure();
    keys.push_back(parser.getBuilder().getStringAttr(key));
    return success();
  }));
}

Attribute SourceAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<StringAttr> keys;
  bool stacked = false, reshape = false;
  std::optional<std::pair<int64_t, int64_t>> rows;
  int64_t halves = 0;
  FloatAttr scale;
  if (parser.parseLess() || parseKeys(parser, keys, stacked))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    StringRef word;
    double factor = 0;
    if (parser.parseKeyword(&word))
      return {};
    if (word == "rows") {
      rows.emplace();
      if (parser.parseEqual() || parser.parseInteger(rows->first) || parser.parseKeyword("to") ||
          parser.parseInteger(rows->second))
        return {};
    } else if (word == "halves") {
      if (parser.parseLParen() || parser.parseInteger(halves) || parser.parseRParen())
        return {};
    } else if (word == "reshape") {
      reshape = true;
    } else if (word == "scale") {
      if (parser.parseEqual() || parser.parseFloat(factor))
        return {};
      scale = parser.getBuilder().getF64FloatAttr(factor);
    } else {
      parser.emitError(loc) << "unknown word '" << word << "' in a source, expected rows, halves, reshape or scale";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<SourceAttr>(loc, parser.getContext(), keys, stacked, rows, halves, reshape, scale);
}

void SourceAttr::print(AsmPrinter &printer) const {
  printer << '<';
  if (getStacked()) {
    printer << "stack = [";
    llvm::interleaveComma(getKeys(), printer, [&](StringAttr key) { printer.printAttribute(key); });
    printer << ']';
  } else {
    printer.printAttribute(getKeys().front());
  }
  if (auto rows = getRows())
    printer << ", rows = " << rows->first << " to " << rows->second;
  if (getHalves())
    printer << ", halves(" << getHalves() << ')';
  if (getReshape())
    printer << ", reshape";
  if (getScale()) {
    printer << ", scale = ";
    printer.printFloat(getScale().getValue());
  }
  printer << '>';
}

LogicalResult SourceAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<StringAttr> keys, bool stacked,
                                 std::optional<std::pair<int64_t, int64_t>> rows, int64_t halves, bool, FloatAttr) {
  if (keys.empty() || (!stacked && keys.size() != 1))
    return emitError() << "source names " << keys.size() << " tensors, expected " << (stacked ? "at least one" : "1");
  if (rows && (rows->first < 0 || rows->second <= rows->first))
    return emitError() << "source takes rows " << rows->first << " to " << rows->second
                       << ", expected a non-empty range";
  if (halves < 0)
    return emitError() << "source reorders the rows of " << halves << " heads, expected at least 1";
  return success();
}

//===----------------------------------------------------------------------===//
// Verification of the others
//===----------------------------------------------------------------------===//

LogicalResult MaskAttr::verify(function_ref<InFlightDiagnostic()> emitError, MaskKind kind, int64_t size) {
  bool sized = kind == MaskKind::Window || kind == MaskKind::Chunk;
  if (sized ? size > 0 : size == 0)
    return success();
  return emitError() << "mask '" << stringifyMaskKind(kind) << "' has size " << size << ", expected "
                     << (sized ? "at least 1" : "none");
}

LogicalResult RopeScalingAttr::verify(function_ref<InFlightDiagnostic()> emitError, RopeScalingKind kind,
                                      FloatAttr factor, FloatAttr low, FloatAttr high, int64_t original) {
  if (!(factor.getValueAsDouble() > 0))
    return emitError() << "rope scaling has factor " << factor.getValueAsDouble() << ", expected a positive one";
  if (kind != RopeScalingKind::Llama3)
    return success();
  if (!low || !high || original <= 0 || high.getValueAsDouble() <= low.getValueAsDouble())
    return emitError() << "rope scaling 'llama3' needs low < high and a positive original context";
  return success();
}

LogicalResult CapacityAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> numerators,
                                   int64_t denominator) {
  if (denominator <= 0 || numerators.empty())
    return emitError() << "capacity has " << numerators.size() << " numerators over " << denominator
                       << ", expected at least one over a positive denominator";
  for (int64_t numerator : numerators)
    if (numerator < 0 || numerator > denominator)
      return emitError() << "capacity keeps " << numerator << " of " << denominator << " rows, expected 0 to "
                         << denominator;
  return success();
}

LogicalResult LoopsAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t defaultSteps, int64_t minSteps,
                                int64_t maxSteps, int64_t stepsWithExit) {
  auto inRange = [&](int64_t steps) { return steps >= minSteps && (maxSteps == 0 || steps <= maxSteps); };
  if (minSteps < 0 || maxSteps < 0 || (maxSteps != 0 && maxSteps < minSteps))
    return emitError() << "loops range from " << minSteps << " to " << maxSteps << ", expected an ascending range";
  if (!inRange(defaultSteps) || (stepsWithExit != 0 && !inRange(stepsWithExit)))
    return emitError() << "loops default to " << defaultSteps << " (with an exit " << stepsWithExit
                       << "), outside the range " << minSteps << " to " << maxSteps;
  return success();
}

LogicalResult ExitAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, FloatAttr never, FloatAttr low,
                               FloatAttr high, FloatAttr declared, FloatAttr usual) {
  if (!never && !low && !high && !declared && !usual)
    return success();
  if (!never || !low || !high)
    return emitError() << "exit rule has some of never, low and high, expected all or none";
  double from = low.getValueAsDouble(), to = high.getValueAsDouble();
  auto inRange = [&](FloatAttr value) { return value.getValueAsDouble() >= from && value.getValueAsDouble() <= to; };
  if (!(from <= to))
    return emitError() << "exit thresholds range from " << from << " to " << to << ", expected an ascending range";
  if (!inRange(never) || (declared && !inRange(declared)) || (usual && !inRange(usual)))
    return emitError() << "exit threshold outside the range " << from << " to " << to;
  return success();
}

LogicalResult ModelAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, StringAttr kind,
                                int64_t vocab, int64_t context, ArrayRef<int64_t> eos, StringAttr) {
  if (!abi::findNamed<abi::ModelKind>(kind.getValue()))
    return emitError() << "model kind is " << kind << ", expected " << abi::listNames<abi::ModelKind>();
  if (vocab <= 0 || context <= 0)
    return emitError() << "model has vocabulary " << vocab << " and context " << context << ", expected positive ones";
  for (int64_t id : eos)
    if (id < 0 || id >= vocab)
      return emitError() << "model has eos id " << id << ", expected 0 to " << vocab - 1;
  return success();
}
