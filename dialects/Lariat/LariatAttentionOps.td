// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention over the rows of a call or through a cache, and state carried along a sequence.

#ifndef LARIAT_ATTENTION_OPS_TD
#define LARIAT_ATTENTION_OPS_TD

include "LariatOpBase.td"

def Lariat_CacheOp : Lariat_Op<"cache", [Symbol]> {
  let summary = "declare a KV cache and its policy";
  let description = [{
    Keys and values of `layers` layers, `heads` KV heads of `dim` values each. The policy says which slot a row at
    depth d writes, which entries it sees, and what a row that stopped early leaves in deeper slots. `depths` bounds
    the depths that occur, where the model bounds them. Keys are stored as they are given, that is after rotation.

    - `cache_c1`: layers, heads and dim are positive.

    ```mlir
    lariat.cache @kv layers(4) heads(2) dim(32) depths(3) : f32 policy(#lariat.own<missing = skip>)
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ConfinedAttr<I64Attr, [IntPositive]>:$layers,
                       ConfinedAttr<I64Attr, [IntPositive]>:$heads, ConfinedAttr<I64Attr, [IntPositive]>:$dim,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$depths, TypeAttrOf<AnyFloat>:$type,
                       Lariat_KVPolicy:$policy);
  let assemblyFormat = "$sym_name `layers` `(` $layers `)` `heads` `(` $heads `)` `dim` `(` $dim `)` "
                       "(`depths` `(` $depths^ `)`)? `:` $type `policy` `(` $policy `)` attr-dict";
}

def Lariat_StateOp : Lariat_Op<"state", [Symbol]> {
  let summary = "declare per-sequence memory that is not keys and values";
  let description = [{
    `width` values per sequence, layer and depth, zero at the start of a sequence: token shift, recurrent mixers. In a
    loop inside of another one a depth is that of both: step d of the inner loop in step D of the outer one. Each place
    is for one op: `lariat-verify-states` refuses two that use the same layer, and steps of a loop that is not over
    depth, which would share it. No constraints beyond the attributes.

    ```mlir
    lariat.state @shift layers(1) width(8) : f32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ConfinedAttr<I64Attr, [IntPositive]>:$layers,
                       ConfinedAttr<I64Attr, [IntPositive]>:$width, TypeAttrOf<AnyFloat>:$type);
  let assemblyFormat = "$sym_name `layers` `(` $layers `)` `width` `(` $width `)` `:` $type attr-dict";
}

def Lariat_AttentionOp : Lariat_Op<"attention", [Pure, RowsOf<"query", "at">, AllTypesMatch<["key", "value"]>,
    AllTypesMatch<["query", "result"]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "attention among the rows of this call";
  let description = [{
    Row t, head h of H sees the rows u of its sequence that `mask` admits, through KV head floor(h * G / H) of G:

        out(t, h) = sum over u of softmax_u(cap(scale * q(t, h) . k(u, g)) + bias) v(u, g)

    `scale` is 1 / sqrt(head width) unless given, cap(s) = softcap * tanh(s / softcap). `sinks` adds one column of
    score sinks[h] and value 0; `distance_bias` adds bias[h, p - u] for 0 <= p - u < extent. An output gate is
    arithmetic of the model. A row that sees nothing gives 0.

    - `attention_c1`: `heads(H, G)` with H a multiple of G; the columns of query and key are H * w and G * w.
    - `attention_c2`: `sinks` has H entries, `distance_bias` H rows.

    ```mlir
    func.func @encode(%q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"a">>,
                      %v: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
        -> tensor<?x64xf32, #lariat.of<"a">> {
      %o = lariat.attention %q, %k, %v at %a heads(4, 2) mask(<full>) : tensor<?x64xf32, #lariat.of<"a">>,
          tensor<?x32xf32, #lariat.of<"a">>
      return %o : tensor<?x64xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins Arg<Lariat_FloatRowTensor, "H * w columns per row">:$query,
                       Arg<Lariat_FloatRowTensor, "G * w columns per row">:$key,
                       Arg<Lariat_FloatRowTensor, "G * w columns per row">:$value,
                       Arg<Lariat_Rows, "rows of all three">:$at, ConfinedAttr<I64Attr, [IntPositive]>:$query_heads,
                       ConfinedAttr<I64Attr, [IntPositive]>:$kv_heads, Lariat_MaskAttr:$mask,
                       OptionalAttr<F64Attr>:$scale, OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<FlatSymbolRefAttr>:$sinks, OptionalAttr<FlatSymbolRefAttr>:$distance_bias);
  let results = (outs Res<Lariat_FloatRowTensor, "H * w columns per row">:$result);
  let assemblyFormat = "$query `,` $key `,` $value `at` $at `heads` `(` $query_heads `,` $kv_heads `)` "
                       "`mask` `(` $mask `)` (`scale` `(` $scale^ `)`)? (`softcap` `(` $softcap^ `)`)? "
                       "(`sinks` `(` $sinks^ `)`)? (`distance_bias` `(` $distance_bias^ `)`)? attr-dict "
                       "`:` type($query) `,` type($key)";
  let hasVerifier = 1;
}

def Lariat_AppendOp : Lariat_Op<"append", [RowsOf<"key", "at">, AllTypesMatch<["key", "value"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "write keys and values of rows to a cache";
  let description = [{
    Writes one entry per row of `at`, in the slot that the cache's policy names for the row's depth (or in `slot`, for
    loops that are not over depth), at the row's position. A policy may name no slot; then nothing is written.
    Appending a row again replaces its entry. `filled` marks entries that stand for a row that had stopped, which
    accounting tells apart; passes set it on what comes from a `fill` region. A slot that the cache does not have ends
    the call with an error.

    - `append_c1`: the symbol is a cache, the layer is one of its layers.
    - `append_c2`: keys and values have heads * dim columns.
    - `append_c3`: a constant slot, by hand or of rows at a constant depth, is one that `depths` leaves.

    ```mlir
    lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.own<missing = skip>)
    func.func @write(%k: tensor<?x32xf32, #lariat.of<"a">>, %v: tensor<?x32xf32, #lariat.of<"a">>,
                     %a: !lariat.rows<"a">) {
      lariat.append @kv[0] %k, %v at %a : tensor<?x32xf32, #lariat.of<"a">>
      return
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$cache, I64Attr:$layer, Arg<Lariat_FloatRowTensor, "keys">:$key,
                       Arg<Lariat_FloatRowTensor, "values">:$value, Arg<Lariat_Rows, "their rows">:$at,
                       UnitAttr:$filled, Arg<Optional<Index>, "slot in place of the policy's">:$slot);
  let assemblyFormat = "$cache `[` $layer `]` $key `,` $value `at` $at (`slot` `(` $slot^ `)`)? (`filled` $filled^)? "
                       "attr-dict `:` type($key)";
}

def Lariat_AttendOp : Lariat_Op<"attend", [RowsOf<"query", "at">, AllTypesMatch<["query", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "attention through a cache";
  let description = [{
    As `attention`, over the entries of the row's sequence that the cache's policy shows a row at this depth and
    `mask` admits, in position order; entries appended earlier in the same call count, later ones do not. With `slot`
    the entries of that slot. A slot that the cache does not have ends the call with an error.

    - `attend_c1`: the symbol is a cache, the layer is one of its layers.
    - `attend_c2`: the query has heads(H) * dim columns, H a multiple of the cache's heads.
    - `attend_c3`: `sinks` has H entries, `distance_bias` H rows.
    - `attend_c4`: a constant slot, by hand or of rows at a constant depth, is one that `depths` leaves.

    ```mlir
    lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.own<missing = skip>)
    func.func @read(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
        -> tensor<?x64xf32, #lariat.of<"a">> {
      %o = lariat.attend @kv[0] %q at %a heads(4) mask(<causal>) : tensor<?x64xf32, #lariat.of<"a">>
      return %o : tensor<?x64xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$cache, I64Attr:$layer, Arg<Lariat_FloatRowTensor, "queries">:$query,
                       Arg<Lariat_Rows, "their rows">:$at, ConfinedAttr<I64Attr, [IntPositive]>:$heads,
                       Lariat_MaskAttr:$mask, OptionalAttr<F64Attr>:$scale, OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<FlatSymbolRefAttr>:$sinks, OptionalAttr<FlatSymbolRefAttr>:$distance_bias,
                       Arg<Optional<Index>, "slot in place of the policy's">:$slot);
  let results = (outs Res<Lariat_FloatRowTensor, "H * dim columns per row">:$result);
  let assemblyFormat = "$cache `[` $layer `]` $query `at` $at `heads` `(` $heads `)` `mask` `(` $mask `)` "
                       "(`scale` `(` $scale^ `)`)? (`softcap` `(` $softcap^ `)`)? (`sinks` `(` $sinks^ `)`)? "
                       "(`distance_bias` `(` $distance_bias^ `)`)? (`slot` `(` $slot^ `)`)? attr-dict `:` type($query)";
}

def Lariat_ShiftOp : Lariat_Op<"shift", [RowsOf<"value", "at">, AllTypesMatch<["value", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "the value of the previous row of the sequence";
  let description = [{
    Row t receives the value of the row before it that reached the same depth, zero for the first; the last row's value
    stays in the state for the next call.

    - `shift_c1`: the symbol is a state of as many columns, the layer is one of its layers.

    ```mlir
    lariat.state @shift layers(1) width(8) : f32
    func.func @previous(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
        -> tensor<?x8xf32, #lariat.of<"a">> {
      %y = lariat.shift @shift[0] %x at %a : tensor<?x8xf32, #lariat.of<"a">>
      return %y : tensor<?x8xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$state, I64Attr:$layer, Arg<Lariat_FloatRowTensor, "value per row">:$value,
                       Arg<Lariat_Rows, "its rows">:$at);
  let results = (outs Res<Lariat_FloatRowTensor, "value of the row before">:$result);
  let assemblyFormat = "$state `[` $layer `]` $value `at` $at attr-dict `:` type($value)";
}

def Lariat_ScanOp : Lariat_Op<"scan", [RowsOf<"value", "at">, AllTypesMatch<["decay", "value", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a linear recurrence along the sequence";
  let description = [{
    s(t) = decay(t) * s(t - 1) + value(t), elementwise, over the rows of the sequence that reached the same depth, with
    s = 0 before the first; the result is s(t) and the last one stays in the state for the next call.

    - `scan_c1`: the symbol is a state of as many columns, the layer is one of its layers.

    ```mlir
    lariat.state @s layers(1) width(8) : f32
    func.func @recurrence(%d: tensor<?x8xf32, #lariat.of<"a">>, %x: tensor<?x8xf32, #lariat.of<"a">>,
                          %a: !lariat.rows<"a">) -> tensor<?x8xf32, #lariat.of<"a">> {
      %y = lariat.scan @s[0] %d, %x at %a : tensor<?x8xf32, #lariat.of<"a">>
      return %y : tensor<?x8xf32, #lariat.of<"a">>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$state, I64Attr:$layer, Arg<Lariat_FloatRowTensor, "factor per row">:$decay,
                       Arg<Lariat_FloatRowTensor, "addend per row">:$value, Arg<Lariat_Rows, "their rows">:$at);
  let results = (outs Res<Lariat_FloatRowTensor, "the state after each row">:$result);
  let assemblyFormat = "$state `[` $layer `]` $decay `,` $value `at` $at attr-dict `:` type($value)";
}

#endif // LARIAT_ATTENTION_OPS_TD
