// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes of the kernel level: formats of panels, by their names alone where they stand in `kernel.packed`, orders
// of summation, and slot rules.

#include "lariat/Dialect/Kernel/IR/Kernel.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat::kernel;

#include "lariat/Dialect/Kernel/KernelAttrInterfaces.cpp.inc"
#include "lariat/Dialect/Kernel/KernelEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "lariat/Dialect/Kernel/KernelAttrs.cpp.inc"

void KernelDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lariat/Dialect/Kernel/KernelAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Formats of panels
//===----------------------------------------------------------------------===//

ParseResult lariat::kernel::parsePanelFormat(AsmParser &parser, Attribute &format) {
  SMLoc place = parser.getCurrentLocation();
  StringRef name;
  OptionalParseResult result = generatedAttributeParser(parser, &name, Type(), format);
  if (result.has_value() && failed(*result))
    return failure();
  if (isa_and_present<PanelFormatAttrInterface>(format))
    return success();
  return parser.emitError(place) << "'" << name << "' is no format of panels";
}

void lariat::kernel::printPanelFormat(AsmPrinter &printer, PanelFormatAttrInterface format) {
  (void)generatedAttributePrinter(format, printer);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

LogicalResult SumAttr::verify(function_ref<InFlightDiagnostic()> emitError, SumKind kind, int64_t size) {
  bool isSized = kind == SumKind::Segments;
  if (isSized ? size > 0 : size == 0)
    return success();
  return emitError() << "sum '" << stringifySumKind(kind) << "' has size " << size << ", expected "
                     << (isSized ? "at least 1" : "none");
}

//===----------------------------------------------------------------------===//
// Slots
//===----------------------------------------------------------------------===//

LogicalResult SlotRuleAttr::verify(function_ref<InFlightDiagnostic()> emitError, SlotKind, int64_t slots,
                                   std::optional<int64_t> below) {
  if (slots < 1)
    return emitError() << "slot_rule has " << slots << " slots, expected at least 1";
  if (below && *below < 0)
    return emitError() << "slot_rule has rows below depth " << *below << ", expected at least 0";
  return success();
}
