// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_INTERFACES_TD
#define LARIAT_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Lariat_RowLocalOpInterface : OpInterface<"RowLocalOpInterface"> {
  let cppNamespace = "::lariat";
  let description = [{
    An op is row-local in an operand if row t of every result depends on row t of that operand and on no other row.
    Depth-wise batching, compaction and incremental decoding are derived from this fact, so an op that does not
    implement the interface counts as *not* row-local. Upstream ops get it through external models.
  }];
  let methods = [
    InterfaceMethod<"Whether the op is row-local in this row-tensor operand.", "bool", "isRowLocalIn",
                    (ins "::mlir::OpOperand &":$operand), [{}], [{ return true; }]>
  ];
}

def Lariat_RowChoiceOpInterface : OpInterface<"RowChoiceOpInterface"> {
  let cppNamespace = "::lariat";
  let description = "An op whose result is some rows of a set, in their order and at their depth.";
  let methods = [InterfaceMethod<"The set that the rows are chosen from.", "::mlir::Value", "getFrom">];
}

def Lariat_KVPolicyAttrInterface : AttrInterface<"KVPolicyAttrInterface"> {
  let cppNamespace = "::lariat";
  let description = [{
    What a KV policy declares: which slot `append` writes, which entries `attend` reads, what a row that stopped
    early leaves in deeper slots, and the memory and order that follow. A new policy is a new attribute with this
    interface; nothing else lists policies.
  }];
  let methods = [
    InterfaceMethod<"The policy of generated rows, or of those of the prompt. A policy that differs has two; its other "
                    "methods are bounds for both, or speak of the prompt.",
                    "::lariat::KVPolicyAttrInterface", "getForRows", (ins "bool":$generated), [{}],
                    [{ return $_attr; }]>,
    InterfaceMethod<"The slot that a row writes, and from which look-ups start.", "::lariat::SlotRule", "getSlotRule">,
    InterfaceMethod<"Slots of one looped layer when loop steps are bounded by `maxDepth`.", "int64_t", "getNumSlots",
                    (ins "int64_t":$maxDepth), [{}], [{
                      return std::max($_attr.getForRows(/*generated=*/false).getSlotRule().getNumSlots(maxDepth),
                                      $_attr.getForRows(/*generated=*/true).getSlotRule().getNumSlots(maxDepth));
                    }]>,
    InterfaceMethod<"How `attend` at depth d finds the entry of an earlier row.", "::lariat::LookUp", "getLookUp">,
    InterfaceMethod<"What a row that stopped leaves in deeper slots; nothing where the policy has no such slots.",
                    "::std::optional<::lariat::MissingMode>", "getMissingMode">,
    InterfaceMethod<"Whether a user may pick this mode in place of the declared one.", "bool", "allowsMissing",
                    (ins "::lariat::MissingMode":$mode)>,
    InterfaceMethod<"The same policy with another mode for missing entries.", "::lariat::KVPolicyAttrInterface",
                    "withMissing", (ins "::lariat::MissingMode":$mode)>,
    InterfaceMethod<"Which rows may stop early; nothing where the policy leaves that to the loop.",
                    "::std::optional<::lariat::ExitScope>", "findExitScope", (ins), [{}], [{ return std::nullopt; }]>,
    InterfaceMethod<"What the function's result depends on besides rows and depths.", "::lariat::RowOrder",
                    "getRowOrder", (ins "int64_t":$maxDepth), [{}],
                    [{ return ::lariat::fromArtefact($_attr.getSlotRule().getOrder(maxDepth)); }]>,
    InterfaceMethod<"Entries of one layer that are live when `rowsPerDepth[d]` rows were at depth d.", "int64_t",
                    "getLiveEntries", (ins "::llvm::ArrayRef<int64_t>":$rowsPerDepth)>,
    InterfaceMethod<"The same as a formula in n(d), the number of rows that reached depth d.", "::std::string",
                    "getFormula">
  ];
}

#endif // LARIAT_INTERFACES_TD
