// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that put modules together and take them apart: variants of a model, bodies on the generic path, code of a
// target. They stand in the order in which pipelines run them.

#ifndef LARIAT_COMPILER_PASSES_TD
#define LARIAT_COMPILER_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyLLVMPass : Pass<"lariat-verify-llvm", "::mlir::ModuleOp"> {
  let summary = "check that everything is in LLVM's dialect";
  let description = [{
    What is left of another dialect has no code on any target; the first such op is named, at its place. Changes
    nothing.
    No remarks: it only checks.
    Rounding: unchanged. Example: test/Compiler/verify-llvm.mlir
  }];
  let statistics = [Statistic<"numChecked", "checked", "ops checked">];
}

def NameEntriesPass : Pass<"lariat-name-entries", "::mlir::ModuleOp"> {
  let summary = "give entry functions the names under which an object exports them";
  let description = [{
    A public function `@forward` becomes `@lariat_forward`, followed by `_generate` in that mode and by the mode for
    what is missing where one was picked. The name that it had stays in `kernel.entry`. Refused: a name that is taken.
    No remarks: names follow from a rule.
    Rounding: unchanged. Example: test/Compiler/name-entries.mlir
  }];
  let options = [
    Option<"generate", "generate", "bool", /*default=*/"false", "whether the module was lowered to generate">,
    Option<"missing", "missing", "std::string", /*default=*/"\"\"",
           "the mode that was picked; empty for the declared one">
  ];
  let statistics = [Statistic<"numNamed", "named", "entry functions named">];
}

def MergeVariantsPass : Pass<"kernel-merge-variants", "::mlir::ModuleOp"> {
  let summary = "put the modules of several variants together, with equal code kept once";
  let description = [{
    Every named module inside, a variant, is emptied into the outer one, in order, and goes. A function is compared with
    those that are there once the functions it calls have their final names, so that equal code is kept once however its
    callees were numbered; public functions only share code where their `kernel.entry` is the same. What differs and has
    a name that is taken gets another one. `kernel.symbols` has, for each variant, the symbol of each of its entry
    functions.
    Rounding: unchanged. Example: test/Compiler/merge-variants.mlir
  }];
  let statistics = [Statistic<"numMoved", "moved", "functions and declarations moved out of a variant">,
                    Statistic<"numShared", "shared", "functions and declarations that an earlier variant has">];
}

def OutlineGenericPass : Pass<"kernel-outline-generic", "::mlir::ModuleOp"> {
  let summary = "move the bodies of kernel.generic into a module of their own";
  let description = [{
    The functions on tensors that `kernel.generic` calls move into the module `@generic`, since what lowers them knows
    tensors and the kernel level does not. The states go with them; `kernel.states` keeps layers and width of each.
    Without such functions there is no module `@generic`.
    No remarks: `convert-lariat-to-kernel` decided what moves.
    Rounding: unchanged. Example: test/Compiler/generic-path.mlir
  }];
  let statistics = [Statistic<"numOutlined", "outlined", "functions moved">];
}

def KeepArgumentsPass : Pass<"lariat-keep-arguments", "::mlir::func::FuncOp"> {
  let summary = "forbid that public functions write into their arguments";
  let description = [{
    Arguments of a body of `kernel.generic` may be buffers that kernels read later. Tensors among them are marked with
    `bufferization.writable = false`, so that bufferisation copies what is to be changed.
    No remarks: every tensor is marked.
    Rounding: unchanged. Example: test/Compiler/generic-path.mlir
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
  let statistics = [Statistic<"numKept", "kept", "arguments marked">];
}

def ConvertKernelToLLVMPass : Pass<"convert-kernel-to-llvm", "::mlir::ModuleOp"> {
  let summary = "write the code of kernels, and of the host around them";
  let description = [{
    Public functions become entry functions of the artefact's interface (include/lariat/Artefact/Abi.h), `SYMBOL(call)`:
    buffers are addresses in the arena or of ports, row ops calls of the runtime's services, a `kernel.parallel` a
    constant table of records and one launch. Index and scalar operands of kernels lie in cells, one per value. Kernels
    become functions of their own, shared where only the data differs. Left to upstream passes: scf, arith, math,
    vector, func.
    On entry functions: `kernel.cells`, the number of cells with those of ports, and `kernel.scratch_bytes` of a thread.
    Refused: buffers without a place in the arena; an op of the kernel level that has no code, by name.
    Rounding: that of each kernel. Example: test/Conversion/KernelToHost/host.mlir
  }];
  let options = [Option<"target", "target", "std::string", /*default=*/"\"avx2\"", "ISA to write kernels for">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::lariat::kernel::KernelDialect"];
  let statistics = [Statistic<"numEntries", "entries", "entry functions written">];
}

def InlineGenericPass : Pass<"kernel-inline-generic", "::mlir::ModuleOp"> {
  let summary = "move lowered bodies of kernel.generic back beside the kernels";
  let description = [{
    The counterpart of `kernel-outline-generic`, where both modules are in LLVM's dialect: only there they declare
    functions of the C library in the same words. What one of both declares the other may define. Refused: a symbol that
    both define.
    No remarks: everything moves.
    Rounding: unchanged. Example: test/Compiler/generic-path.mlir
  }];
  let statistics = [Statistic<"numInlined", "inlined", "functions and globals moved">];
}

def SetTargetPass : Pass<"lariat-set-target", "::mlir::ModuleOp"> {
  let summary = "name the machine that code is for, as tools of LLVM read it";
  let description = [{
    The triple goes to the module, processor and features to every function with a body, so that `mlir-translate` and
    `llc` need no options of their own for it. Refused: a name that is not in the table of targets.
    No remarks: every function gets the same.
    Rounding: unchanged. Example: test/Compiler/set-target.mlir
  }];
  let options = [Option<"target", "target", "std::string", /*default=*/"\"avx2\"", "ISA of the code">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let statistics = [Statistic<"numSet", "functions", "functions that name processor and features">];
}

#endif // LARIAT_COMPILER_PASSES_TD
