// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registration of the dialect, its types, and the checks on the attributes it puts on modules, arguments and results.

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "lariat/Dialect/Lariat/IR/StepRecord.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;

#include "lariat/Dialect/Lariat/LariatDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "lariat/Dialect/Lariat/LariatTypes.cpp.inc"

#include "lariat/Dialect/Lariat/LariatOpInterfaces.cpp.inc"

/// `custom<Keyword>`: an enumeration as a bare word. The attribute's own format would print a space before it.
template <typename AttrT>
static ParseResult parseKeyword(OpAsmParser &parser, AttrT &attr) {
  auto value = FieldParser<decltype(attr.getValue())>::parse(parser);
  if (failed(value))
    return failure();
  attr = AttrT::get(parser.getContext(), *value);
  return success();
}

template <typename AttrT>
static void printKeyword(OpAsmPrinter &printer, Operation *, AttrT attr) {
  printer << attr.getValue();
}

#define GET_OP_CLASSES
#include "lariat/Dialect/Lariat/LariatOps.cpp.inc"

namespace {

/// Prints `#lariat.of<"a">`, which every line of a model repeats, as `#of_a`.
struct AliasInterface : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attr, raw_ostream &os) const final {
    auto of = dyn_cast<OfAttr>(attr);
    if (!of)
      return AliasResult::NoAlias;
    os << "of_" << of.getLabel().getValue();
    return AliasResult::FinalAlias;
  }
};

/// Every op may be inlined, and into every region: what a region may hold is verified where it stands.
struct InlineAnywhere : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;

  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final { return true; }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final { return true; }
};

} // namespace

static bool isOneOf(StringRef value, ArrayRef<StringRef> choices) { return llvm::is_contained(choices, value); }

template <typename AttrT>
static LogicalResult verifyKind(Operation *op, NamedAttribute attr) {
  if (isa<AttrT>(attr.getValue()))
    return success();
  return op->emitOpError() << "attribute '" << attr.getName().getValue() << "' is " << attr.getValue()
                           << ", expected a #lariat." << AttrT::getMnemonic();
}

static LogicalResult verifyRole(Operation *op, NamedAttribute attr, ArrayRef<StringRef> roles, const Twine &place) {
  auto role = dyn_cast<StringAttr>(attr.getValue());
  if (role && isOneOf(role.getValue(), roles))
    return success();
  InFlightDiagnostic diag = op->emitOpError();
  diag << place << " has '" << attr.getName().getValue() << "' " << attr.getValue() << ", expected one of ";
  llvm::interleaveComma(roles, diag, [&](StringRef name) { diag << '"' << name << '"'; });
  return diag;
}

void LariatDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "lariat/Dialect/Lariat/LariatTypes.cpp.inc"
      >();
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "lariat/Dialect/Lariat/LariatOps.cpp.inc"
      >();
  addInterfaces<AliasInterface, InlineAnywhere>();
}

LogicalResult LariatDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  StringRef name = attr.getName().getValue();
  if (name == kModelAttr)
    return verifyKind<ModelAttr>(op, attr);
  if (name == kLoopsAttr)
    return verifyKind<LoopsAttr>(op, attr);
  if (name == kExitAttr)
    return verifyKind<ExitAttr>(op, attr);
  if (name == kRecordAttr)
    return verifyStepRecord(op, attr.getValue());
  if (name == kWeightsAttr || name.starts_with("lariat.hint."))
    return success();
  return op->emitOpError() << "has unknown attribute '" << name << "'";
}

LogicalResult LariatDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned argIndex, NamedAttribute attr) {
  if (attr.getName().getValue() != kInputAttr)
    return op->emitOpError() << "argument " << argIndex << " has unknown attribute '" << attr.getName().getValue()
                             << "'";
  return verifyRole(op, attr, {"rows", "ids", "loops", "threshold", "capacity", "initial_state"},
                    "argument " + Twine(argIndex));
}

LogicalResult LariatDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned resultIndex,
                                                         NamedAttribute attr) {
  if (attr.getName().getValue() != kOutputAttr)
    return op->emitOpError() << "result " << resultIndex << " has unknown attribute '" << attr.getName().getValue()
                             << "'";
  return verifyRole(op, attr, {"logits", "hidden", "steps", "latch"}, "result " + Twine(resultIndex));
}

//===----------------------------------------------------------------------===//
// Row tensor types
//===----------------------------------------------------------------------===//

StringAttr lariat::getRowLabel(Type type) {
  if (auto rows = dyn_cast_or_null<RowsType>(type))
    return rows.getLabel();
  auto tensor = dyn_cast_or_null<RankedTensorType>(type);
  auto of = tensor ? dyn_cast_or_null<OfAttr>(tensor.getEncoding()) : OfAttr();
  return of ? of.getLabel() : StringAttr();
}

RowsType lariat::getRowsType(Type type) {
  auto tensor = dyn_cast_or_null<RankedTensorType>(type);
  return tensor ? RowsType::get(type.getContext(), getRowLabel(tensor)) : RowsType();
}

RankedTensorType lariat::getRowTensorType(Type rows, Type element, ArrayRef<int64_t> shape) {
  auto rowsType = dyn_cast_or_null<RowsType>(rows);
  if (!rowsType)
    return {};
  SmallVector<int64_t> full{ShapedType::kDynamic};
  llvm::append_range(full, shape);
  return withRows(RankedTensorType::get(full, element), rowsType);
}

RankedTensorType lariat::withRows(RankedTensorType type, RowsType rows) {
  Attribute encoding = rows.getLabel() ? OfAttr::get(rows.getContext(), rows.getLabel()) : Attribute();
  return RankedTensorType::get(type.getShape(), type.getElementType(), encoding);
}

RankedTensorType lariat::getOnePerRowType(Type type, Type element) {
  auto tensor = dyn_cast_or_null<RankedTensorType>(type);
  if (!tensor)
    return {};
  return RankedTensorType::get({ShapedType::kDynamic}, element ? element : tensor.getElementType(),
                               tensor.getEncoding());
}

bool lariat::isRowValue(Value value) { return isa<RowsType>(value.getType()) || getRowLabel(value.getType()); }
