// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes over the dialect `lariat`, in the order in which a pipeline runs them: what must hold is checked first, what
// the model declares is put in place, then the loop is split, made cheaper, and finally taken down to upstream
// dialects. test/Lint/passes.py holds this order against lib/Compiler/Pipelines.cpp.

#ifndef LARIAT_PASSES_TD
#define LARIAT_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Bring into one form, and check
//===----------------------------------------------------------------------===//

def InlineHelpersPass : Pass<"lariat-inline-helpers", "::mlir::ModuleOp"> {
  let summary = "put the bodies of helper functions in place of their calls";
  let description = [{
    Every `func.call` that the entry function reaches, in regions too, becomes the body of the function it names. Row
    sets that a helper selects get labels of their own for each call. Other functions of the module go, whether they
    were called or not, so that only the entry function is left; without one nothing changes. Refused, at the call: a
    function that is only declared, one of several blocks, functions that call each other in a circle (with the names
    on it), calls nested more than 256 deep, and a body of more than a million ops.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/inline-helpers.mlir
  }];
  let options = [Option<"entry", "entry", "std::string", /*default=*/"\"forward\"", "function to keep">];
  let statistics = [Statistic<"numInlined", "inlined", "calls inlined">];
}

def VerifyRowSetsPass : Pass<"lariat-verify-row-sets", "::mlir::func::FuncOp"> {
  let summary = "check that a label names one row set and that rows move only where they may";
  let description = [{
    Checks what no single op can: each label is introduced once in a function (`advance` keeps its label, and so do
    the row sets that an upstream loop or a decode region passes on), a `tensor.cast` does not change or drop the label
    of a row tensor, and the rows named by `take`'s `at` and `put`'s `from` were selected from the set they are taken
    from or put into: by `select`, `top_k`, `last`, or as the rows of a loop step. Changes nothing. Sets without labels
    are not checked.
    No remarks: it only checks.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/verify-row-sets.mlir
  }];
  let statistics = [Statistic<"numChecked", "checked", "ops checked">];
}

