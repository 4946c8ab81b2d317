// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes of the kernel level.

#ifndef LARIAT_KERNEL_ATTRS_TD
#define LARIAT_KERNEL_ATTRS_TD

include "KernelDialect.td"
include "KernelInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Kernel_Enum<string name, string summary, list<I32EnumCase> cases> : I32Enum<name, summary, cases> {
  let cppNamespace = "::lariat::kernel";
}

/// An enumeration as attribute, printed as its keyword.
class Kernel_EnumAttr<EnumInfo info, string mnemonic> : EnumAttr<Kernel_Dialect, info, mnemonic> {
  let assemblyFormat = "$value";
}

class Kernel_Case<string symbol, int value, string keyword> : I32EnumCase<symbol, value, keyword>;

def Kernel_PackKind : Kernel_Enum<"PackKind", "how a weight lies in weights.bin", [
  // Weights (N, K) as [depth][N / columns of a panel]{panel}, N filled up with zeros; the format says how one lies.
  Kernel_Case<"Panels", 0, "panels">,
  // A vector (N) as f32 [depth][N filled up to a multiple of 16 with zeros].
  Kernel_Case<"Vector", 1, "vector">,
  // Vectors (H, N), H of them one after the other, each as above.
  Kernel_Case<"Vectors", 2, "vectors">
]>;
def Kernel_PackKindAttr : Kernel_EnumAttr<Kernel_PackKind, "pack_kind">;

def Kernel_KeyOrder : Kernel_Enum<"KeyOrder", "how the keys of a head lie in a page", [
  Kernel_Case<"Columns", 0, "columns">, // [dim][64]
  Kernel_Case<"Entries", 1, "entries">  // [64][dim]
]>;
def Kernel_KeyOrderAttr : Kernel_EnumAttr<Kernel_KeyOrder, "key_order">;

//===----------------------------------------------------------------------===//
// Formats of panels: named by their mnemonics in `kernel.packed ... : FORMAT`
//===----------------------------------------------------------------------===//

class Kernel_PanelFormat<string name, string formatMnemonic, int stepsPerLine>
    : AttrDef<Kernel_Dialect, name, [DeclareAttrInterfaceMethods<Kernel_PanelFormatAttrInterface>]> {
  let mnemonic = formatMnemonic;
  let extraClassDefinition = "int64_t $cppClass::getStepsPerLine() const { return " # stepsPerLine # "; }";
}

def Kernel_F32PanelsAttr : Kernel_PanelFormat<"F32Panels", "f32", 1> {
  let summary = "panels [K][columns] of f32";
  let description = "A line is one step. Example: `#kernel.f32`";
}

def Kernel_BF16PanelsAttr : Kernel_PanelFormat<"BF16Panels", "bf16", 2> {
  let summary = "panels [(K + 1) / 2][columns][2] of bf16";
  let description = "A line is steps 2 i and 2 i + 1, the earlier one in the low half of words; zero behind an odd K. "
                    "Example: `#kernel.bf16`";
}

