// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts the modules of several variants together. A function is compared with those of the same entry once the functions
// it calls have their final names, so that equal code is kept once however its callees were numbered.

#include "lariat/Compiler/Passes.h"

#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/FormatVariadic.h"

namespace lariat {
#define GEN_PASS_DEF_MERGEVARIANTSPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

class KernelMerger {
public:
  /// `whole` changes by merging only.
  explicit KernelMerger(ModuleOp whole) : whole(whole) {}

  /// Moves the functions and declarations of `part` into the whole and leaves it empty. What is there already, under
  /// whatever name, is not moved again. Returns the names in the whole of public functions, by their entries.
  DictionaryAttr merge(ModuleOp part);

  int64_t numMoved = 0, numShared = 0;

private:
  void moveDeclarations(ModuleOp part);
  void moveFunction(func::FuncOp function, ModuleOp part);
  std::string getUniqueName(StringRef wanted, ModuleOp part);

  ModuleOp whole;
  /// Functions of the whole that may be equal: by the entry of public ones, together for private ones.
  llvm::StringMap<SmallVector<func::FuncOp>> candidates;
  /// Data in weights.bin that the whole declares, by content and kind of op.
  llvm::DenseMap<std::pair<Attribute, const void *>, Operation *> data;
  // While a part is merged:
  llvm::StringMap<func::FuncOp> waiting;
  NamedAttrList names;
};

} // namespace

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

/// The entry of a public function, by default its name; empty for a private one.
static StringRef getEntry(func::FuncOp function, StringRef name) {
  if (function.isPrivate())
    return "";
  auto entry = function->getAttrOfType<StringAttr>(kEntryAttr);
  return entry ? entry.getValue() : name;
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
  if (!isa<kernel::StoredDataOpInterface>(op))
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
        ++numShared;
        continue;
      }
      same = &op;
    }
    if (StringAttr name = SymbolTable::getSymbolName(&op)) {
      Operation *known = whole.lookupSymbol(name);
      if (known && areEqual(known, &op)) {
        op.erase();
        ++numShared;
        continue;
      }
      if (known)
        rename(&op, getUniqueName(name, part), part);
    }
    op.moveBefore(whole.getBody(), whole.getBody()->end());
    ++numMoved;
  }
}

void KernelMerger::moveFunction(func::FuncOp function, ModuleOp part) {
  std::string name = function.getSymName().drop_front(1).str(); // the mark that merge() put there
  std::string entry = getEntry(function, name).str();
  waiting.erase(function.getSymName());
  if (auto uses = SymbolTable::getSymbolUses(function))
    for (const SymbolTable::SymbolUse &use : *uses)
      if (auto it = waiting.find(use.getSymbolRef().getRootReference()); it != waiting.end())
        moveFunction(it->second, part);
  SmallVector<func::FuncOp> &known = candidates[entry];
  auto *it = llvm::find_if(known, [&](func::FuncOp other) { return areEqualFunctions(function, other); });
  bool isShared = it != known.end();
  rename(function, isShared ? it->getSymName().str() : getUniqueName(name, part), part);
  if (!entry.empty())
    names.set(entry, function.getSymNameAttr());
  ++(isShared ? numShared : numMoved);
  if (isShared)
    return function.erase();
  function->moveBefore(whole.getBody(), whole.getBody()->end());
  known.push_back(function);
}

DictionaryAttr KernelMerger::merge(ModuleOp part) {
  names.clear();
  SmallVector<std::string> marked;
  // Under names that the whole does not have, nothing is taken for something else on the way.
  for (auto function : llvm::to_vector(part.getOps<func::FuncOp>())) {
    rename(function, "!" + function.getSymName(), part);
    waiting[function.getSymName()] = function;
    marked.push_back(function.getSymName().str());
  }
  moveDeclarations(part);
  for (const std::string &name : marked)
    if (auto it = waiting.find(name); it != waiting.end())
      moveFunction(it->second, part);
  return names.getDictionary(part.getContext());
}

namespace {

struct MergeVariantsPass : lariat::impl::MergeVariantsPassBase<MergeVariantsPass> {
  void runOnOperation() override {
    ModuleOp whole = getOperation();
    SmallVector<ModuleOp> parts;
    for (auto part : llvm::to_vector(whole.getOps<ModuleOp>()))
      if (part.getSymName()) {
        part->remove(); // its name is no function's
        parts.push_back(part);
      }
    KernelMerger merger(whole);
    NamedAttrList symbols;
    for (ModuleOp part : parts) {
      StringRef variant = *part.getSymName();
      symbols.set(variant, merger.merge(part));
      part.erase();
    }
    remark::analysis(whole.getLoc(), remark::RemarkOpts::name("merged").category(getArgument()))
        << llvm::formatv("{0} functions and declarations of {1} variants; {2} more are the same", merger.numMoved,
                         parts.size(), merger.numShared)
               .str();
    numMoved += merger.numMoved;
    numShared += merger.numShared;
    whole->setAttr(kSymbolsAttr, symbols.getDictionary(&getContext()));
  }
};

} // namespace
