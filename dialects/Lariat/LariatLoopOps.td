// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loop over depth: recur, next, end.

#ifndef LARIAT_LOOP_OPS_TD
#define LARIAT_LOOP_OPS_TD

include "LariatOpBase.td"

def Lariat_RecurOp : Lariat_Op<"recur", [
    AttrSizedOperandSegments, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<LoopLikeOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "apply one block again and again, each row to its own depth";
  let description = [{
    Step d sees the active rows A(d) and their carried values; `lariat.next` names the rows it keeps, K.

        t in A(d), not in K                    stops with the value it came in with, steps = d
        t in K with its stop bit, or d+1 = max  stops with its new value,             steps = d + 1
        every other t in K                     is in A(d + 1)

    A row enters at depth `from` (0 unless given) and `max` is one bound for all rows or one per row; a row with
    max <= from does not enter: its inits are returned and its steps are `from`. Results are in the order and set of
    the entering rows. Nothing in the body names a depth: ops that index by depth take the rows. Nothing is promised
    about the order in which the rows of one step are computed. Depths go to 1048576; a loop that goes further ends the
    call with an error.

    In a loop inside of another one rows have the depth of the inner one. Memory tells apart the steps of both: `shift`,
    `scan` and the slots of policies go by D * m + d, where m bounds the inner depth d (its constant max, or the most
    that `lariat.loops` allows) and D is that of the outer loop, which may be one inside of a third.

    The `fill` region says what is done for a stopped row at each depth it did not reach, with the value it stopped
    with: row-local ops and `append` only. It runs before the body of the same depth.

    - `recur_c1`: inits, body arguments, `next` operands, `fill` arguments and results agree in number and type, the
      row set apart.
    - `recur_c2`: `next` keeps the rows of this step or a chain of selections from them.
    - `recur_c3`: a row set or row tensor from outside enters a region only as the source of `take`, the destination
      of `put`, or an operand of a nested `recur`.
    - `recur_c4`: no condition, bound or choice of an `scf` op inside derives from `depth_of`.
    - `recur_c5`: `fill` holds row-local ops and `append` only.
    - `recur_c6`: carried values are row tensors of the entering set.

    ```mlir
    func.func @halve(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>,
                     %max: index) -> tensor<?x8xf32, #lariat.of<"all">> {
      %half = arith.constant 0.5 : f32
      %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
          carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
        %f = lariat.spread %half at %a : f32 at !lariat.rows<"a"> to tensor<?x8xf32, #lariat.of<"a">>
        %y = arith.mulf %h, %f : tensor<?x8xf32, #lariat.of<"a">>
        lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>)
      }
      return %x : tensor<?x8xf32, #lariat.of<"all">>
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyTypeOf<[Index, Lariat_IndexRowTensor]>, "bound on depth, for all rows or one per entering row">:$max,
    Arg<Optional<Index>, "depth at which rows enter, 0 unless given">:$from,
    Arg<Lariat_Rows, "rows that enter">:$over,
    Arg<Variadic<Lariat_RowTensor>, "carried values at entry, row tensors of the entering set">:$initial);
  let results = (outs
    Res<Variadic<Lariat_RowTensor>, "carried values with which each row stopped">:$finals,
    Res<Lariat_StepsTensor, "i32 per row: loop steps counted from depth 0">:$steps);
  let regions = (region SizedRegion<1>:$body, MaxSizedRegion<1>:$fill);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The rows that are active in a loop step, first argument of the body.
    ::mlir::TypedValue<::lariat::RowsType> getStepRows();
    /// The stopped rows, first argument of `fill`; null without one.
    ::mlir::Value getFillRows();
    ::mlir::Block::BlockArgListType getCarried() { return getBody().front().getArguments().drop_front(); }
    ::lariat::NextOp getNext();
    bool hasFill() { return !getFill().empty(); }
  }];
}

def Lariat_NextOp : Lariat_Op<"next", [AttrSizedOperandSegments, Terminator, Pure, HasParent<"RecurOp">]> {
  let summary = "end a loop step: which rows it keeps, with which values, and which of them stop";
  let description = [{
    Rows of the step that are not kept stop with the values they came in with; a kept row whose `stop` bit is set
    stops with its new values. Without `stop` no kept row stops before max.

    - `next_c1`: `stop` is one bit per kept row.

    ```mlir
    func.func @until(%all: !lariat.rows<"all">, %x0: tensor<?xf32, #lariat.of<"all">>, %max: index,
                     %limit: f32) -> tensor<?xf32, #lariat.of<"all">> {
      %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
          carry(%h = %x0 : tensor<?xf32, #lariat.of<"all">>) {
        %y = arith.addf %h, %h : tensor<?xf32, #lariat.of<"a">>
        %l = lariat.spread %limit at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
        %done = arith.cmpf ogt, %y, %l : tensor<?xf32, #lariat.of<"a">>
        lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?xf32, #lariat.of<"a">>) stop(%done)
      }
      return %x : tensor<?xf32, #lariat.of<"all">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_Rows, "rows that go on or stop with their new values">:$kept,
                       Arg<Variadic<Lariat_RowTensor>, "new carried values of the kept rows">:$values,
                       Arg<Optional<Lariat_BitRowTensor>, "bit per kept row: stops after this step">:$stop);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Lariat_EndOp : Lariat_Op<"end", [Terminator, Pure, ParentOneOf<["RecurOp", "TopKOp"]>]> {
  let summary = "end a fill or decode region";
  let description = [{
    Without operand it ends the `fill` region of `recur`; with one bit per row it ends the `decode` region of `top_k`.
    No constraints beyond those of the enclosing op. Example: see `top_k`.

    ```mlir
    lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = propagate>)
    func.func @fill(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
      %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
          carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
        lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
        lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
      } fill(%s : !lariat.rows<"s">, %f) {
        lariat.append @kv[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
        lariat.end
      }
      return
    }
    ```
  }];
  let arguments = (ins Arg<Optional<Lariat_BitRowTensor>, "bit per row: goes on">:$go);
  let assemblyFormat = "($go^ `:` type($go))? attr-dict";
}

#endif // LARIAT_LOOP_OPS_TD
