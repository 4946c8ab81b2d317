// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect `lariat`: types, attributes, interfaces and ops. What they mean is in dialects/Lariat.

#ifndef LARIAT_DIALECT_LARIAT_IR_LARIAT_H
#define LARIAT_DIALECT_LARIAT_IR_LARIAT_H

#include "lariat/Artefact/LookUp.h"
#include "lariat/Artefact/RowTable.h"
#include "lariat/Dialect/Lariat/IR/LariatEnums.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <optional>

#include "lariat/Dialect/Lariat/LariatDialect.h.inc"

namespace lariat {

using abi::kMaxDepth;
using abi::LookUp;
using abi::SlotRule;

class NextOp;
class RecurOp;
class RowsType;

/// The row set a row tensor belongs to, from its encoding; null for a plain tensor, which belongs to a set without
/// a label.
mlir::StringAttr getRowLabel(mlir::Type type);

/// The type of the row set that a row tensor belongs to; null if `type` is not a row tensor.
RowsType getRowsType(mlir::Type type);

/// `tensor<? x shape x element, #lariat.of<label>>` for a row set type; null if `rows` is none.
mlir::RankedTensorType getRowTensorType(mlir::Type rows, mlir::Type element, llvm::ArrayRef<int64_t> shape = {});

/// The same row tensor type for another set.
mlir::RankedTensorType withRows(mlir::RankedTensorType type, RowsType rows);

/// One `element` (that of `type` if null) per row of the row tensor type `type`; null if it is none.
mlir::RankedTensorType getOnePerRowType(mlir::Type type, mlir::Type element);

/// The depth of a row set that was advanced to a constant one, or selected from such rows; nothing for any other.
std::optional<int64_t> getConstantDepth(mlir::Value rows);

/// Whether a value is a row set or a row tensor of a labelled set.
bool isRowValue(mlir::Value value);

/// The most steps of a loop in any request: its constant max, or what `lariat.loops` allows where its max is the input
/// "loops"; nothing where neither says.
std::optional<int64_t> getStepBound(RecurOp loop);

/// Whether the steps of a loop are constant or what a request asks for, so that they are in range before it runs.
bool isBoundedByRequest(RecurOp loop);

/// Whether `op` is row-local in `operand`; ops that do not say are not.
bool isRowLocal(mlir::Operation *op, mlir::OpOperand &operand);

/// Whether `op` is free of effects and row-local in every row operand it has.
bool isRowLocal(mlir::Operation *op);

/// The loop of a structured op, named or generic, that runs over the rows of its row tensors, all of one set, so that
/// row t is read and written at row t only; nothing for another op, or one that mixes rows.
std::optional<unsigned> findRowLoop(mlir::Operation *op);

/// Gives upstream ops `RowLocalOpInterface`.
void registerRowLocalModels(mlir::DialectRegistry &registry);

/// Names of the module and function attributes of docs/function-contract.md.
inline constexpr llvm::StringLiteral kModelAttr = "lariat.model";
inline constexpr llvm::StringLiteral kLoopsAttr = "lariat.loops";
inline constexpr llvm::StringLiteral kExitAttr = "lariat.exit";
inline constexpr llvm::StringLiteral kWeightsAttr = "lariat.weights";
inline constexpr llvm::StringLiteral kRecordAttr = "lariat.record";
inline constexpr llvm::StringLiteral kInputAttr = "lariat.input";
inline constexpr llvm::StringLiteral kOutputAttr = "lariat.output";

} // namespace lariat

#include "lariat/Dialect/Lariat/LariatOpInterfaces.h.inc"
// Attributes implement this interface, and it speaks of the types above.
#include "lariat/Dialect/Lariat/LariatAttrInterfaces.h.inc"

namespace lariat {

/// Whether rows of the prompt and generated rows have policies of their own.
bool isPhased(KVPolicyAttrInterface policy);

/// Whether some rows have what they did not reach filled by the loop.
bool propagates(KVPolicyAttrInterface policy);

/// As `SlotRule::getSlot`, of a depth that is known when it runs. Emits `arith` on index values.
mlir::Value buildSlot(mlir::OpBuilder &builder, mlir::Location loc, SlotRule rule, mlir::Value depth);

/// Values that `append` needs for one row.
struct AppendSlot {
  mlir::Value slot;   ///< index: the slot written
  mlir::Value writes; ///< i1: whether the row writes at all
};

/// Where a row at `depth` appends. `filled`: it had stopped before. `buildIsGenerated` gives an i1 and is called for
/// policies that ask for it.
AppendSlot buildAppendSlot(mlir::OpBuilder &builder, mlir::Location loc, KVPolicyAttrInterface policy, bool filled,
                           mlir::Value depth, llvm::function_ref<mlir::Value()> buildIsGenerated);

} // namespace lariat

#define GET_TYPEDEF_CLASSES
#include "lariat/Dialect/Lariat/LariatTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "lariat/Dialect/Lariat/LariatAttrs.h.inc"

#define GET_OP_CLASSES
#include "lariat/Dialect/Lariat/LariatOps.h.inc"

#endif // LARIAT_DIALECT_LARIAT_IR_LARIAT_H