def NormalizeRowOpsPass : Pass<"lariat-normalize-row-ops", "::mlir::func::FuncOp"> {
  let summary = "write upstream ops on row tensors as ops of the dialect, elementwise ops and linalg.generic";
  let description = [{
    Later passes and both lowerings know row-local work in three forms: ops of the dialect, elementwise ops of `arith`
    and `math`, and `linalg.generic`. Upstream has more ways to say it:

    | before | after |
    |---|---|
    | `tensor.empty`, `linalg.fill` | `spread` of zero, of the scalar |
    | `tensor.extract_slice`, `expand_shape`, `collapse_shape` that keep rows | a `linalg.generic` that copies columns |
    | `tensor.insert_slice`, `tensor.concat` of columns | `concat` of the parts |
    | `linalg.softmax` over columns | `row_reduce`, `spread`, `subf`, `exp`, `divf` |
    | other structured ops that are row-local | `linalg.generic` |
    | `linalg.generic` without reduction, on columns in their order | elementwise ops |

    The number of rows need not be named any more, so `lariat.count` and `tensor.dim` that only gave sizes go. What is
    not row-local, or not known to be, stays as it is, and so does work on sets without labels.
    Rounding: that of the op; sums of a softmax over columns are those of `row_reduce`.
    Example: test/Dialect/Lariat/Transforms/normalize-row-ops.mlir
  }];
  let statistics = [Statistic<"numRewritten", "rewritten", "ops written in another form">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect"];
}

def VerifyRowMixingPass : Pass<"lariat-verify-row-mixing", "::mlir::func::FuncOp"> {
  let summary = "check that only ops of the dialect relate rows";
  let description = [{
    Attention, caches, states, `top_k` and `seq_reduce` relate rows, and only rows of one sequence; `select`, `take`,
    `put` and `recur` move them. Everything else has to keep rows apart, or a row's bits would follow from its company.
    Refused, by name and at its place: an op of another dialect than lariat, arith, math, tensor, linalg, scf and func;
    an upstream op on row tensors that is not row-local (`RowLocalOpInterface`) or joins several sets; a use of
    `lariat.count` or of the number of rows that `tensor.dim` gives (sizes are gone by `lariat-normalize-row-ops`); sets
    without labels, tensors of another dynamic size and values of types that no op of a model works on; functions of
    several blocks. Changes nothing.
    No remarks: it only checks.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/verify-row-mixing.mlir
  }];
  let statistics = [Statistic<"numChecked", "checked", "ops checked">];
}

def SplitCachesPass : Pass<"lariat-split-caches", "::mlir::ModuleOp"> {
  let summary = "give layers of a cache that are not written together caches of their own";
  let description = [{
    The layers of a cache share one list of entries: what a row appends to a slot is there for all of them. That is
    right where each group of appends (the same rows, slot and block, one per layer) is complete before any layer is
    attended to that the group has not written yet. A cache of which that does not hold becomes one of a layer each,
    `@kv.0`, `@kv.1` and so on, with the same policy. Rounding: unchanged.
    Example: test/Dialect/Lariat/Transforms/split-caches.mlir
  }];
  let statistics = [Statistic<"numSplit", "split", "caches split">];
}

def ChooseWeightFormatsPass : Pass<"lariat-choose-weight-formats", "::mlir::ModuleOp"> {
  let summary = "say by rules in which format weights are stored";
  let description = [{
    `rules` are separated by commas, `ffn=bf16,@lm_head=f32`. Each names weights and a format of `#lariat.stored`; a
    format alone is a rule for all of them.

    What rules name:
    - `embed`: weights of `embed`.
    - `attention`: of products that give queries, keys or values, or read what attention gives; of products whose
      results go nowhere but into these (gates, factored projections); sinks and distance biases.
    - `ffn`: of products of D columns whose results go into products only, one of which gives D columns, and of that
      one.
    - `head`: of products that give logits, or whose results go nowhere but into these.
    - `norm`: weights and biases of `norm`.
    - `other`: of no class above: routers, adapters, values that enter arithmetic.
    - `@PATTERN`: by symbol; `*`, `?` and `[...]` as in file names.
    - `*`: all.

    A product's weights are its weight, bias and low-rank pair. Classes follow from how weights are used, not from
    names. A name decides before a class, a class before `*`, and of several names the first; what no rule is for keeps
    the format that it declares. Never chosen for: weights of other elements than f32, and rotary frequencies, which are
    exact.

    Refused: rules that are for nothing in the model, two for the same class, and rules of different formats for the
    classes of one weight (an embedding that is the head too), unless one names the weight.
    Rounding: values of weights that are given another format than f32.
    Example: test/Dialect/Lariat/Transforms/choose-weight-formats.mlir
  }];
  let options = [Option<"rules", "rules", "std::string", /*default=*/"\"f32\"", "what is stored in which format">];
  let statistics = [Statistic<"numRounded", "rounded", "weights that rules round">];
}

def VerifyStatesPass : Pass<"lariat-verify-states", "::mlir::func::FuncOp"> {
  let summary = "check that each place of a state is for one op and one step";
  let description = [{
    `shift` and `scan` give a row what the row before it left, so what they keep may come from no other op and no other
    step: refused are two ops that use the same layer of a state, unless they stand in different branches or at
    different constant depths, and one inside of a loop that is not over depth. Changes nothing. Runs before loops over
    depth are lowered. No remarks: it only checks. Rounding: unchanged.
    Example: test/Dialect/Lariat/Transforms/verify-states.mlir
  }];
  let statistics = [Statistic<"numChecked", "checked", "uses of states checked">];
}

//===----------------------------------------------------------------------===//
// Put declarations in place
//===----------------------------------------------------------------------===//

def ApplyDecodeRulePass : Pass<"lariat-apply-decode-rule", "::mlir::func::FuncOp"> {
  let summary = "replace top_k by the causal rule the model declares";
  let description = [{
    `top_k %z of %a ... decode {body}` becomes `select %a where body(%a, depth == 0, %z)`. A `top_k` without a decode
    region is refused, and nothing is changed then: such a model scores whole sequences and cannot generate.
    Rounding: unchanged, but the function computed is another one, by declaration of the model.
    Example: test/Dialect/Lariat/Transforms/apply-decode-rule.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"numReplaced", "replaced", "top_k ops replaced">];
}

def DropDecodeRulePass : Pass<"lariat-drop-decode-rule", "::mlir::func::FuncOp"> {
  let summary = "leave out the causal rule of top_k, which scoring does not ask for";
  let description = [{
    `top_k %z of %a ... decode {body}` becomes `top_k %z of %a ...`, so that nothing is computed for the rule alone.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/drop-decode-rule.mlir
  }];
  let statistics = [Statistic<"numDropped", "dropped", "decode regions left out">];
}

def ResolveKVPolicyPass : Pass<"lariat-resolve-kv-policy", "::mlir::ModuleOp"> {
  let summary = "fix what stopped rows leave in the caches, and drop keys and values no slot takes";
  let description = [{
    `missing` picks a mode in place of the declared one, for every cache that a loop appends to and that distinguishes;
    a mode that a cache does not allow is refused, naming the allowed ones, and so is one that no cache can take.

    - `compute`: rows run on to max for their keys and values only. The loop carries `done`, latched steps and a
      latched copy of each carried value whose result is used; they stop changing where the row's `stop` bit was set,
      results and steps are the latched ones, and `stop` goes. Refused without a loop that stops rows, and where the
      loop also drops rows for which the declared mode looks elsewhere (`slot0`, `copy_last`). What it leaves declares
      `compute`; a cache that declares it while its loop still stops rows is refused.
    - `propagate`, picked or declared: refused unless a fill region appends to the same layer.
    - any other mode: the appends of `fill` regions go, and with the last one the region.
    - a policy that writes at depth 0 only (`first`): the rows at that depth are selected, keys and values are taken
      there, and row-local ops that only they need run there.
    - `exit_scope = generated`: the stop bit of the loops around is set for generated rows only; refused where such a
      loop drops rows, or where another cache of it lets all rows exit.

    Refused besides: a mask that shows all later rows, where the order of the cache is sequential. Rounding: unchanged.
    Example: test/Dialect/Lariat/Transforms/resolve-kv-policy.mlir
  }];
  let options = [Option<"missing", "missing", "std::string", /*default=*/"\"\"",
                        "skip, slot0, copy_last, propagate or compute; empty for the declared mode">];
  let statistics = [Statistic<"numLatched", "latched", "loops whose stop became a latch">,
                    Statistic<"numNarrowed", "narrowed", "appends narrowed to the rows that write">,
                    Statistic<"numScoped", "scoped", "loops whose stop counts for generated rows only">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

//===----------------------------------------------------------------------===//
// Split into steps
//===----------------------------------------------------------------------===//

def DeriveStepsPass : Pass<"lariat-derive-steps", "::mlir::ModuleOp"> {
  let summary = "split a looped function into prelude, core, fill and coda";
  let description = [{
    Outlines from `@forward`, which stays: `@prelude` (what comes before the outermost `recur`), `@core` (its body, for
    rows of any depths), `@fill` (its fill region) and `@coda` (what comes after). Everything live across a loop step
    is the seat record, one row tensor per field over the rows of the call, in this order: the carried values; the
    invariants, that is outer row tensors taken inside; `max`, one index per row; what the coda needs from before the
    loop.

        @prelude(arguments of @forward) -> (entered: i1, record...)
        @core(rows, carried..., invariants...) -> (carried..., kept: i1, stop: i1)
        @fill(rows, carried..., invariants...)                                        only if the loop has a fill region
        @coda(arguments of @forward, entered: i1, finals..., steps: i32, coda values...) -> results of @forward

    Where a carried bit settles what is used of the loop, as the latch of `missing = compute` does, @core names it as
    its output "latch": for a row that has it set, @coda gives its results, whatever further steps it runs.

    A row of @core that is not kept gets back its old values. Where only a selection enters the loop, `entered` says
    which rows, and the record is zero for the others; a row with max = 0 counts as entered and takes no step. Rows of
    @prelude and @coda are at depth 0. Constants, weights and spreads of them are computed again where they are used.
    `lariat.record` on @prelude says which part of the record each result is ("entered", "carried", "invariant", "max",
    "coda"), a remark has types and bytes. Refused, naming the op: no or more than one outermost `recur`, one inside
    another op or with `from`, a loop over depth inside it, ops in the body that mix rows other than through caches and
    state (`top_k`, `attention`, `seq_reduce`, `count`, upstream ops that do not say they are row-local), outer row
    tensors that enter other than by `take`, outer scalars that are not constants, and names that exist.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/derive-steps.mlir
  }];
  let options = [Option<"entry", "entry", "std::string", /*default=*/"\"forward\"", "function to split">];
  let statistics = [Statistic<"numRecordFields", "record-fields", "values in the seat record">];
}

//===----------------------------------------------------------------------===//
// Make the loop cheaper
//===----------------------------------------------------------------------===//

def SinkTakePass : Pass<"lariat-sink-take", "::mlir::func::FuncOp"> {
  let summary = "take rows before the work on them instead of after";
  let description = [{
    `take f(%x) of %a at %k` becomes `f(take %x of %a at %k)` where f is row-local and its result is used by that take
    alone, so that f runs on the rows that are wanted (the head on the last row of each sequence). The counterpart of
    hoisting; it does not leave its block, so it does not cross a `recur`. An f indexed by depth moves only if the rows
    of %k were selected from its own. Rounding: unchanged.
    Example: test/Dialect/Lariat/Transforms/sink-take.mlir
  }];
  let statistics = [Statistic<"numMoved", "moved", "ops moved behind a take">];
}

def HoistOverDepthPass : Pass<"lariat-hoist-over-depth", "::mlir::func::FuncOp"> {
  let summary = "compute once what does not change with depth";
  let description = [{
    Inside a `recur`, a row-local op whose row operands are all `take`s of outer row tensors at one set, and that is
    not depth-indexed, moves out: `f(take %e at %a)` becomes `take f(%e) at %a`. Chains move op by op, out of nested
    loops too. A `spread` of a constant or of such a take counts as an operand and is built again outside. Not moved:
    ops indexed by depth, ops that mix rows, ops on carried values, and a `spread` by itself. The op then runs for all
    rows of the outer set, once, instead of the active rows of each step.
    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/hoist-over-depth.mlir
  }];
  let statistics = [Statistic<"numHoisted", "hoisted", "ops moved out of a loop">];
}

//===----------------------------------------------------------------------===//
// Leave the dialect
//===----------------------------------------------------------------------===//

def EraseRowSetsPass : Pass<"lariat-erase-row-sets", "::mlir::ModuleOp"> {
  let summary = "drop the labels of row sets and row tensors";
  let description = [{
    Every `!lariat.rows<"a">` becomes `!lariat.rows` and every `#lariat.of` encoding goes. Ops that need the set of a
    row tensor name it as an operand, so nothing is lost that later passes use. Runs before any `linalg` pass, which
    would make invalid IR with encodings. No remarks: every label goes. Rounding: unchanged.
    Example: test/Dialect/Lariat/Transforms/erase-row-sets.mlir
  }];
  let statistics = [Statistic<"numErased", "erased", "values whose type lost a label">];
}

def LowerRecurPass : Pass<"lariat-lower-recur", "::mlir::func::FuncOp"> {
  let summary = "turn recur into scf.while over active rows";
  let description = [{
    Needs erased row sets. Values and steps are kept for every entering row, the active rows shrink:

        cur = all; d = from
        while (count(cur) > 0 or fill) and d < max:
          a = advance cur to d
          fill(rows that stopped, at depth d)
          keep, values, stop = body(a, take carried at a)
          carried = put values of keep; steps[keep] = d + 1
          cur = select keep where not stop and d + 1 < max(row)

    Rounding: unchanged. Example: test/Dialect/Lariat/Transforms/lower-recur.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numLowered", "lowered", "loops lowered">];
}

#endif // LARIAT_PASSES_TD
