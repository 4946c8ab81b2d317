// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Groups as text: the pass lariat-print-groups, and remarks of the conversion.

#include "Grouping.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"

namespace lariat {
#define GEN_PASS_DEF_PRINTGROUPS
#include "lariat/Conversion/ConversionPasses.h.inc"
} // namespace lariat

#define DEBUG_TYPE "convert-lariat-to-kernel"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

static void printShape(const Group &group, AsmState &state, llvm::raw_ostream &os) {
  os << (group.isGemm() ? "gemm" : "rowwise") << " of rows ";
  if (group.rows)
    group.rows.printAsOperand(os, state);
  os << ", ";
  if (group.isGemm())
    os << getWidth(group.input.getType()) << " to ";
  if (group.sideBySide)
    llvm::interleave(group.linears, os, [&](LinearOp linear) { os << getWidth(linear.getType()); }, " + ");
  else
    os << group.width;
  os << " columns";
  if (group.parts != 1)
    os << " in each of " << group.parts << " parts";
}

void Grouping::print(llvm::raw_ostream &os) const {
  func::FuncOp function = this->function; // a handle, whose accessors are not const
  AsmState state(function);
  auto printOp = [&](StringRef role, Operation *op) {
    os << "  " << role << ' ';
    op->getResult(0).printAsOperand(os, state);
    os << " = " << op->getName() << '\n';
  };
  os << "@" << function.getSymName() << '\n';
  for (auto [number, group] : llvm::enumerate(groups)) {
    os << "group " << number << ": ";
    printShape(*group, state, os);
    os << '\n';
    for (Operation *op : group->prologue)
      printOp("prologue", op);
    for (LinearOp op : group->linears)
      printOp("product", op);
    for (Operation *op : group->members)
      printOp(group->isGemm() ? "epilogue" : "member", op);
    os << "  ends, as " << group->whyEnded << '\n';
  }
}

void Grouping::explain() const {
  func::FuncOp function = this->function;
  for (const std::unique_ptr<Group> &group : groups) {
    Operation *last = group->members.empty() ? LinearOp(group->linears.back()) : group->members.back();
    remark::analysis(last->getLoc(),
                     remark::RemarkOpts::name("group").category(DEBUG_TYPE).function(function.getSymName()))
        << ("the kernel of '" + last->getName().getStringRef() + "' ends here, as " + group->whyEnded).str();
  }
}

namespace {

struct PrintGroups : lariat::impl::PrintGroupsBase<PrintGroups> {
  void runOnOperation() override {
    ModelSymbols symbols(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal()) {
        Grouping(function, RowOwners(function), symbols).print(llvm::outs());
        ++numFunctions;
      }
    markAllAnalysesPreserved();
  }
};

} // namespace
