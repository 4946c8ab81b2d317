// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where data lies: weights.bin, rotary tables, caches, buffers, ports.

#ifndef LARIAT_KERNEL_STORAGE_OPS_TD
#define LARIAT_KERNEL_STORAGE_OPS_TD

include "KernelOpBase.td"

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

#endif // LARIAT_KERNEL_STORAGE_OPS_TD
