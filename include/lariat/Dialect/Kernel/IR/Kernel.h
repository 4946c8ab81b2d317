// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect `kernel`: fused row kernels on buffers. What they mean is in dialects/Kernel.

#ifndef LARIAT_DIALECT_KERNEL_IR_KERNEL_H
#define LARIAT_DIALECT_KERNEL_IR_KERNEL_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Dialect/Kernel/IR/KernelEnums.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "lariat/Dialect/Kernel/KernelDialect.h.inc"

namespace lariat::kernel {

using abi::kAlignment;
using abi::kLineColumns;
using abi::kPageEntries;
using abi::kPanelColumns;
using abi::roundUp;

inline constexpr int64_t kPanelColumnBytes = 4; ///< of a column, in a line of a panel of any format

/// Function and module attributes that forming and the planning passes leave.
inline constexpr llvm::StringLiteral kArenaRowBytesAttr = "kernel.arena_row_bytes";
inline constexpr llvm::StringLiteral kPortsAttr = "kernel.ports"; ///< inputs and outputs of an entry function
inline constexpr llvm::StringLiteral kWeightBytesAttr = "kernel.weight_bytes";
inline constexpr llvm::StringLiteral kGenericBodyAttr = "kernel.generic_body"; ///< callees of generic, still on tensors

/// Bytes of an element in a buffer: i1 is a byte, index eight.
int64_t getElementBytes(mlir::Type type);

/// Elements from one line of a buffer to the next: 1 for rank one.
int64_t getLineElements(mlir::MemRefType type);

/// Bytes from one line to the next.
int64_t getLineBytes(mlir::MemRefType type);

/// The type of a buffer with `width` columns (0: one value per row), its lines filled up.
mlir::MemRefType getBufferType(mlir::Type element, int64_t width);

/// Where a buffer comes from: the op that gives storage (buffer, port, state_memory), and the first column in it.
struct BufferRoot {
  mlir::Operation *op;
  int64_t firstColumn;
};
BufferRoot getBufferRoot(mlir::Value buffer);

/// Whether two buffers may share memory: the same root and overlapping columns.
bool mayOverlap(mlir::Value a, mlir::Value b);

/// Whether an op of arith or math on scalars (or row tensors, looked at by element) may stand in a row region: forming
/// puts no other there, and code is written for all of these.
bool canStandInRowRegion(mlir::Operation *op);

/// Values of a row region that differ from column to column. `isColumnArgument` answers for its arguments.
llvm::DenseSet<mlir::Value> findColumnValues(mlir::Block &block,
                                             llvm::function_ref<bool(mlir::BlockArgument)> isColumnArgument);

// Resources of memory effects on the symbol of a cache.

/// Keys and values in its pages.
struct CacheEntries : mlir::SideEffects::Resource::Base<CacheEntries> {
  llvm::StringRef getName() final { return "cache entries"; }
};
/// Which entries there are and where: what views show. It may move when entries are added.
struct CacheIndex : mlir::SideEffects::Resource::Base<CacheIndex> {
  llvm::StringRef getName() final { return "cache index"; }
};

/// The resource of effects of ops that may end the call with an error.
struct Faults : mlir::SideEffects::Resource::Base<Faults> {
  llvm::StringRef getName() final { return "faults"; }
};

/// Trait of ops that make one value of the columns of a row.
template <typename ConcreteType>
class ReducesColumns : public mlir::OpTrait::TraitBase<ConcreteType, ReducesColumns> {};

} // namespace lariat::kernel

#include "lariat/Dialect/Kernel/KernelInterfaces.h.inc"
// Attributes implement these.
#include "lariat/Dialect/Kernel/KernelAttrInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "lariat/Dialect/Kernel/KernelAttrs.h.inc"

namespace lariat::kernel {

/// A format of panels by its name, without `#kernel.`.
mlir::ParseResult parsePanelFormat(mlir::AsmParser &parser, mlir::Attribute &format);
void printPanelFormat(mlir::AsmPrinter &printer, PanelFormatAttrInterface format);

} // namespace lariat::kernel

#define GET_OP_CLASSES
#include "lariat/Dialect/Kernel/KernelOps.h.inc"

#endif // LARIAT_DIALECT_KERNEL_IR_KERNEL_H
