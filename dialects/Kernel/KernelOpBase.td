// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What ops of the kernel level have in common.

#ifndef LARIAT_KERNEL_OP_BASE_TD
#define LARIAT_KERNEL_OP_BASE_TD

include "KernelAttrs.td"
include "KernelInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

/// Runs on all threads, inside kernel.parallel. `methods` are those of the interface that the op answers itself.
class Kernel_ParallelOp<string mnemonic, list<string> methods, list<Trait> traits = []>
    : Kernel_Op<mnemonic, !listconcat([DeclareOpInterfaceMethods<ParallelKernelInterface, methods>], traits)>;

/// Done by the calling thread, in the runtime: member `service` of abi::Services.
class Kernel_RowServiceOp<string mnemonic, string service = mnemonic, list<Trait> traits = []>
    : Kernel_Op<mnemonic, !listconcat([DeclareOpInterfaceMethods<RowServiceOpInterface>], traits)> {
  let extraClassDefinition = "int64_t $cppClass::getServiceOffset() { return offsetof(::lariat::abi::Services, " #
                             service # "); }";
}

/// What caches keep, and what code reports: resources of memory effects.
def Kernel_CacheEntries : Resource<"::lariat::kernel::CacheEntries">;
def Kernel_CacheIndex : Resource<"::lariat::kernel::CacheIndex">;
def Kernel_Faults : Resource<"::lariat::kernel::Faults">;

/// Makes one value of the columns of a row.
def Kernel_ReducesColumns : NativeOpTrait<"ReducesColumns"> {
  let cppNamespace = "::lariat::kernel";
}

def Buffer : StridedMemRefOf<[AnyType]>;

/// As FlatSymbolRefArrayAttr, which can have no default.
def Kernel_SymbolList : TypedArrayAttrBase<FlatSymbolRefAttr, "flat symbol ref array attribute"> {
  let constBuilderCall = "$_builder.getArrayAttr($0)";
}

#endif // LARIAT_KERNEL_OP_BASE_TD
