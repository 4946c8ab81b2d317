// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Records and keys follow from the op: its key is all of it but what stands in the record. Types and attributes count
// by their addresses: they are unique in their context, while their text follows from flags of the printer.

#include "lariat/Dialect/Kernel/IR/Records.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::kernel;

SmallVector<RecordField> kernel::getRecordFields(Operation *kernel, ArrayRef<int64_t> literals) {
  using Kind = RecordField::Kind;
  SmallVector<RecordField> fields;
  for (Value operand : kernel->getOperands())
    fields.push_back({isa<MemRefType>(operand.getType()) ? Kind::Buffer : Kind::Cell, operand, FlatSymbolRefAttr(), 0});
  for (int64_t literal : literals)
    fields.push_back({Kind::Literal, Value(), FlatSymbolRefAttr(), literal});
  auto data = cast<ParallelKernelInterface>(kernel);
  for (FlatSymbolRefAttr symbol : data.getPackedOperands())
    fields.push_back({Kind::Packed, Value(), symbol, 0});
  if (FlatSymbolRefAttr table = data.getRotaryTable())
    fields.push_back({Kind::Table, Value(), table, 0});
  return fields;
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

/// What code knows of the data that a kernel names: all but its name, content and place.
static Attribute getFacts(Operation *declaration) {
  Builder b(declaration->getContext());
  auto number = [&](int64_t value) -> Attribute { return b.getI64IntegerAttr(value); };
  return llvm::TypeSwitch<Operation *, Attribute>(declaration)
      .Case([&](PackedOp data) {
        return b.getArrayAttr({data.getKindAttr(), data.getFormat(), data.getShapeAttr(), data.getPanelColumnsAttr(),
                               number(data.getDepths().value_or(0)), b.getBoolAttr(data.getStreamed())});
      })
      .Case([&](RopeTableOp table) { return b.getArrayAttr({number(table.getNumPairs()), table.getPositionsAttr()}); })
      .Case([&](CacheOp cache) {
        return b.getArrayAttr({cache.getLayersAttr(), cache.getHeadsAttr(), cache.getDimAttr(), cache.getKeysAttr(),
                               cache.getTypeAttr()});
      })
      .Default([](Operation *) { return Attribute(); });
}

/// The attributes of a kernel that its code may rely on; in the place of a symbol stands what it names.
static Attribute getBakedAttributes(Operation *kernel) {
  NamedAttrList attributes(kernel->getAttrDictionary());
  for (StringAttr name : cast<ParallelKernelInterface>(kernel).getLiteralAttributes())
    attributes.erase(name);
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](FlatSymbolRefAttr symbol) -> std::optional<std::pair<Attribute, WalkResult>> {
    Attribute facts = getFacts(SymbolTable::lookupNearestSymbolFrom(kernel, symbol));
    std::string name = std::to_string(reinterpret_cast<uintptr_t>(facts.getAsOpaquePointer()));
    return std::pair(FlatSymbolRefAttr::get(kernel->getContext(), name), WalkResult::skip());
  });
  return replacer.replace(attributes.getDictionary(kernel->getContext()));
}

static void writeTypes(llvm::raw_ostream &os, TypeRange types) {
  for (Type type : types)
    os << type.getAsOpaquePointer() << ',';
}

static void writeRegion(llvm::raw_ostream &os, Region &region) {
  llvm::DenseMap<Value, size_t> numbers;
  os << '{';
  for (BlockArgument argument : region.getArguments())
    numbers.try_emplace(argument, numbers.size());
  writeTypes(os, region.getArgumentTypes());
  for (Operation &op : region.front()) {
    os << op.getName() << ' ' << op.getAttrDictionary().getAsOpaquePointer() << '(';
    for (Value operand : op.getOperands())
      os << numbers.lookup(operand) << ',';
    os << ')';
    for (Value result : op.getResults())
      numbers.try_emplace(result, numbers.size());
    writeTypes(os, op.getResultTypes());
  }
  os << '}';
}

std::string kernel::getKernelKey(Operation *kernel) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << kernel->getName() << ' ' << getBakedAttributes(kernel).getAsOpaquePointer() << ' ';
  writeTypes(os, kernel->getOperandTypes());
  for (Region &region : kernel->getRegions())
    writeRegion(os, region);
  return key;
}

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

LogicalResult kernel::verifySymbols(Operation *op) {
  FlatSymbolRefAttr missing;
  op->getAttrDictionary().walk([&](FlatSymbolRefAttr symbol) {
    if (SymbolTable::lookupNearestSymbolFrom(op, symbol))
      return WalkResult::advance();
    missing = symbol;
    return WalkResult::interrupt();
  });
  return missing ? op->emitOpError() << "names " << missing << ", which the module does not have" : success();
}
