// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parallel regions and the kernels that stand in them.

#ifndef LARIAT_KERNEL_PARALLEL_OPS_TD
#define LARIAT_KERNEL_PARALLEL_OPS_TD

include "KernelOpBase.td"

//===----------------------------------------------------------------------===//
// Parallel
//===----------------------------------------------------------------------===//

def Kernel_ParallelRegionOp : Kernel_Op<"parallel", [SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "kernels that all threads run, in order";
  let description = [{
    Holds parallel kernels and barriers, nothing else: no control flow, so every thread reaches every barrier. Each
    thread does its share of each kernel. The end is a barrier.

    ```mlir
    func.func @example(%n: index, %ids: memref<?xi32>, %x: memref<?x16xf32>) {
      kernel.parallel {
        kernel.embed rows(%n) ids(%ids : memref<?xi32>) @w out(%x : memref<?x16xf32>)
      }
      return
    }
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Kernel_BarrierOp : Kernel_Op<"barrier", [HasParent<"ParallelRegionOp">]> {
  let summary = "waits for all threads";
  let description = [{
    Stands before a kernel that needs what another thread wrote, or that writes what another still reads.

    ```mlir
    func.func @example() {
      kernel.parallel {
        kernel.barrier
      }
      return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["RowwiseOp", "GemmOp"]>]> {
  let summary = "results of a row or of a tile";
  let description = [{
    One value per out, or the entry of A for a prologue.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %o: memref<?xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors []
          outs(%o : memref<?xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        // the sum of the columns
        %sum = kernel.reduce sum %e : f32
        kernel.yield %sum : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<AnyType>, "results">:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

//===----------------------------------------------------------------------===//
// Row regions: rowwise, and prologue and epilogue of gemm
//===----------------------------------------------------------------------===//

def Kernel_ReduceOp : Kernel_Op<"reduce", [Pure, Kernel_ReducesColumns, AllTypesMatch<["value", "result"]>]> {
  let summary = "one value from the columns of a row";
  let description = [{
    Only in a row region. Sixteen partial results, columns j, j + 16, ... in ascending order each; then the partials
    pairwise: (0,8) (1,9) ..., (0,4) ..., (0,2) ..., (0,1). The same bits on every ISA.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %o: memref<?xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors []
          outs(%o : memref<?xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        // the sum of the columns
        %sum = kernel.reduce sum %e : f32
        kernel.yield %sum : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Kernel_ReduceKindAttr:$kind, Arg<AnyType, "value per column">:$value);
  let results = (outs Res<AnyType, "the result">:$result);
  let assemblyFormat = "$kind $value attr-dict `:` type($value)";
}

def Kernel_ArgmaxOp : Kernel_Op<"argmax", [Pure, Kernel_ReducesColumns]> {
  let summary = "the column with the largest value of a row, the first of equal ones";
  let description = [{
    Only in a row region; a NaN is larger than nothing.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %o: memref<?xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors []
          outs(%o : memref<?xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        %place = kernel.argmax %e
        %sum = kernel.reduce sum %e : f32
        kernel.yield %sum : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Arg<F32, "value per column">:$value);
  let results = (outs Res<I32, "the result">:$result);
  let assemblyFormat = "$value attr-dict";
}

def Kernel_FactOp : Kernel_Op<"fact", [Pure]> {
  let summary = "a fact about the row, from its line of the row table";
  let description = [{
    Only in a row region of a kernel with a table.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %o: memref<?xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors []
          outs(%o : memref<?xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        %depth = kernel.fact depth
        %sum = kernel.reduce sum %e : f32
        kernel.yield %sum : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Kernel_FactKindAttr:$kind);
  let results = (outs Res<Index, "the result">:$result);
  let assemblyFormat = "$kind attr-dict";
}

def Kernel_RowwiseOp
    : Kernel_ParallelOp<"rowwise", ["getPackedOperands"], [AttrSizedOperandSegments, IsolatedFromAbove, SingleBlock]> {
  let summary = "arithmetic on the columns of each row";
  let description = [{
    The body is written for one column of one row. Its arguments are, in order, one per `inputs` and one per `vectors`
    (a column of data in weights.bin); its results go to `outs`. A value is *per column* if it comes from a buffer of
    rank two or from `vectors`, or from such a value; otherwise it is *per row* (a buffer of rank one, a scalar operand,
    a fact, a reduction). An out of rank two takes per-column or per-row values, one of rank one per-row values.
    `width` is the number of columns.

    Input i is read at line `indices[gather[i]]` of the row, where gather[i] is not -1, and out i written at line
    `indices[scatter[i]]`. Depth-indexed vectors are read at the row's depth, from `table`; so are facts.
    With `groups` (G), the buffers have G * width columns and the body runs for each group of `width` of them; vectors
    have `width` columns.

    Upstream `arith` and `math` ops on scalars make up the body; constants stand in it.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %o: memref<?xf32>) {
      kernel.rowwise rows(%n) width(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors []
          outs(%o : memref<?xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        // the sum of the columns
        %sum = kernel.reduce sum %e : f32
        kernel.yield %sum : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Optional<Buffer>, "row table", [MemRead]>:$table,
    Arg<Variadic<AnyType>, "buffers, values per row, or scalars", [MemRead]>:$inputs,
    Arg<Variadic<Buffer>, "buffers to write", [MemWrite]>:$outs,
    Arg<Variadic<Buffer>, "index lists", [MemRead]>:$indices,
    I64Attr:$width, DefaultValuedAttr<I64Attr, "1">:$groups, FlatSymbolRefArrayAttr:$vectors,
    DenseI64ArrayAttr:$gather, DenseI64ArrayAttr:$scatter);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `width` `(` $width `)` (`at` $table^ `:` type($table))?
    (`ins` `(` $inputs^ `:` type($inputs) `)`)? `vectors` $vectors
    `outs` `(` $outs `:` type($outs) `)` (`indices` `(` $indices^ `:` type($indices) `)`)?
    `gather` $gather `scatter` $scatter attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Kernel_GemmOp : Kernel_ParallelOp<"gemm", ["getPackedOperands", "getFullyReadOperands"],
                                      [AttrSizedOperandSegments, IsolatedFromAbove]> {
  let summary = "rows times packed weights";
  let description = [{
    A row of A is what `prologue` yields (a row region of width K, arguments as in rowwise: `inputs`, then
    `prologue_vectors`). Then acc_s = A W_sᵀ for each of `weights`, all of N rows; `sum` says in which order, one
    chain of fma with k ascending, whatever the number of rows. `epilogue` is written for one column of one row, has no
    reductions, and gets acc_s in order, then one argument per `extras` (read like inputs: buffers of N columns, per
    row, or scalars), then one per `epilogue_vectors`; its results go to `outs`.
    Low-rank pair p continues the accumulation of sum s = `low_rank_of`[p], after all of W_s: acc_s += H_p B_pᵀ, where a
    row of H_p is the row's line of buffer p of `low_rank`, whose width is the rank, and B_p is `low_rank_weights`[p].
    `gather` has an entry per input, then per extra; `scatter` one per out, as in rowwise. Depth-indexed weights and
    vectors are read at the row's depth, from `table`.

    ```mlir
    func.func @example(%n: index, %x: memref<?x16xf32>, %y: memref<?x32xf32>) {
      kernel.gemm rows(%n) k(16) n(32) ins(%x : memref<?x16xf32>) vectors [] weights [@w] extras(%y : memref<?x32xf32>)
          epilogue_vectors [] outs(%y : memref<?x32xf32>) gather [-1, -1] scatter [-1] prologue {
      ^bb0(%e: f32):
        kernel.yield %e : f32
      } epilogue {
      ^bb0(%sum: f32, %old: f32):
        %r = arith.addf %sum, %old : f32
        kernel.yield %r : f32
      }
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Optional<Buffer>, "row table", [MemRead]>:$table,
    Arg<Variadic<AnyType>, "buffers, values per row, or scalars", [MemRead]>:$inputs,
    Arg<Variadic<AnyType>, "what the epilogue reads", [MemRead]>:$extras,
    Arg<Variadic<Buffer>, "rows of rank columns", [MemRead]>:$low_rank_inputs,
    Arg<Variadic<Buffer>, "buffers to write", [MemWrite]>:$outs,
    Arg<Variadic<Buffer>, "index lists", [MemRead]>:$indices,
    I64Attr:$depth_k, I64Attr:$width_n,
    FlatSymbolRefArrayAttr:$weights, FlatSymbolRefArrayAttr:$prologue_vectors,
    FlatSymbolRefArrayAttr:$epilogue_vectors, DenseI64ArrayAttr:$gather, DenseI64ArrayAttr:$scatter,
    DefaultValuedAttr<Kernel_SymbolList, "{}">:$low_rank_weights,
    DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$low_rank_of,
    DefaultValuedAttr<Kernel_SumAttr, "::lariat::kernel::SumKind::Chain, 0">:$sum);
  let regions = (region SizedRegion<1>:$prologue, SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `k` `(` $depth_k `)` `n` `(` $width_n `)` (`at` $table^ `:` type($table))?
    `ins` `(` $inputs `:` type($inputs) `)` `vectors` $prologue_vectors `weights` $weights
    (`low_rank` `(` $low_rank_inputs^ `:` type($low_rank_inputs) `)` `weights` $low_rank_weights `of` $low_rank_of)?
    (`sum` `(` $sum^ `)`)? (`extras` `(` $extras^ `:` type($extras) `)`)? `epilogue_vectors` $epilogue_vectors
    `outs` `(` $outs `:` type($outs) `)` (`indices` `(` $indices^ `:` type($indices) `)`)?
    `gather` $gather `scatter` $scatter attr-dict-with-keyword `prologue` $prologue `epilogue` $epilogue
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the prologue hands its only input through: A is read where it is.
    bool hasPlainInput();
  }];
}

def Kernel_EmbedOp : Kernel_ParallelOp<"embed", ["getPackedOperands"]> {
  let summary = "rows of packed weights by token id";
  let description = [{
    Row t of `out` is row ids[t] of the weight, whose type is widened to f32.

    ```mlir
    func.func @example(%n: index, %ids: memref<?xi32>, %x: memref<?x16xf32>) {
      kernel.embed rows(%n) ids(%ids : memref<?xi32>) @w out(%x : memref<?x16xf32>)
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "token id per row", [MemRead]>:$ids,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out, FlatSymbolRefAttr:$weight);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `ids` `(` $ids `:` type($ids) `)` $weight `out` `(` $out `:` type($out) `)` attr-dict
  }];
}

def Kernel_RotateOp : Kernel_ParallelOp<"rotate", ["getRotaryTable"]> {
  let summary = "rotary position on a buffer";
  let description = [{
    As `lariat.rope`: (x, y) becomes (x cos - y sin, y cos + x sin), each product rounded.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>) {
      kernel.rotate rows(%n) at %t <@r, dims = 4, interleaved = false> heads(1) %x to %x
          : memref<?x6xindex>, memref<?x16xf32>, memref<?x16xf32>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "buffer to read", [MemRead]>:$input, Arg<Buffer, "buffer to write", [MemWrite]>:$out, I64Attr:$heads,
    Kernel_RopeAttr:$rope);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table $rope `heads` `(` $heads `)` $input `to` $out attr-dict
    `:` type($table) `,` type($input) `,` type($out)
  }];
}

def Kernel_TopKOp : Kernel_ParallelOp<"top_k", []> {
  let summary = "whether each row has one of the largest scores of its sequence";
  let description = [{
    Bit t of `out` is set if fewer than k rows of the sequence of row t come before it: those with a larger score, and
    earlier ones with the same. A score that is not a number comes before none, and none before it. For a row at depth d
    of a sequence with S rows in the root set, k = max(1, floor(S * numerators[d] / denominator)), the last numerator
    being that of all depths past the end. `counts` has a column per numerator; a number above 0 there is k instead.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>) {
      kernel.top_k rows(%n) at %t scores %s capacity [2, 1] over 3 to %b
          : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "score per row", [MemRead]>:$scores, Arg<Buffer, "bit per row", [MemWrite]>:$out,
    Arg<Optional<Buffer>, "rows to keep per numerator, 0: by capacity", [MemRead]>:$counts,
    DenseI64ArrayAttr:$numerators, I64Attr:$denominator);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `scores` $scores `capacity` $numerators `over` $denominator
    (`counts` `(` $counts^ `:` type($counts) `)`)? `to` $out attr-dict `:` type($table) `,` type($scores) `,` type($out)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

def Kernel_AppendOp : Kernel_ParallelOp<"append", ["getRotaryTable", "getLiteralAttributes"]> {
  let summary = "keys and values of rows into their cache entries";
  let description = [{
    `entries` is memref<?x2xindex>, a line {page, index} per row as `reserve` gave it; page 0 writes nothing. With
    `rope` keys are rotated first. Values are rounded to the cache's type.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %e: memref<?x2xindex>, %x: memref<?x16xf32>) {
      kernel.append rows(%n) at %t entries %e %x, %x into @kv[1]
          : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "cache entry per row", [MemRead]>:$entries, Arg<Buffer, "keys", [MemRead]>:$key,
    Arg<Buffer, "value per column", [MemRead]>:$value,
    Arg<FlatSymbolRefAttr, "cache", [MemWrite<Kernel_CacheEntries>]>:$cache, I64Attr:$layer,
    OptionalAttr<Kernel_RopeAttr>:$rope);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `entries` $entries $key `,` $value `into` $cache `[` $layer `]` (`rope` $rope^)?
    attr-dict `:` type($table) `,` type($entries) `,` type($key) `,` type($value)
  }];
}

def Kernel_AttendOp : Kernel_ParallelOp<"attend", ["getPackedOperands", "getRotaryTable", "getLiteralAttributes"]> {
  let summary = "softmax attention of rows over their views of a cache";
  let description = [{
    `views` is memref<?x4xindex>, a line {pages, refs, positions, count} per row as `view` gave it. Entries are taken in
    segments of 64, counted from the first entry of the view: softmax inside a segment, segments merged left to right
    (`sum`), so a row's bits do not depend on how many rows, threads or calls there are.
    Score: softcap(scale * q.k) + distance_bias[head][distance]; `sinks` [head] adds to the denominator.
    A row that sees nothing gets zeros. With `rope` queries are rotated first.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %v: memref<?x4xindex>, %x: memref<?x16xf32>) {
      kernel.attend rows(%n) at %t views %v %x to %x from @kv[1] heads(1) scale(0.25) <causal>
          : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "view per row", [MemRead]>:$views, Arg<Buffer, "queries", [MemRead]>:$query,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out,
    Arg<FlatSymbolRefAttr, "cache", [MemRead<Kernel_CacheEntries>, MemRead<Kernel_CacheIndex>]>:$cache, I64Attr:$layer,
    I64Attr:$heads, F64Attr:$scale, OptionalAttr<F64Attr>:$softcap, Kernel_MaskAttr:$mask,
    OptionalAttr<FlatSymbolRefAttr>:$sinks, OptionalAttr<FlatSymbolRefAttr>:$distance_bias,
    OptionalAttr<Kernel_RopeAttr>:$rope,
    DefaultValuedAttr<Kernel_SumAttr, "::lariat::kernel::SumKind::Segments, kPageEntries">:$sum);
  let hasVerifier = 1;
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `views` $views $query `to` $out `from` $cache `[` $layer `]` `heads` `(` $heads `)`
    `scale` `(` $scale `)` (`softcap` `(` $softcap^ `)`)? $mask (`sinks` $sinks^)? (`distance_bias` $distance_bias^)?
    (`rope` $rope^)? (`sum` `(` $sum^ `)`)? attr-dict
    `:` type($table) `,` type($views) `,` type($query) `,` type($out)
  }];
}

#endif // LARIAT_KERNEL_PARALLEL_OPS_TD
