// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts the modules of several variants together. A function is compared with those of the same origin once the functions it
// calls have their final names, so that equal code is kept once however its callees were numbered.

#include "lariat/Compiler/MergeKernels.h"

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace lariat;

static bool areEqual(Operation *a, Operation *b) {
  return OperationEquivalence::isEquivalentTo(a, b, OperationEquivalence::IgnoreLocations);
}

/// Whether two functions are equal but for their names.
static bool areEqualFunctions(func::FuncOp function, func::FuncOp other) {
  StringAttr ownName = function.getSymNameAttr();
  function.setSymNameAttr(other.getSymNameAttr());
  bool same = areEqual(function, other);
  function.setSymNameAttr(ownName);
  return same;
}

/// Gives a symbol of the part another name, wherever the part uses it.
static void rename(Operation *symbol, const Twine &name, ModuleOp part) {
  auto newName = StringAttr::get(symbol->getContext(), name);
  if (newName == SymbolTable::getSymbolName(symbol))
    return;
  (void)SymbolTable::replaceAllSymbolUses(symbol, newName, part);
  SymbolTable::setSymbolName(symbol, newName);
}

/// Free in both modules: functions that wait in the part are out of the way, but declarations are there.
std::string KernelMerger::getUniqueName(StringRef wanted, ModuleOp part) {
  std::string name = wanted.str();
  for (unsigned number = 1; whole.lookupSymbol(name) || part.lookupSymbol(name); ++number)
    name = (wanted + "_" + Twine(number)).str();
  return name;
}

/// What data in weights.bin holds, whatever its name; null for another op.
static DictionaryAttr getContent(Operation *op) {
  if (!isa<kernel::PackedOp, kernel::RopeTableOp>(op))
    return {};
  NamedAttrList attributes(op->getAttrDictionary());
  attributes.erase(SymbolTable::getSymbolAttrName());
  return attributes.getDictionary(op->getContext());
}

void KernelMerger::moveDeclarations(ModuleOp part) {
  for (Operation &op : llvm::make_early_inc_range(part.getOps())) {
    if (isa<func::FuncOp>(op))
      continue;
    if (DictionaryAttr content = getContent(&op)) {
      Operation *&same = data[{content, op.getName().getAsOpaquePointer()}];
      if (same) {
        rename(&op, SymbolTable::getSymbolName(same).getValue(), part);
        op.erase();
        continue;
      }
      same = &op;
    }
    if (StringAttr name = SymbolTable::getSymbolName(&op)) {
      Operation *known = whole.lookupSymbol(name);
      if (known && areEqual(known, &op)) {
        op.erase();
        continue;
      }
      if (known)
        rename(&op, getUniqueName(name, part), part);
    }
    op.moveBefore(whole.getBody(), whole.getBody()->end());
  }
}

void KernelMerger::moveFunction(func::FuncOp function, ModuleOp part) {
  std::string origin = function.getSymName().drop_front(1).str(); // the mark that merge() put there
  waiting.erase(function.getSymName());
  if (auto uses = SymbolTable::getSymbolUses(function))
    for (const SymbolTable::SymbolUse &use : *uses)
      if (auto it = waiting.find(use.getSymbolRef().getRootReference()); it != waiting.end())
        moveFunction(it->second, part);
  SmallVector<func::FuncOp> &known = candidates[function.isPrivate() ? StringRef() : StringRef(origin)];
  auto *it = llvm::find_if(known, [&](func::FuncOp other) { return areEqualFunctions(function, other); });
  if (it != known.end()) {
    rename(function, it->getSymName(), part);
    function.erase();
    names[origin] = it->getSymName().str();
    return;
  }
  rename(function, getUniqueName(function.isPrivate() ? origin : getName(origin), part), part);
  function->moveBefore(whole.getBody(), whole.getBody()->end());
  names[origin] = function.getSymName().str();
  known.push_back(function);
}

llvm::StringMap<std::string> KernelMerger::merge(ModuleOp part, llvm::function_ref<std::string(StringRef)> name) {
  getName = name;
  names.clear();
  SmallVector<std::string> entries, marked;
  // Under names that the whole does not have, nothing is taken for something else on the way.
  for (auto function : llvm::to_vector(part.getOps<func::FuncOp>())) {
    if (function.isPublic())
      entries.push_back(function.getSymName().str());
    rename(function, "!" + function.getSymName(), part);
    waiting[function.getSymName()] = function;
    marked.push_back(function.getSymName().str());
  }
  moveDeclarations(part);
  for (const std::string &name : marked)
    if (auto it = waiting.find(name); it != waiting.end())
      moveFunction(it->second, part);
  llvm::StringMap<std::string> result;
  for (const std::string &entry : entries)
    result[entry] = names[entry];
  return result;
}
