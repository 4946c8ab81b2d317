// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_TYPES_TD
#define LARIAT_TYPES_TD

include "LariatDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/CommonTypeConstraints.td"

def Lariat_RowsType : TypeDef<Lariat_Dialect, "Rows"> {
  let mnemonic = "rows";
  let summary = "an ordered set of rows";
  let description = [{
    For each row its sequence, position, depth and flags (prompt or generated, inside a bidirectional prefix, logits
    wanted). Rows of one sequence are adjacent and their positions ascend. The label names the set: a row tensor of
    set "a" has the encoding `#lariat.of<"a">`, so that mixing two sets in an upstream op is a type error. A set
    without a label is what `lariat-erase-row-sets` leaves behind.

    Example: `!lariat.rows<"all">`
  }];
  let parameters = (ins OptionalParameter<"::mlir::StringAttr", "name of the set">:$label);
  let assemblyFormat = "(`<` $label^ `>`)?";
}

def Lariat_Rows : Type<CPred<"::llvm::isa<::lariat::RowsType>($_self)">, "row set", "::lariat::RowsType">;

/// A ranked tensor whose leading dimension is dynamic and runs over rows; the others are static.
class Lariat_RowTensorOf<string elementPred, string description> : Type<
    And<[CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getRank() >= 1">,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).isDynamicDim(0)">,
         CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getNumDynamicDims() == 1">,
         SubstLeaves<"$_self", "::llvm::cast<::mlir::RankedTensorType>($_self).getElementType()", CPred<elementPred>>]>,
    description, "::mlir::RankedTensorType">;

def Lariat_RowTensor : Lariat_RowTensorOf<"true", "row tensor">;
def Lariat_FloatRowTensor : Lariat_RowTensorOf<"::llvm::isa<::mlir::FloatType>($_self)", "row tensor of floats">;
def Lariat_BitRowTensor : Lariat_RowTensorOf<"$_self.isInteger(1)", "row tensor of bits">;
def Lariat_IndexRowTensor : Lariat_RowTensorOf<"$_self.isIndex()", "row tensor of indices">;
def Lariat_StepsTensor : Lariat_RowTensorOf<"$_self.isInteger(32)", "row tensor of i32">;
def Lariat_IdRowTensor
    : Lariat_RowTensorOf<"$_self.isIndex() || $_self.isInteger(32)", "row tensor of i32 or index">;

#endif // LARIAT_TYPES_TD
