// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Renames entry functions, in place. The prefix is what makes code generation export a function.

#include "lariat/Compiler/Passes.h"

#include "lariat/Artefact/Abi.h"
#include "mlir/IR/SymbolTable.h"

namespace lariat {
#define GEN_PASS_DEF_NAMEENTRIESPASS
#include "lariat/Compiler/CompilerPasses.h.inc"
} // namespace lariat

using namespace mlir;
using namespace lariat;

namespace {

struct NameEntriesPass : lariat::impl::NameEntriesPassBase<NameEntriesPass> {
  using NameEntriesPassBase::NameEntriesPassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!function.isPublic() || function.isExternal())
        continue;
      StringAttr entry = function.getSymNameAttr();
      std::string name = (llvm::Twine(abi::kExportPrefix) + entry.getValue() + (generate ? "_generate" : "")).str();
      if (!missing.empty())
        name += "_" + missing;
      if (symbols.lookup(name)) {
        function.emitError() << "cannot export @" << entry.getValue() << " as @" << name << ", which the module has";
        return signalPassFailure();
      }
      if (failed(symbols.rename(function, name)))
        return signalPassFailure();
      function->setAttr(kEntryAttr, entry);
      ++numNamed;
    }
  }
};

} // namespace
