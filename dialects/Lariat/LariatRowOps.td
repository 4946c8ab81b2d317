// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops on row sets: selection, movement between sets, facts of a row, reductions of one row or one sequence, routing.

#ifndef LARIAT_ROW_OPS_TD
#define LARIAT_ROW_OPS_TD

include "LariatOpBase.td"

//===----------------------------------------------------------------------===//
// Sets
//===----------------------------------------------------------------------===//

def Lariat_SelectOp : Lariat_Op<"select", [Pure, Lariat_RowChoiceOpInterface,
                                           RowTensorMatches<"from", "where", "bit">]> {
  let summary = "keep the rows whose bit is set";
  let description = [{
    The result holds the rows of `from` whose bit is set, in the same order. It may be empty.

    - `select_c1`: the result has a label of its own, or neither set has one.

    ```mlir
    func.func @select(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>) -> !lariat.rows<"k"> {
      %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
      return %k : !lariat.rows<"k">
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_Rows, "rows to choose from">:$from, Arg<Lariat_BitRowTensor, "bit per row">:$where);
  let results = (outs Res<Lariat_Rows, "the chosen rows">:$result);
  let assemblyFormat = "$from `where` $where attr-dict `:` type($from) `to` type($result)";
  let hasVerifier = 1;
}

def Lariat_LastOp : Lariat_Op<"last", [Pure, Lariat_RowChoiceOpInterface]> {
  let summary = "keep the rows whose logits are wanted";
  let description = [{
    The caller marks rows: all of them when scoring, the last row of each sequence when generating.

    - `last_c1`: the result has a label of its own, or neither set has one.

    ```mlir
    func.func @last(%a: !lariat.rows<"a">) -> !lariat.rows<"wanted"> {
      %w = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"wanted">
      return %w : !lariat.rows<"wanted">
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_Rows, "rows to choose from">:$from);
  let results = (outs Res<Lariat_Rows, "the wanted rows">:$result);
  let assemblyFormat = "$from attr-dict `:` type($from) `to` type($result)";
  let hasVerifier = 1;
}

def Lariat_TopKOp : Lariat_Op<"top_k", [Pure, Lariat_RowChoiceOpInterface, RowsOf<"scores", "from">]> {
  let summary = "keep the k rows of each sequence with the largest scores";
  let description = [{
    For each sequence with S rows in the root set, rows at depth d keep k = max(1, floor(S * capacity(d))) of `from`:
    those with the largest scores, ties to the earlier row, in their old order; all of them where there are fewer.
    `counts` are for capacities that are known only when running: at depth d a row looks at its column d, or the last
    one past the end, and a number above 0 there is its k. All rows of a sequence should have the same ones.
    This is not causal, so a model that generates declares `decode`: a causal substitute that decides each row from
    its own score. Its arguments are the rows, a bit that says whether a row is at depth 0, and the scores.
    `lariat-apply-decode-rule` puts it in place.

    - `top_k_c1`: the result has a label of its own, or neither set has one.
    - `top_k_c2`: scores are one float per row.
    - `top_k_c3`: `decode` takes (rows, bits, scores) of this set and ends with one bit per row.
    - `top_k_c4`: `counts` has a column for each number of `capacity`.

    ```mlir
    func.func @route(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
      %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
      decode {
      ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
        %zero = arith.constant 0.0 : f32
        %t = lariat.spread %zero at %r : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
        %pass = arith.cmpf oge, %s, %t : tensor<?xf32, #lariat.of<"a">>
        %go = arith.ori %first, %pass : tensor<?xi1, #lariat.of<"a">>
        lariat.end %go : tensor<?xi1, #lariat.of<"a">>
      }
      return %k : !lariat.rows<"k">
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_FloatRowTensor, "score per row">:$scores, Arg<Lariat_Rows, "rows scored">:$from,
                       Lariat_CapacityAttr:$capacity,
                       Arg<Optional<Lariat_StepsTensor>, "rows to keep per depth, 0: by capacity">:$counts);
  let results = (outs Res<Lariat_Rows, "the kept rows">:$result);
  let regions = (region MaxSizedRegion<1>:$decode);
  let assemblyFormat = "$scores `of` $from `capacity` `(` $capacity `)` (`counts` `(` $counts^ `:` type($counts) `)`)? "
                       "attr-dict `:` type($scores) `to` type($result) (`decode` $decode^)?";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Lariat_AdvanceOp : Lariat_Op<"advance", [Pure, AllTypesMatch<["from", "result"]>]> {
  let summary = "the same rows at another depth";
  let description = [{
    The rows of `from`, each at its next depth, or all at depth `to`. The set and its label stay the same, so row
    tensors of it may be used with either. A depth below 0 or above 1048576 ends the call with an error.

    - `advance_c1`: a constant `to` is such a depth.

    ```mlir
    func.func @advance(%a: !lariat.rows<"a">) -> !lariat.rows<"a"> {
      %b = lariat.advance %a : !lariat.rows<"a">
      return %b : !lariat.rows<"a">
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_Rows, "rows">:$from, Arg<Optional<Index>, "depth for all of them">:$to);
  let results = (outs Res<Lariat_Rows, "the same rows at another depth">:$result);
  let assemblyFormat = "$from (`to` $to^)? attr-dict `:` type($from)";
  let hasVerifier = 1;
}

def Lariat_CountOp : Lariat_Op<"count", [Pure]> {
  let summary = "number of rows in a set";
  let description = [{
    Of all sequences of a call, so no value of a row may follow from it: it is the size of a row tensor
    (`tensor.empty`, slices of columns), and `lariat-verify-row-mixing` refuses every other use in an entry function.
    No constraints beyond the types.

    ```mlir
    func.func @count(%a: !lariat.rows<"a">) -> index {
      %n = lariat.count %a : !lariat.rows<"a">
      return %n : index
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_Rows, "rows">:$rows);
  let results = (outs Res<Index, "how many">:$result);
  let assemblyFormat = "$rows attr-dict `:` type($rows)";
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

def Lariat_TakeOp : Lariat_Op<"take", [Pure, RowsOf<"value", "from">, InferTypeOpAdaptor]> {
  let summary = "the entries of a row tensor at some of its rows";
  let description = [{
    Row t of the result is row t of `value`, for each t in `at`. `at` must hold rows of `from` only; where labels are
    known this is checked by `lariat-verify-row-sets`.

    - `take_c1`: `value` belongs to `from`.

    ```mlir
    func.func @take(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">,
                    %k: !lariat.rows<"k">) -> tensor<?x4xf32, #lariat.of<"k">> {
      %y = lariat.take %x of %a at %k : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"k">
      return %y : tensor<?x4xf32, #lariat.of<"k">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_RowTensor, "entries of the rows of `from`">:$value, Arg<Lariat_Rows, "its set">:$from,
                       Arg<Lariat_Rows, "rows wanted, a part of `from`">:$at);
  let results = (outs Res<Lariat_RowTensor, "entries of the rows of `at`">:$result);
  let assemblyFormat = "$value `of` $from `at` $at attr-dict `:` type($value) `at` type($at)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Lariat_PutOp : Lariat_Op<"put", [Pure, RowsOf<"value", "from">, RowsOf<"into", "of">,
    AllTypesMatch<["into", "result"]>]> {
  let summary = "replace or add to the entries of some rows";
  let description = [{
    Row t of the result is row t of `value` for t in `from` (added to row t of `into` with `add`), and row t of `into`
    otherwise. Rows are unique, so the order does not matter.

    - `put_c1`: each value belongs to the set named beside it, and the two tensors agree but for the row set.

    ```mlir
    func.func @put(%v: tensor<?x4xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">, %x: tensor<?x4xf32, #lariat.of<"a">>,
                   %a: !lariat.rows<"a">) -> tensor<?x4xf32, #lariat.of<"a">> {
      %y = lariat.put %v of %k into %x of %a by add : tensor<?x4xf32, #lariat.of<"k">> into
          tensor<?x4xf32, #lariat.of<"a">>
      return %y : tensor<?x4xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_RowTensor, "new entries">:$value, Arg<Lariat_Rows, "their set, a part of `of`">:$from,
                       Arg<Lariat_RowTensor, "tensor to change">:$into, Arg<Lariat_Rows, "its set">:$of,
                       DefaultValuedAttr<Lariat_PutKindAttr, "::lariat::PutKind::Replace">:$kind);
  let results = (outs Res<Lariat_RowTensor, "the changed tensor">:$result);
  let assemblyFormat = "$value `of` $from `into` $into `of` $of (`by` custom<Keyword>($kind)^)? attr-dict `:` "
                       "type($value) `into` type($into)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Lariat_SpreadOp : Lariat_RowLocalOp<"spread"> {
  let summary = "give every row the same value, or every column of a row its value";
  let description = [{
    A scalar fills the result, a static tensor is repeated for each row, a row tensor of rank 1 is repeated over the
    columns. Elementwise broadcasting without a map.

    - `spread_c1`: the result is a row tensor of `at` with the value's element type.
    - `spread_c2`: a static value has the shape of one row of the result; a per-row value has rank 1.

    ```mlir
    func.func @spread(%g: tensor<?xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) -> tensor<?x4xf32, #lariat.of<"a">> {
      %s = lariat.spread %g at %a : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"a"> to
          tensor<?x4xf32, #lariat.of<"a">>
      return %s : tensor<?x4xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<AnyType, "scalar, value of one row, or one value per row">:$value,
                       Arg<Lariat_Rows, "rows of the result">:$at);
  let results = (outs Res<Lariat_RowTensor, "the repeated value">:$result);
  let assemblyFormat = "$value `at` $at attr-dict `:` type($value) `at` type($at) `to` type($result)";
  let hasVerifier = 1;
}

def Lariat_ConcatOp : Lariat_RowLocalOp<"concat"> {
  let summary = "put the columns of row tensors side by side";
  let description = [{
    Row t of the result is row t of each operand, one after the other. `tensor.concat` would do the same, but upstream
    canonicalisation drops and restores the encoding of its operands with casts, which row sets do not allow.

    - `concat_c1`: at least one operand; operands and result have rank 2, one set and one element type.
    - `concat_c2`: the result has as many columns as the operands together.

    ```mlir
    func.func @inject(%s: tensor<?x4xf32, #lariat.of<"a">>, %e: tensor<?x2xf32, #lariat.of<"a">>)
        -> tensor<?x6xf32, #lariat.of<"a">> {
      %y = lariat.concat %s, %e : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x2xf32, #lariat.of<"a">> to
          tensor<?x6xf32, #lariat.of<"a">>
      return %y : tensor<?x6xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<Lariat_RowTensor>, "columns, from left to right">:$inputs);
  let results = (outs Res<Lariat_RowTensor, "all columns">:$result);
  let assemblyFormat = "$inputs attr-dict `:` type($inputs) `to` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Facts of a row
//===----------------------------------------------------------------------===//

class Lariat_FactOp<string mnemonic, string word, string rule = "Zero-based."> : Lariat_Op<mnemonic, [Pure,
    RowTensorMatches<"rows", "result", "index">]> {
  let description = rule # " No constraints beyond the types.\n\n" #
    "```mlir\nfunc.func @" # mnemonic # "(%a: !lariat.rows<\"a\">) -> tensor<?xindex, #lariat.of<\"a\">> {\n" #
    "  %" # word # " = lariat." # mnemonic # " %a : !lariat.rows<\"a\">\n" #
    "  return %" # word # " : tensor<?xindex, #lariat.of<\"a\">>\n}\n```\n";
  let arguments = (ins Arg<Lariat_Rows, "rows">:$rows);
  let results = (outs Res<Lariat_IndexRowTensor, "one index per row">:$result);
  let assemblyFormat = "$rows attr-dict `:` type($rows)";
}

def Lariat_PositionOfOp : Lariat_FactOp<"position_of", "position"> {
  let summary = "the position of each row in its sequence";
}

def Lariat_DepthOfOp : Lariat_FactOp<"depth_of", "depth"> {
  let summary = "the depth of each row";
}

def Lariat_GeneratedOfOp : Lariat_FactOp<"generated_of", "generated",
    "1 for a row whose token was generated, 0 for one of the prompt."> {
  let summary = "whether the token of each row was generated";
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

def Lariat_RowReduceOp : Lariat_RowLocalOp<"row_reduce", [OnePerRow<"value", "result", "::mlir::Type()">]> {
  let summary = "reduce the columns of each row";
  let description = [{
    `sum` adds in column order, `max` is the largest column, `second_max` the largest once one occurrence of the
    maximum is left out (-inf where there is only one column).

    - `row_reduce_c1`: the operand has rank 2, the result is one value per row of the same set and element type.

    ```mlir
    func.func @largest(%p: tensor<?x9xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
      %m = lariat.row_reduce max %p : tensor<?x9xf32, #lariat.of<"a">>
      return %m : tensor<?xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Lariat_ReduceKindAttr:$kind, Arg<Lariat_FloatRowTensor, "columns per row">:$value);
  let results = (outs Res<Lariat_FloatRowTensor, "one value per row">:$result);
  let assemblyFormat = "custom<Keyword>($kind) $value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Lariat_ArgmaxOp : Lariat_RowLocalOp<"argmax", [
    OnePerRow<"value", "result", "::mlir::IntegerType::get($_ctxt, 32)">]> {
  let summary = "the column with the largest value of each row";
  let description = [{
    Ties go to the lower column.

    - `argmax_c1`: the operand has rank 2; the result is one i32 per row of the same set.

    ```mlir
    func.func @choose(%p: tensor<?x9xf32, #lariat.of<"a">>) -> tensor<?xi32, #lariat.of<"a">> {
      %m = lariat.argmax %p : tensor<?x9xf32, #lariat.of<"a">>
      return %m : tensor<?xi32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_FloatRowTensor, "columns per row">:$value);
  let results = (outs Res<Lariat_StepsTensor, "column per row">:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Lariat_SeqReduceOp : Lariat_Op<"seq_reduce", [Pure, RowsOf<"value", "at">, AllTypesMatch<["value", "result"]>]> {
  let summary = "reduce over the rows of each sequence and give every row the result";
  let description = [{
    Rows of `at` that belong to one sequence receive the same value: whether any or all of their bits are set, or the
    mean of their values (added in position order).

    - `seq_reduce_c1`: `any` and `all` take bits, `mean` floats, of rank 1.

    ```mlir
    func.func @together(%m: tensor<?xi1, #lariat.of<"a">>, %a: !lariat.rows<"a">) -> tensor<?xi1, #lariat.of<"a">> {
      %all = lariat.seq_reduce all %m at %a : tensor<?xi1, #lariat.of<"a">>
      return %all : tensor<?xi1, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Lariat_SeqReduceKindAttr:$kind, Arg<Lariat_RowTensor, "value per row">:$value,
                       Arg<Lariat_Rows, "its set">:$at);
  let results = (outs Res<Lariat_RowTensor, "result of the row's sequence">:$result);
  let assemblyFormat = "custom<Keyword>($kind) $value `at` $at attr-dict `:` type($value)";
  let hasVerifier = 1;
}

#endif // LARIAT_ROW_OPS_TD
