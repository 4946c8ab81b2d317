// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The seat record as an attribute: a list of words.

#include "lariat/Dialect/Lariat/IR/StepRecord.h"

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;
using namespace lariat;

/// The parts that an attribute names; nothing where it is no such list.
static std::optional<std::vector<abi::RecordPart>> readParts(Attribute attr) {
  auto words = dyn_cast_or_null<ArrayAttr>(attr);
  if (!words)
    return std::nullopt;
  std::vector<abi::RecordPart> parts;
  for (Attribute word : words) {
    auto text = dyn_cast<StringAttr>(word);
    std::optional<abi::RecordPart> part = text ? abi::findNamed<abi::RecordPart>(text.getValue()) : std::nullopt;
    if (!part)
      return std::nullopt;
    parts.push_back(*part);
  }
  return parts;
}

void lariat::setStepRecord(Operation *function, ArrayRef<abi::RecordPart> record) {
  SmallVector<Attribute> words;
  for (abi::RecordPart part : record)
    words.push_back(StringAttr::get(function->getContext(), abi::getName(part)));
  function->setAttr(kRecordAttr, ArrayAttr::get(function->getContext(), words));
}

std::vector<abi::RecordPart> lariat::getStepRecord(Operation *function) {
  return readParts(function->getAttr(kRecordAttr)).value_or(std::vector<abi::RecordPart>());
}

LogicalResult lariat::verifyStepRecord(Operation *op, Attribute attr) {
  std::optional<std::vector<abi::RecordPart>> parts = readParts(attr);
  if (parts && abi::isRecord(*parts))
    return success();
  return op->emitOpError() << "has " << kRecordAttr << " = " << attr << ", expected a list of "
                           << abi::listNames<abi::RecordPart>() << " in this order, with entered and max once each";
}
