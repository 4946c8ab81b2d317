// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights and the row-local ops that use them: linear, embed, norm; rotary position.

#ifndef LARIAT_WEIGHT_OPS_TD
#define LARIAT_WEIGHT_OPS_TD

include "LariatOpBase.td"

def Lariat_WeightOp : Lariat_Op<"weight", [Symbol]> {
  let summary = "declare a named weight";
  let description = [{
    `type` is the shape of one depth. With `depths(n)` the weight is depth-indexed and the ops that use it name rows;
    a depth past n - 1 ends the call with an error, or uses the last one with `beyond = clamp`. The data stays in the
    checkpoint (`from`) or is inline (`value`, for tests). `stored` says what its values are rounded to, f32 unless
    given; `lariat-choose-weight-formats` writes it.

    - `weight_c1`: the type has a static shape.
    - `weight_c2`: exactly one of `from` and `value` is present, and an inline value has the declared shape, led by
      the number of depths where it is depth-indexed.
    - `weight_c3`: a stacked source has one key per depth.
    - `weight_c4`: a weight that is stored in another format than f32 has elements of type f32.

    ```mlir
    lariat.weight @q : tensor<16x8xf32> from <"model.layers.0.self_attn.q_proj.weight">
    lariat.weight @router : tensor<8xf32> depths(2) from <stack = ["routers.0.weight", "routers.1.weight"]>
    lariat.weight @scale : tensor<2xf32> value dense<[1.0, 2.0]> : tensor<2xf32>
    lariat.weight @up : tensor<32x8xf32> stored <bf16> from <"model.layers.0.mlp.up_proj.weight">
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$depths,
                       DefaultValuedAttr<Lariat_BeyondAttr, "::lariat::Beyond::Error">:$beyond,
                       DefaultValuedAttr<Lariat_StoredAttr, "::lariat::StoredFormat::F32">:$stored,
                       OptionalAttr<Lariat_SourceAttr>:$source, OptionalAttr<ElementsAttr>:$value);
  let assemblyFormat = "$sym_name `:` $type (`depths` `(` $depths^ (`,` `beyond` `=` custom<Keyword>($beyond)^)? `)`)? "
                       "(`stored` $stored^)? (`from` $source^)? (`value` $value^)? attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getType()); }
  }];
}

def Lariat_ValueOfOp : Lariat_RowLocalOp<"value_of", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a weight as a tensor value";
  let description = [{
    For weights that enter arithmetic directly, such as a stored initial state or a gate per loop step. Of a
    depth-indexed weight, which each row of `by` chooses by its depth, it is a row tensor.

    - `value_of_c1`: the symbol is a weight of the result's type.
    - `value_of_c2`: `by` is given exactly if the weight is depth-indexed; then the weight has rank 1 and the result is
      a row tensor of `by` with as many columns.
    - `value_of_c3`: rows at a constant depth find it in the weight, unless that has `beyond = clamp`.

    ```mlir
    lariat.weight @z : tensor<8xf32> from <"model.z_L_init">
    lariat.weight @gate : tensor<8xf32> depths(2) from <stack = ["gates.0", "gates.1"]>
    func.func @init(%a: !lariat.rows<"a">) -> tensor<?x8xf32, #lariat.of<"a">> {
      %z = lariat.value_of @z : tensor<8xf32>
      %s = lariat.spread %z at %a : tensor<8xf32> at !lariat.rows<"a"> to tensor<?x8xf32, #lariat.of<"a">>
      %g = lariat.value_of @gate : tensor<?x8xf32, #lariat.of<"a">> by %a : !lariat.rows<"a">
      %y = arith.mulf %s, %g : tensor<?x8xf32, #lariat.of<"a">>
      return %y : tensor<?x8xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight, Arg<Optional<Lariat_Rows>, "rows whose depth indexes it">:$by);
  let results = (outs Res<AnyRankedTensor, "the weight">:$result);
  let assemblyFormat = "$weight attr-dict `:` type($result) (`by` $by^ `:` type($by))?";
}

def Lariat_LinearOp : Lariat_RowLocalOp<"linear", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "multiply each row by a weight stored as (out, in)";
  let description = [{
    y = W x + b, and with a low-rank pair y = W x + b + scale * B (A x). A weight of shape (in) gives one value per row.
    Weights, bias and pair may each be depth-indexed; then `by` names the rows whose depth chooses. Each output is one
    sum with the input index ascending.

    - `linear_c1`: weight (N, K) or (K) meets rows of K columns and gives N columns or one value.
    - `linear_c2`: the bias has N entries.
    - `linear_c3`: the low-rank pair is A (r, K) and B (N, r), given together with `scale`.
    - `linear_c4`: `by` is given exactly if one of the weights is depth-indexed, and is the rows of the operand.
    - `linear_c5`: rows at a constant depth find it in each weight, unless that has `beyond = clamp`.

    ```mlir
    lariat.weight @w : tensor<16x8xf32> from <"w">
    lariat.weight @a : tensor<2x8xf32> depths(2) from <stack = ["a0", "a1"]>
    lariat.weight @b : tensor<16x2xf32> depths(2) from <stack = ["b0", "b1"]>
    func.func @project(%x: tensor<?x8xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">)
        -> tensor<?x16xf32, #lariat.of<"a">> {
      %y = lariat.linear %x, @w low_rank(@a, @b) scale(2.0) : tensor<?x8xf32, #lariat.of<"a">> to
          tensor<?x16xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
      return %y : tensor<?x16xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_FloatRowTensor, "K columns per row">:$input, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias, OptionalAttr<FlatSymbolRefAttr>:$low_rank_a,
                       OptionalAttr<FlatSymbolRefAttr>:$low_rank_b, OptionalAttr<F64Attr>:$scale,
                       Arg<Optional<Lariat_Rows>, "rows whose depth indexes the weights">:$by);
  let results = (outs Res<Lariat_FloatRowTensor, "N columns or one value per row">:$result);
  let assemblyFormat = "$input `,` $weight (`bias` `(` $bias^ `)`)? "
                       "(`low_rank` `(` $low_rank_a^ `,` $low_rank_b `)` `scale` `(` $scale `)`)? "
                       "attr-dict `:` type($input) `to` type($result) (`by` $by^ `:` type($by))?";
  let hasVerifier = 1;
}

def Lariat_EmbedOp : Lariat_RowLocalOp<"embed", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "one row of a weight for each row";
  let description = [{
    Row t of the result is row ids[t] of the weight, zeros for an id that the weight does not have, below 0 or past its
    end. Such an id can only be one that the model computes: those of a request are checked before it runs.

    - `embed_c1`: weight (V, D), ids of rank 1, result of D columns.

    ```mlir
    lariat.weight @e : tensor<320x8xf32> from <"model.embed_tokens.weight">
    func.func @embed(%ids: tensor<?xi32, #lariat.of<"a">>) -> tensor<?x8xf32, #lariat.of<"a">> {
      %h = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
      return %h : tensor<?x8xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_IdRowTensor, "index per row">:$ids, FlatSymbolRefAttr:$weight);
  let results = (outs Res<Lariat_FloatRowTensor, "D columns per row">:$result);
  let assemblyFormat = "$ids `,` $weight attr-dict `:` type($ids) `to` type($result)";
}

def Lariat_NormOp : Lariat_RowLocalOp<"norm", [AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "normalise each row";
  let description = [{
    With n columns, in f32:

        rms     x / sqrt(mean(x^2) + eps)
        layer   (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)
        l2      x / sqrt(sum(x^2) + eps)

    then times the weight and plus the bias where given. `weight_order` says whether the weight multiplies after the
    cast to the storage type (Llama) or before it (T5, Gemma); in f32 the two agree. `groups(g)` normalises g equal
    parts of the row apart, with one weight of n / g entries (per-head norms).

    - `norm_c1`: the operand has rank 2 and its columns are a multiple of `groups`.
    - `norm_c2`: weight and bias have n / groups entries; a bias comes with a weight.
    - `norm_c3`: `by` is given exactly if weight or bias is depth-indexed, and is the rows of the operand.
    - `norm_c4`: rows at a constant depth find it in weight and bias, unless they have `beyond = clamp`.

    ```mlir
    lariat.weight @n : tensor<8xf32> from <"model.norm.weight">
    func.func @norm(%x: tensor<?x8xf32, #lariat.of<"a">>) -> tensor<?x8xf32, #lariat.of<"a">> {
      %y = lariat.norm rms %x weight(@n) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">>
      return %y : tensor<?x8xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Lariat_NormKindAttr:$kind, Arg<Lariat_FloatRowTensor, "n columns per row">:$input,
                       OptionalAttr<FlatSymbolRefAttr>:$weight, OptionalAttr<FlatSymbolRefAttr>:$bias, F64Attr:$eps,
                       DefaultValuedAttr<ConfinedAttr<I64Attr, [IntPositive]>, "1">:$groups,
                       DefaultValuedAttr<Lariat_WeightOrderAttr, "::lariat::WeightOrder::AfterCast">:$weight_order,
                       Arg<Optional<Lariat_Rows>, "rows whose depth indexes weight and bias">:$by);
  let results = (outs Res<Lariat_FloatRowTensor, "the normalised rows">:$result);
  let assemblyFormat = "custom<Keyword>($kind) $input (`weight` `(` $weight^ `)`)? (`bias` `(` $bias^ `)`)? "
                       "`eps` `(` $eps `)` (`groups` `(` $groups^ `)`)? "
                       "(`weight_order` `(` custom<Keyword>($weight_order)^ `)`)? "
                       "attr-dict `:` type($input) (`by` $by^ `:` type($by))?";
  let hasVerifier = 1;
}

def Lariat_RopeOp : Lariat_RowLocalOp<"rope", [AllTypesMatch<["input", "result"]>, RowsOf<"input", "at">,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rotate the pairs of each head by the row's position";
  let description = [{
    For each head of width w, with the first `dims` columns rotated (all of them unless given), pair i < dims / 2 and
    angle p * theta^(-2 i / dims), p being the row's position in its sequence however few rows are left:

        (x, y) -> (x cos - y sin, y cos + x sin)

    `half` pairs columns (i, i + dims / 2), `interleaved` pairs (2 i, 2 i + 1). `scaling` stretches the frequencies
    theta^(-2 i / dims); in place of both, `frequencies` gives them: a list, or a weight of shape (dims / 2), which is
    never rounded. Angles, cosines and sines are computed in f64; the latter are multiplied by `magnitude` (1
    unless given) and rounded once, to the type `angles` (f32 unless given).

    - `rope_c1`: the columns are a multiple of `heads`, the rotated width is even and fits the head.
    - `rope_c2`: theta is positive, the magnitude and listed frequencies are finite.
    - `rope_c3`: either theta or frequencies are given, of a list one per pair; scaling goes with theta.
    - `rope_c4`: a weight of frequencies has shape (dims / 2), no depths, and is stored as f32.

    ```mlir
    func.func @rope(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) -> tensor<?x64xf32, #lariat.of<"a">> {
      %y = lariat.rope %q at %r heads(2) theta(10000.0) : tensor<?x64xf32, #lariat.of<"a">>
      return %y : tensor<?x64xf32, #lariat.of<"a">>
    }
    lariat.weight @frequencies : tensor<16xf32> from #lariat.source<"model.rotary_emb.inv_freq">
    func.func @learned(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">)
        -> tensor<?x64xf32, #lariat.of<"a">> {
      %y = lariat.rope %q at %r heads(2) frequencies(@frequencies) magnitude(1.1) : tensor<?x64xf32, #lariat.of<"a">>
      return %y : tensor<?x64xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_FloatRowTensor, "heads * w columns per row">:$input,
                       Arg<Lariat_Rows, "rows of the operand">:$at, ConfinedAttr<I64Attr, [IntPositive]>:$heads,
                       OptionalAttr<F64Attr>:$theta,
                       OptionalAttr<AnyAttrOf<[FlatSymbolRefAttr, DenseF64ArrayAttr]>>:$frequencies,
                       OptionalAttr<F64Attr>:$magnitude, OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$dims,
                       DefaultValuedAttr<Lariat_RopeStyleAttr, "::lariat::RopeStyle::Half">:$style,
                       OptionalAttr<Lariat_RopeScalingAttr>:$scaling, OptionalAttr<TypeAttrOf<AnyFloat>>:$angles);
  let results = (outs Res<Lariat_FloatRowTensor, "the rotated rows">:$result);
  let assemblyFormat = "$input `at` $at `heads` `(` $heads `)` (`theta` `(` $theta^ `)`)? "
                       "(`frequencies` `(` $frequencies^ `)`)? (`magnitude` `(` $magnitude^ `)`)? "
                       "(`dims` `(` $dims^ `)`)? (`style` `(` custom<Keyword>($style)^ `)`)? "
                       "(`scaling` `(` $scaling^ `)`)? (`angles` `(` $angles^ `)`)? "
                       "attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // LARIAT_WEIGHT_OPS_TD
