// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes of the kernel level, in the order in which they run.

#ifndef LARIAT_KERNEL_PASSES_TD
#define LARIAT_KERNEL_PASSES_TD

include "mlir/Pass/PassBase.td"

def FormParallelPass : Pass<"kernel-form-parallel", "::mlir::func::FuncOp"> {
  let summary = "put neighbouring kernels into parallel regions, with barriers between dependent ones";
  let description = [{
    A run of parallel kernels with nothing but pure ops and buffers between them becomes one `kernel.parallel`. A
    barrier goes before the first kernel that reads or writes a buffer written since the last barrier, or writes one
    read since, by another kernel. Kernels that only share what they read stand side by side.
    Rounding: none. Example: test/Dialect/Kernel/Transforms/form-parallel.mlir
  }];
  let statistics = [Statistic<"numRegions", "regions", "parallel regions formed">,
                    Statistic<"numBarriers", "barriers", "barriers put between kernels">];
}

def PlanArenaPass : Pass<"kernel-plan-arena", "::mlir::func::FuncOp"> {
  let summary = "give every buffer its place in the arena";
  let description = [{
    Buffers are alive from their op to the last use, through the whole of a loop that they enter from outside; two that
    are alive at once do not overlap. Offsets are bytes per row of the call, so that one plan serves calls of any size.
    Largest first where it fits; the sum is left as `kernel.arena_row_bytes` on the function.
    Rounding: none. Example: test/Dialect/Kernel/Transforms/plan-arena.mlir
  }];
  let statistics = [Statistic<"numPlaced", "placed", "buffers placed">,
                    Statistic<"numShared", "shared", "bytes per row that buffers share">];
}

def ChooseLayoutPass : Pass<"kernel-choose-layout", "::mlir::ModuleOp"> {
  let summary = "give panels of weights and pages of caches the form that a target reads";
  let description = [{
    Sets `panel_columns` of packed panels and `keys` of caches. Each target decides for its own copy of the kernels, by
    its layout (`lariat-compile --print-target`); weights are packed once for all targets of one layout.
    Rounding: none. Example: test/Dialect/Kernel/Transforms/choose-layout.mlir
  }];
  let options = [
    Option<"panelColumns", "panel-columns", "int64_t", /*default=*/"kernel::kPanelColumns", "columns of a panel">,
    Option<"keys", "keys", "::lariat::kernel::KeyOrder", /*default=*/"::lariat::kernel::KeyOrder::Columns",
           "how the keys of a head lie in a page", [{::llvm::cl::values(
             clEnumValN(::lariat::kernel::KeyOrder::Columns, "columns", "a line of 64 per column"),
             clEnumValN(::lariat::kernel::KeyOrder::Entries, "entries", "a line per entry"))}]>
  ];
  let statistics = [Statistic<"numPanels", "panels", "matrices in panels laid out">,
                    Statistic<"numCaches", "caches", "caches laid out">];
}

def PlanWeightsPass : Pass<"kernel-plan-weights", "::mlir::ModuleOp"> {
  let summary = "give packed data its place in weights.bin";
  let description = [{
    Frequencies of rotary tables first, which have the same places in every layout, then packed data, each in order of
    the module; every piece starts at a multiple of 4096 bytes if it is a page or more, else of 64. The size is left as
    `kernel.weight_bytes` on the module.
    Rounding: none. Example: test/Dialect/Kernel/Transforms/plan-weights.mlir
  }];
  let statistics = [Statistic<"numPlaced", "placed", "pieces of data placed">];
}

def MarkStreamedWeightsPass : Pass<"kernel-mark-streamed-weights", "::mlir::ModuleOp"> {
  let summary = "mark panels that the caches of a target do not hold from one step to the next";
  let description = [{
    Panels become `streamed` where what the kernels of the module read from end to end (`getFullyReadOperands`) is at
    least `cached-bytes` in all: what a step starts with is gone from the caches when the others have run. Each target
    decides for its own copy of the kernels, by the `cachedBytes` of its tuning.
    Rounding: none. Example: test/Dialect/Kernel/Transforms/mark-streamed-weights.mlir
  }];
  let options = [
    Option<"cachedBytes", "cached-bytes", "int64_t", /*default=*/"0", "bytes of weights that the caches hold">
  ];
  let statistics = [Statistic<"numStreamed", "streamed", "panels that no cache holds">];
}

#endif // LARIAT_KERNEL_PASSES_TD
