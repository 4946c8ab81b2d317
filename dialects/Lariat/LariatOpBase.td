// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_OP_BASE_TD
#define LARIAT_OP_BASE_TD

include "LariatAttrs.td"
include "LariatTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/LoopLikeInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Lariat_Op<string mnemonic, list<Trait> traits = []> : Op<Lariat_Dialect, mnemonic, traits>;

/// An op whose every row tensor operand is row-local.
class Lariat_RowLocalOp<string mnemonic, list<Trait> traits = []>
    : Lariat_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<Lariat_RowLocalOpInterface>], traits)>;

/// `tensor` has one entry of the given shape per row of `rows`, both named by operand or result.
class RowTensorMatches<string rows, string tensor, string elementType>
    : TypesMatchWith<"'" # tensor # "' has one " # elementType # " per row of '" # rows # "'", rows, tensor,
                     "::lariat::getRowTensorType($_self, " #
                     !cond(!eq(elementType, "bit"): "::mlir::IntegerType::get($_ctxt, 1)",
                           !eq(elementType, "index"): "::mlir::IndexType::get($_ctxt)",
                           true: "::mlir::IntegerType::get($_ctxt, 32)") # ")">;

/// `rows` is the set that the row tensor `tensor` belongs to.
class RowsOf<string tensor, string rows>
    : TypesMatchWith<"'" # rows # "' is the row set of '" # tensor # "'", tensor, rows,
                     "::lariat::getRowsType($_self)">;

/// `result` has one `element` (the operand's own element type if null) per row of the row tensor `tensor`.
class OnePerRow<string tensor, string result, string element>
    : TypesMatchWith<"'" # result # "' has one value per row of '" # tensor # "'", tensor, result,
                     "::lariat::getOnePerRowType($_self, " # element # ")">;

#endif // LARIAT_OP_BASE_TD
