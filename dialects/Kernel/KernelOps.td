// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops of the kernel level. Buffers are memrefs with a line per row; `rows(%n)` says how many lines count.

#ifndef LARIAT_KERNEL_OPS_TD
#define LARIAT_KERNEL_OPS_TD

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

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

def Kernel_PackedOp : Kernel_Op<"packed", [Symbol, StoredDataOpInterface]> {
  let summary = "data in weights.bin";
  let description = [{
    `sources` are names of `lariat.weight` that lie side by side (their rows one after the other) or `value` is inline.
    `shape` is that of the data without depths: (N, K) for panels, (N) for a vector, (H, N) for vectors. `format` is the
    format of panels, by its name, or the type of the elements of vectors. Panels have `panel_columns` columns, 16 times
    a power of two; 16 unless a target's layout says otherwise (kernel-choose-layout).
    `offset` is the place in weights.bin in bytes, a multiple of 64, once it is planned; `depth_stride` the bytes of one
    depth, for depth-indexed data, which has `depths` of them. `streamed`: more than the caches hold from one use to the
    next, so that kernels prefetch what comes next and read at several addresses at once.

    ```mlir
    kernel.packed @qkv panels ["q", "k", "v"] shape [960, 576] : f32
    kernel.packed @wide panels ["down"] shape [576, 1536] panel_columns(32) : bf16
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Kernel_PackKindAttr:$kind, StrArrayAttr:$sources,
    DenseI64ArrayAttr:$shape, AnyAttr:$format, OptionalAttr<I64Attr>:$depths, OptionalAttr<ElementsAttr>:$value,
    OptionalAttr<I64Attr>:$offset, UnitAttr:$streamed, DefaultValuedAttr<I64Attr, "kPanelColumns">:$panel_columns);
  let assemblyFormat = [{
    $sym_name $kind $sources `shape` $shape (`panel_columns` `(` $panel_columns^ `)`)? (`depths` `(` $depths^ `)`)?
    (`value` `(` $value^ `)`)? (`offset` `(` $offset^ `)`)? (`streamed` $streamed^)? `:`
    custom<PackedFormat>($format, ref($kind)) attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The format of panels; null for vectors.
    PanelFormatAttrInterface getPanelFormat() { return ::llvm::dyn_cast<PanelFormatAttrInterface>(getFormat()); }
    /// Bytes of a panel, and of a line of it.
    int64_t getPanelBytes() { return getPanelFormat().getPanelBytes(getShape()[1], getPanelColumns()); }
    int64_t getPanelLineBytes() { return getPanelColumns() * kPanelColumnBytes; }
    /// Type of the elements of vectors.
    ::mlir::Type getElementType() { return ::llvm::cast<::mlir::TypeAttr>(getFormat()).getValue(); }
    /// Bytes of one depth.
    int64_t getDepthBytes();
    /// Bytes of all.
    int64_t getBytes() { return getDepthBytes() * getDepths().value_or(1); }
    std::optional<int64_t> getPlace() { return getOffset(); }
  }];
}

def Kernel_RopeTableOp : Kernel_Op<"rope_table", [Symbol, StoredDataOpInterface]> {
  let summary = "cosines and sines, which the runtime computes as far as positions are reached";
  let description = [{
    f32 [positions][pairs][2], cosine then sine of position * frequency, computed in f64, multiplied by `magnitude`,
    rounded to `angles`, then to f32. The lines are filled up to a multiple of 64 bytes: line `p` starts at
    `p * line_bytes`, from `offset` among the tables on.

    The frequencies are listed, or come from the weight `source` of the model, `pairs` of them; either way they lie in
    weights.bin, f64 from `stored` on.

    ```mlir
    kernel.rope_table @r [1.0, 0.5] positions(64) angles(f32)
    kernel.rope_table @s [] source("frequencies") pairs(2) positions(64) angles(f32)
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF64ArrayAttr:$frequencies, OptionalAttr<StrAttr>:$source,
    OptionalAttr<I64Attr>:$pairs, I64Attr:$positions, TypeAttr:$angles, OptionalAttr<F64Attr>:$magnitude,
    OptionalAttr<I64Attr>:$offset, OptionalAttr<I64Attr>:$stored);
  let assemblyFormat = [{
    $sym_name $frequencies (`source` `(` $source^ `)`)? (`pairs` `(` $pairs^ `)`)? `positions` `(` $positions `)`
    `angles` `(` $angles `)` (`magnitude` `(` $magnitude^ `)`)? (`offset` `(` $offset^ `)`)?
    (`stored` `(` $stored^ `)`)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getNumPairs() { return getPairs() ? static_cast<int64_t>(*getPairs()) : getFrequencies().size(); }
    int64_t getLineBytes() { return roundUp(getNumPairs() * 8, kAlignment); }
    int64_t getBytes() { return getLineBytes() * getPositions(); }
    int64_t getStoredBytes() { return getNumPairs() * 8; }
    std::optional<int64_t> getPlace() { return getStored(); }
  }];
}

def Kernel_CacheOp : Kernel_Op<"cache", [Symbol]> {
  let summary = "a KV cache: what a page of it looks like";
  let description = [{
    Page: [layer][head]{keys [dim][64], values [64][dim]} of `type`; 64 entries of one slot of one sequence. Where a
    target's layout says so (kernel-choose-layout), `keys_by entries`, keys are [64][dim] too.
    `number` is its place in the manifest's list of caches. A `transient` cache holds the keys and values of attention
    among the rows of one call: `reserve` empties it first, and nothing of it outlives the call.

    ```mlir
    kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
    kernel.cache @turned number(1) layers(2) heads(1) dim(16) keys_by entries : f32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$number, I64Attr:$layers, I64Attr:$heads, I64Attr:$dim,
    TypeAttr:$type, UnitAttr:$transient, DefaultValuedAttr<Kernel_KeyOrderAttr, "KeyOrder::Columns">:$keys);
  let assemblyFormat = [{
    $sym_name `number` `(` $number `)` `layers` `(` $layers `)` `heads` `(` $heads `)` `dim` `(` $dim `)`
    (`keys_by` $keys^)? (`transient` $transient^)? `:` $type attr-dict
  }];
}

def Kernel_BufferOp : Kernel_Op<"buffer", [MemoryEffects<[MemAlloc]>]> {
  let summary = "storage for a line per row of the call";
  let description = [{
    Lives from here to the last use of its result. Lines are `row_bytes` apart; `offset`, set by kernel-plan-arena, is
    in bytes per row of the call (rounded up to 16): the buffer starts at offset * rows.

    ```mlir
    func.func @example() {
      %x = kernel.buffer : memref<?x32xf32>
      return
    }
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs Res<Buffer, "the result", [MemAlloc]>:$result);
  let assemblyFormat = "(`offset` `(` $offset^ `)`)? attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    /// Bytes of one line.
    int64_t getRowBytes();
  }];
}