def Kernel_F16PanelsAttr : Kernel_PanelFormat<"F16Panels", "f16", 2> {
  let summary = "panels [(K + 1) / 2][2][columns] of f16";
  let description = "A line is step 2 i of all columns, then step 2 i + 1; zero behind an odd K. "
                    "Example: `#kernel.f16`";
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def Kernel_SumKind : Kernel_Enum<"SumKind", "an order of summation", [
  Kernel_Case<"Chain", 0, "chain">, Kernel_Case<"Segments", 1, "segments">
]>;

def Kernel_SumAttr : AttrDef<Kernel_Dialect, "Sum"> {
  let mnemonic = "sum";
  let summary = "the order in which the sums of a kernel are formed, which decides their bits";
  let description = [{
    A target that forms sums in another order has a kind of its own: results are equal bit for bit under one declared
    order, whatever rows, threads and calls there are, and differ in rounding between orders.

    - `chain`, of products: acc = fma(a_k, w_k, acc) from zero with k ascending; a low-rank pair continues the chain of
      its sum.
    - `segments, size = n`, of attention. Entries count from the first of the row's view and form segments of n. Scores
      are chains over columns. In a segment, weights are exp(score - m), m the largest score up to the end of the
      segment; their total is 16 partials, of entries 16 apart ascending, combined pairwise (0, 8) ..., (0, 4) ...;
      products with values are chains over entries. Segments merge from left to right: acc = fma(acc, exp(m before - m),
      product).

    Example: `#kernel.sum<segments, size = 64>`
  }];
  let parameters = (ins EnumParameter<Kernel_SumKind>:$kind, DefaultValuedParameter<"int64_t", "0">:$size);
  let assemblyFormat = "`<` $kind (`,` `size` `=` $size^)? `>`";
  let genVerifyDecl = 1;
  // As a default, by kind and size.
  let constBuilderCall = "::lariat::kernel::SumAttr::get($_builder.getContext(), $0)";
}

def Kernel_ReduceKind : Kernel_Enum<"ReduceKind", "how the columns of a row become one value", [
  Kernel_Case<"Sum", 0, "sum">, Kernel_Case<"Max", 1, "max">, Kernel_Case<"Min", 2, "min">
]>;
def Kernel_ReduceKindAttr : Kernel_EnumAttr<Kernel_ReduceKind, "reduce_kind">;

def Kernel_FactKind : Kernel_Enum<"FactKind", "a column of a row table", [
  Kernel_Case<"Root", 0, "root">, Kernel_Case<"Sequence", 1, "sequence">, Kernel_Case<"Position", 2, "position">,
  Kernel_Case<"Depth", 3, "depth">, Kernel_Case<"Flags", 4, "flags">, Kernel_Case<"Length", 5, "length">
]>;
def Kernel_FactKindAttr : Kernel_EnumAttr<Kernel_FactKind, "fact_kind">;

def Kernel_SlotKind : Kernel_Enum<"SlotKind", "which slot of a cache a row at depth d has", [
  Kernel_Case<"Own", 0, "own">,       // d
  Kernel_Case<"First", 1, "first">,   // 0
  Kernel_Case<"Shared", 2, "shared">, // min(d, slots - 1)
  Kernel_Case<"Ring", 3, "ring">      // d mod slots
]>;

def Kernel_SlotRuleAttr : AttrDef<Kernel_Dialect, "SlotRule"> {
  let mnemonic = "slot_rule";
  let summary = "the slot of rows by their depth: of how many slots, and below which depth rows have one";
  let description = [{
    Example: `#kernel.slot_rule<ring of 2>`, `#kernel.slot_rule<first below 1>`.
  }];
  let parameters = (ins EnumParameter<Kernel_SlotKind>:$kind, DefaultValuedParameter<"int64_t", "1">:$slots,
    OptionalParameter<"std::optional<int64_t>">:$below);
  let assemblyFormat = "`<` $kind (`of` $slots^)? (`below` $below^)? `>`";
  let genVerifyDecl = 1;
}

def Kernel_LookUpKind : Kernel_Enum<"LookUpKind", "which slots a row reads for an earlier row u", [
  Kernel_Case<"Exact", 0, "exact">,                 // u's entry in the row's slot
  Kernel_Case<"ElseFirst", 1, "else_first">,        // that, else u's entry in slot 0
  Kernel_Case<"NewestAtMost", 2, "newest_at_most">, // u's entry in the deepest slot up to the row's
  Kernel_Case<"First", 3, "first">,                 // u's entry in slot 0
  Kernel_Case<"AllAtMost", 4, "all_at_most">        // all of u's entries in slots up to the row's, shallow first
]>;
def Kernel_LookUpKindAttr : Kernel_EnumAttr<Kernel_LookUpKind, "look_up_kind">;

def Kernel_MaskKind : Kernel_Enum<"MaskKind", "which positions a row sees", [
  Kernel_Case<"Causal", 0, "causal">, Kernel_Case<"Full", 1, "full">, Kernel_Case<"Prefix", 2, "prefix">,
  Kernel_Case<"Window", 3, "window">, Kernel_Case<"Chunk", 4, "chunk">
]>;

def Kernel_MaskAttr : AttrDef<Kernel_Dialect, "Mask"> {
  let mnemonic = "mask";
  let summary = "visibility by comparing positions; `size` for window and chunk";
  let description = [{
    As `#lariat.mask`. Example: `#kernel.mask<window, size = 8>`.
  }];
  let parameters = (ins EnumParameter<Kernel_MaskKind>:$kind, DefaultValuedParameter<"int64_t", "0">:$size);
  let assemblyFormat = "`<` $kind (`,` `size` `=` $size^)? `>`";
}

def Kernel_RopeAttr : AttrDef<Kernel_Dialect, "Rope"> {
  let mnemonic = "rope";
  let summary = "rotate the first `dims` columns of each head by the angles of table `table`";
  let description = [{
    Pairs are (i, i + dims / 2), or (2 i, 2 i + 1) where interleaved. Example:
    `#kernel.rope<@r, dims = 4, interleaved = false>`.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$table, "int64_t":$dims, "bool":$interleaved);
  let assemblyFormat = "`<` $table `,` `dims` `=` $dims `,` `interleaved` `=` $interleaved `>`";
}

#endif // LARIAT_KERNEL_ATTRS_TD
