// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the calling thread does: row services, and the generic path.

#ifndef LARIAT_KERNEL_SERVICE_OPS_TD
#define LARIAT_KERNEL_SERVICE_OPS_TD

include "KernelOpBase.td"

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

//===----------------------------------------------------------------------===//
// The generic path
//===----------------------------------------------------------------------===//

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

#endif // LARIAT_KERNEL_SERVICE_OPS_TD