def Kernel_PortOp : Kernel_Op<"port", [Pure]> {
  let summary = "an input or output of an entry function";
  let description = [{
    Memory that the caller gives: input or output number `number` (outputs are counted after the inputs), lines as in a
    buffer.

    ```mlir
    func.func @example() {
      %x = kernel.port 1 : memref<?x32xf32>
      return
    }
    ```
  }];
  let arguments = (ins I64Attr:$number);
  let results = (outs Res<Buffer, "the result">:$result);
  let assemblyFormat = "$number attr-dict `:` type($result)";
}

def Kernel_PortRowsOp : Kernel_Op<"port_rows", [Pure]> {
  let summary = "number of rows of an input, as the caller gave it";
  let description = [{
    Ports are counted as in `port`. Inputs keep their number of rows through the call.

    ```mlir
    func.func @example() {
      %n = kernel.port_rows 0
      return
    }
    ```
  }];
  let arguments = (ins I64Attr:$number);
  let results = (outs Res<Index, "number of rows">:$rows);
  let assemblyFormat = "$number attr-dict";
}

def Kernel_SetPortRowsOp : Kernel_Op<"set_port_rows", []> {
  let summary = "tells the caller how many rows an output has";
  let description = [{
    Ports are counted as in `port`.

    ```mlir
    func.func @example(%n: index) {
      kernel.set_port_rows 2, %n
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, I64Attr:$number);
  let assemblyFormat = "$number `,` $rows attr-dict";
}

def Kernel_ColumnsOp : Kernel_Op<"columns", [Pure]> {
  let summary = "some columns of a buffer";
  let description = [{
    Starts at a multiple of 16; the lines are those of the source.

    ```mlir
    func.func @example(%x: memref<?x32xf32>) {
      %c = kernel.columns %x from 16 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Buffer, "buffer">:$source, I64Attr:$first);
  let results = (outs Res<Buffer, "the result">:$result);
  let assemblyFormat = "$source `from` $first attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

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

//===----------------------------------------------------------------------===//
// Rows: done by the calling thread, in the runtime
//===----------------------------------------------------------------------===//

def Kernel_CompactOp : Kernel_RowServiceOp<"compact"> {
  let summary = "the lines of a row table whose bit is set";
  let description = [{
    In the same order; `out` may be `table`.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %b: memref<?xi1>) {
      %m = kernel.compact rows(%n) %t where %b to %t : memref<?x6xindex>, memref<?xi1>, memref<?x6xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "bit per row", [MemRead]>:$bits, Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let results = (outs Res<Index, "how many rows">:$count);
  let assemblyFormat = [{
    `rows` `(` $rows `)` $table `where` $bits `to` $out attr-dict `:` type($table) `,` type($bits) `,` type($out)
  }];
}

def Kernel_LastOp : Kernel_RowServiceOp<"last"> {
  let summary = "the lines of a row table whose logits are wanted";
  let description = [{
    Those that the caller marked, in the same order.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %o: memref<?x6xindex>) {
      %m = kernel.last rows(%n) %t to %o : memref<?x6xindex>, memref<?x6xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let results = (outs Res<Index, "how many rows">:$count);
  let assemblyFormat = "`rows` `(` $rows `)` $table `to` $out attr-dict `:` type($table) `,` type($out)";
}

def Kernel_AdvanceOp : Kernel_RowServiceOp<"advance"> {
  let summary = "the same rows at another depth";
  let description = [{
    All at `depth`, or, without one, each at its next depth.

    ```mlir
    func.func @example(%n: index, %d: index, %t: memref<?x6xindex>, %o: memref<?x6xindex>) {
      kernel.advance rows(%n) %t depth(%d) to %o : memref<?x6xindex>, memref<?x6xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Optional<Index>, "depth for all rows">:$depth, Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let assemblyFormat = [{
    `rows` `(` $rows `)` $table (`depth` `(` $depth^ `)`)? `to` $out attr-dict `:` type($table) `,` type($out)
  }];
}

def Kernel_CheckDepthsOp : Kernel_RowServiceOp<"check_depths", "depths", [MemoryEffects<[MemWrite<Kernel_Faults>]>]> {
  let summary = "ends the call with an error where rows are deeper than a weight";
  let description = [{
    `weight` is its number among the weights of the model of which no depth past the end may be asked for, `end` how
    many depths it has. Kernels read the last one for such a row, so nothing else depends on this.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>) {
      kernel.check_depths rows(%n) at %t weight(0) end(4) : memref<?x6xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table, I64Attr:$weight,
    I64Attr:$end);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `weight` `(` $weight `)` `end` `(` $end `)` attr-dict `:` type($table)
  }];
}

def Kernel_LinesOp : Kernel_RowServiceOp<"lines"> {
  let summary = "where the rows of one set are in another";
  let description = [{
    out[i] is the line of row i of `at` in `from`, both in ascending order of root.

    ```mlir
    func.func @example(%n: index, %m: index, %t: memref<?x6xindex>, %p: memref<?x6xindex>, %o: memref<?xindex>) {
      kernel.lines rows(%m) %p in %t rows(%n) to %o : memref<?x6xindex>, memref<?x6xindex>, memref<?xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows of `from`">:$from_rows,
    Arg<Buffer, "row table to look in", [MemRead]>:$from, Arg<Index, "number of rows">:$rows,
    Arg<Buffer, "row table of the rows wanted", [MemRead]>:$at, Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let assemblyFormat = [{
    `rows` `(` $rows `)` $at `in` $from `rows` `(` $from_rows `)` `to` $out attr-dict
    `:` type($at) `,` type($from) `,` type($out)
  }];
}

def Kernel_CopyRowsOp : Kernel_RowServiceOp<"copy_rows", "copyRows"> {
  let summary = "the lines of a row table in another";
  let description = [{
    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %o: memref<?x6xindex>) {
      kernel.copy_rows rows(%n) %t to %o : memref<?x6xindex>, memref<?x6xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let assemblyFormat = "`rows` `(` $rows `)` $table `to` $out attr-dict `:` type($table) `,` type($out)";
}

def Kernel_SlotsOp : Kernel_RowServiceOp<"slots"> {
  let summary = "the cache slot of each row, by its depth";
  let description = [{
    -1 for a row that has none by `rule`. With `generated_rule` generated rows go by that.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %o: memref<?xindex>) {
      kernel.slots rows(%n) at %t <shared of 2> to %o : memref<?x6xindex>, memref<?xindex>
      kernel.slots rows(%n) at %t <own> generated <first below 1> to %o : memref<?x6xindex>, memref<?xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out, Kernel_SlotRuleAttr:$rule,
    OptionalAttr<Kernel_SlotRuleAttr>:$generated_rule);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table $rule (`generated` $generated_rule^)? `to` $out attr-dict
    `:` type($table) `,` type($out)
  }];
}

def Kernel_FillOp : Kernel_RowServiceOp<"fill"> {
  let summary = "the same number for each row";
  let description = [{
    ```mlir
    func.func @example(%n: index, %s: index, %o: memref<?xindex>) {
      kernel.fill rows(%n) %s to %o : memref<?xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Index, "number">:$value,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out);
  let assemblyFormat = "`rows` `(` $rows `)` $value `to` $out attr-dict `:` type($out)";
}

def Kernel_ReserveOp : Kernel_RowServiceOp<"reserve"> {
  let summary = "a cache entry for each row";
  let description = [{
    `slots` has a slot per row, -1 where the row writes nothing. An entry of the same position is written again, else a
    new one follows the last. `filled` says that the rows had stopped before, `explicit` that every row writes, so that
    -1 is a slot that no cache has.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %s: memref<?xindex>, %o: memref<?x2xindex>) {
      kernel.reserve rows(%n) at %t slots %s of @kv filled false to %o
          : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "slot per row", [MemRead]>:$slots, Arg<Buffer, "buffer to write", [MemWrite]>:$out,
    Arg<FlatSymbolRefAttr, "cache", [MemWrite<Kernel_CacheIndex>]>:$cache, BoolAttr:$filled, UnitAttr:$explicit_slots);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `slots` $slots (`explicit` $explicit_slots^)? `of` $cache `filled` $filled
    `to` $out attr-dict `:` type($table) `,` type($slots) `,` type($out)
  }];
}

def Kernel_ViewOp : Kernel_RowServiceOp<"view"> {
  let summary = "the cache entries that each row may look at";
  let description = [{
    `ahead`: entries of later positions too, for masks that see them. With `generated`, entries of generated rows are
    found by a slot and a look-up of their own, and the others are those of the prompt.

    ```mlir
    func.func @example(%n: index, %t: memref<?x6xindex>, %s: memref<?xindex>, %g: memref<?xindex>,
                       %o: memref<?x4xindex>) {
      kernel.view rows(%n) at %t slots %s of @kv exact ahead false to %o
          : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
      kernel.view rows(%n) at %t slots %s of @kv exact generated(%g : memref<?xindex>, first) ahead false to %o
          : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
      return
    }
    ```
  }];
  let arguments = (ins Arg<Index, "number of rows">:$rows, Arg<Buffer, "row table", [MemRead]>:$table,
    Arg<Buffer, "slot per row", [MemRead]>:$slots,
    Arg<Optional<Buffer>, "slot per row for entries of generated rows", [MemRead]>:$generated_slots,
    Arg<Buffer, "buffer to write", [MemWrite]>:$out,
    Arg<FlatSymbolRefAttr, "cache", [MemRead<Kernel_CacheIndex>]>:$cache, Kernel_LookUpKindAttr:$look_up,
    OptionalAttr<Kernel_LookUpKindAttr>:$generated_look_up, BoolAttr:$ahead);
  let assemblyFormat = [{
    `rows` `(` $rows `)` `at` $table `slots` $slots `of` $cache $look_up
    (`generated` `(` $generated_slots^ `:` type($generated_slots) `,` $generated_look_up `)`)?
    `ahead` $ahead `to` $out attr-dict `:` type($table) `,` type($slots) `,` type($out)
  }];
}

def Kernel_StateOp : Kernel_Op<"state_memory"> {
  let summary = "memory of a lariat.state: [sequence][layer][depth][width]";
  let description = [{
    For bodies of the generic path.

    ```mlir
    func.func @example() {
      %s = kernel.state_memory 0 : memref<?x?x?x8xf32>
      return
    }
    ```
  }];
  let arguments = (ins I64Attr:$number);
  let results = (outs Res<Buffer, "the result">:$result);
  let assemblyFormat = "$number attr-dict `:` type($result)";
}

def Kernel_GenericOp : Kernel_Op<"generic", [AttrSizedOperandSegments]> {
  let summary = "the generic path: any op of the model level, by its reference lowering";
  let description = [{
    Calls `callee`, a function on tensors, with the first `rows` lines of each input (operand i of `ins` has ins_rows[i]
    of them; index operands go as they are), and copies its tensor results to `outs`. Its other results, `counts`, are
    the number of rows of each out. Vectors named by `packed` follow the inputs, each a tensor of one dimension.
    Correct, not fast: one thread, buffers of its own.

    ```mlir
    func.func private @body(%x: tensor<?x16xf32>) -> tensor<?x16xf32>
    func.func @example(%n: index, %x: memref<?x16xf32>) {
      %m = kernel.generic @body ins(%x : memref<?x16xf32>) rows(%n) outs(%x : memref<?x16xf32>) : index
      return
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<AnyType>, "buffers, values per row, or scalars">:$inputs,
    Arg<Variadic<Index>, "lines of each input">:$input_rows, Arg<Variadic<Buffer>, "buffers to write">:$outs,
    FlatSymbolRefAttr:$callee, OptionalAttr<FlatSymbolRefArrayAttr>:$packed);
  let results = (outs Res<Variadic<Index>, "rows of each out">:$counts);
  let assemblyFormat = [{
    $callee `ins` `(` ($inputs^ `:` type($inputs))? `)` `rows` `(` $input_rows `)` (`packed` $packed^)?
    `outs` `(` ($outs^ `:` type($outs))? `)` attr-dict `:` type($counts)
  }];
}

#endif // LARIAT_KERNEL_OPS_TD
