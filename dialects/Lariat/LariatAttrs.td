// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_ATTRS_TD
#define LARIAT_ATTRS_TD

include "LariatDialect.td"
include "LariatInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

class Lariat_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Lariat_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Lariat_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::lariat";
  let genSpecializedAttr = 0;
}

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

def Lariat_NormKind : Lariat_Enum<"NormKind", "what a norm divides by", [
  I32EnumAttrCase<"RMS", 0, "rms">, I32EnumAttrCase<"Layer", 1, "layer">, I32EnumAttrCase<"L2", 2, "l2">]>;
def Lariat_NormKindAttr : EnumAttr<Lariat_Dialect, Lariat_NormKind, "norm_kind">;

def Lariat_WeightOrder : Lariat_Enum<"WeightOrder", "whether a norm multiplies its weight after or before the cast "
                                                    "to the storage type", [
  I32EnumAttrCase<"AfterCast", 0, "after_cast">, I32EnumAttrCase<"BeforeCast", 1, "before_cast">]>;
def Lariat_WeightOrderAttr : EnumAttr<Lariat_Dialect, Lariat_WeightOrder, "weight_order">;

def Lariat_RopeStyle : Lariat_Enum<"RopeStyle", "which columns of a head form a rotated pair", [
  I32EnumAttrCase<"Half", 0, "half">, I32EnumAttrCase<"Interleaved", 1, "interleaved">]>;
def Lariat_RopeStyleAttr : EnumAttr<Lariat_Dialect, Lariat_RopeStyle, "rope_style">;

def Lariat_RopeScalingKind : Lariat_Enum<"RopeScalingKind", "how rotary frequencies are stretched", [
  I32EnumAttrCase<"Linear", 0, "linear">, I32EnumAttrCase<"Llama3", 1, "llama3">]>;

def Lariat_PutKind : Lariat_Enum<"PutKind", "what `put` does with the value that is already there", [
  I32EnumAttrCase<"Replace", 0, "replace">, I32EnumAttrCase<"Add", 1, "add">]>;
def Lariat_PutKindAttr : EnumAttr<Lariat_Dialect, Lariat_PutKind, "put_kind">;

def Lariat_ReduceKind : Lariat_Enum<"ReduceKind", "how the columns of one row are reduced", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"SecondMax", 2, "second_max">]>;
def Lariat_ReduceKindAttr : EnumAttr<Lariat_Dialect, Lariat_ReduceKind, "reduce_kind">;

def Lariat_SeqReduceKind : Lariat_Enum<"SeqReduceKind", "how the rows of one sequence are reduced", [
  I32EnumAttrCase<"Any", 0, "any">, I32EnumAttrCase<"All", 1, "all">, I32EnumAttrCase<"Mean", 2, "mean">]>;
def Lariat_SeqReduceKindAttr : EnumAttr<Lariat_Dialect, Lariat_SeqReduceKind, "seq_reduce_kind">;

def Lariat_MaskKind : Lariat_Enum<"MaskKind", "visibility by comparison of positions", [
  I32EnumAttrCase<"Causal", 0, "causal">, I32EnumAttrCase<"Full", 1, "full">, I32EnumAttrCase<"Prefix", 2, "prefix">,
  I32EnumAttrCase<"Window", 3, "window">, I32EnumAttrCase<"Chunk", 4, "chunk">]>;

def Lariat_MissingMode : Lariat_Enum<"MissingMode", "what a row that stopped early leaves in deeper slots", [
  I32EnumAttrCase<"Skip", 0, "skip">, I32EnumAttrCase<"Slot0", 1, "slot0">,
  I32EnumAttrCase<"CopyLast", 2, "copy_last">, I32EnumAttrCase<"Propagate", 3, "propagate">,
  I32EnumAttrCase<"Compute", 4, "compute">]>;

def Lariat_ExitScope : Lariat_Enum<"ExitScope", "which rows may stop early", [
  I32EnumAttrCase<"All", 0, "all">, I32EnumAttrCase<"Generated", 1, "generated">]>;

def Lariat_RowOrder : Lariat_Enum<"RowOrder", "what results depend on besides rows and depths", [
  I32EnumAttrCase<"Free", 0, "free">, I32EnumAttrCase<"Atomic", 1, "atomic">,
  I32EnumAttrCase<"Sequential", 2, "sequential">]>;

def Lariat_Beyond : Lariat_Enum<"Beyond", "what a depth past the last stored one means", [
  I32EnumAttrCase<"Error", 0, "error">, I32EnumAttrCase<"Clamp", 1, "clamp">]>;
def Lariat_BeyondAttr : EnumAttr<Lariat_Dialect, Lariat_Beyond, "beyond">;

def Lariat_StoredFormat : Lariat_Enum<"StoredFormat", "numbers that the values of a weight are rounded to", [
  I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"BF16", 1, "bf16">,
  I32EnumAttrCase<"F16", 2, "f16">]>;

//===----------------------------------------------------------------------===//
// Row sets, weights, masks
//===----------------------------------------------------------------------===//

def Lariat_OfAttr : Lariat_Attr<"Of", "of", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "the row set a tensor belongs to";
  let description = "Tensor encoding of row tensors: `tensor<?x64xf32, #lariat.of<\"a\">>` has one entry per row of "
                    "the set `!lariat.rows<\"a\">`. Example: `#lariat.of<\"a\">`";
  let parameters = (ins "::mlir::StringAttr":$label);
  let assemblyFormat = "`<` $label `>`";
}

def Lariat_SourceAttr : Lariat_Attr<"Source", "source"> {
  let summary = "where the data of a weight is stored";
  let description = [{
    One or more tensor names of a safetensors checkpoint and how to read them, applied in this order: `rows` keeps
    the half-open range of the leading dimension, `halves(h)` reorders the rows of each of h heads from neighbouring
    rotary pairs to pairs half a head apart, `reshape` takes the elements in row-major order into the weight's shape,
    `scale` multiplies. Dimensions of size 1 may be absent or extra. With `stack` each key is one depth.

    Example: `#lariat.source<"model.layers.0.attn.gqkv_proj.weight", rows = 192 to 384>`
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::StringAttr", "tensor names, one per depth where stacked">:$keys,
    DefaultValuedParameter<"bool", "false", "keys are the depths of a depth-indexed weight">:$stacked,
    OptionalParameter<"::std::optional<::std::pair<int64_t, int64_t>>", "half-open range of rows">:$rows,
    DefaultValuedParameter<"int64_t", "0", "number of heads whose rows are reordered, 0 for none">:$halves,
    DefaultValuedParameter<"bool", "false", "take the elements in row-major order">:$reshape,
    OptionalParameter<"::mlir::FloatAttr", "factor">:$scale);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Lariat_StoredAttr : Lariat_Attr<"Stored", "stored"> {
  let summary = "what the values of a weight are rounded to";
  let description = [{
    Part of what a weight means, on every path: its values are those of the source rounded to `format`, to nearest with
    ties to even (a NaN stays one). With a `scale` of the source, x becomes round(scale * round(x)), where the product
    is f32: both what is stored and what is multiplied are numbers of the format. Arithmetic is f32 whatever the format.
    A finite value that would become an infinity is refused, by whoever reads the weight.

    `f32` changes nothing, and a weight that does not say is `f32`. A further format is a case of the enumeration; what
    it needs beside its name (groups, scales) becomes a parameter of this attribute, so that IR says all of it.

    Example: `#lariat.stored<bf16>`
  }];
  let parameters = (ins "::lariat::StoredFormat":$format);
  let assemblyFormat = "`<` $format `>`";
  // As a default, by the name of its format.
  let constBuilderCall = "::lariat::StoredAttr::get($_builder.getContext(), $0)";
}

def Lariat_MaskAttr : Lariat_Attr<"Mask", "mask"> {
  let summary = "which earlier rows of its sequence a row may see";
  let description = [{
    Row p sees row u of its sequence iff

        causal       u <= p
        full         always
        prefix       u <= p, or both are inside the sequence's bidirectional prefix
        window(w)    p - w < u <= p       (w counts the row itself)
        chunk(c)     u <= p and u / c = p / c

    Example: `#lariat.mask<window(64)>`
  }];
  let parameters = (ins "::lariat::MaskKind":$kind,
                        DefaultValuedParameter<"int64_t", "0", "rows of a window or chunk">:$size);
  let assemblyFormat = "`<` $kind (`(` $size^ `)`)? `>`";
  let genVerifyDecl = 1;
}

def Lariat_RopeScalingAttr : Lariat_Attr<"RopeScaling", "rope_scaling"> {
  let summary = "stretching of rotary frequencies for longer contexts";
  let description = [{
    `linear` divides every frequency by `factor`. `llama3` keeps wavelengths below original / high, divides those above
    original / low by `factor`, and blends in between (Llama 3.1).
    Example: `#lariat.rope_scaling<llama3, factor = 8.0, low = 1.0, high = 4.0, original = 8192>`
  }];
  let parameters = (ins "::lariat::RopeScalingKind":$kind, "::mlir::FloatAttr":$factor,
    OptionalParameter<"::mlir::FloatAttr">:$low, OptionalParameter<"::mlir::FloatAttr">:$high,
    DefaultValuedParameter<"int64_t", "0">:$original);
  let assemblyFormat = "`<` $kind `,` `factor` `=` $factor (`,` struct($low, $high, $original)^)? `>`";
  let genVerifyDecl = 1;
}

def Lariat_CapacityAttr : Lariat_Attr<"Capacity", "capacity"> {
  let summary = "share of a sequence that a loop step keeps, per depth";
  let description = [{
    At depth d, k = max(1, floor(S * numerators[d] / denominator)) rows, S being the number of rows of the sequence in
    the root set. A depth past the end uses the last numerator.
    Example: `#lariat.capacity<[3, 2, 1] over 3>`
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$numerators, "int64_t":$denominator);
  let assemblyFormat = "`<` `[` $numerators `]` `over` $denominator `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// KV policies
//===----------------------------------------------------------------------===//

class Lariat_PolicyAttr<string name, string attrMnemonic, list<string> overridden = []>
    : Lariat_Attr<name, attrMnemonic, [DeclareAttrInterfaceMethods<Lariat_KVPolicyAttrInterface, overridden>]>;

def Lariat_OwnAttr : Lariat_PolicyAttr<"Own", "own", ["findExitScope"]> {
  let summary = "every depth has its own slot";
  let description = [{
    `append` at depth d writes slot d. A row at depth d sees, of an earlier row u, u's entry in slot d; if u stopped
    before d, what `missing` says: `skip` nothing, `slot0` u's first entry, `copy_last` u's deepest entry, `propagate`
    the entry that the loop's `fill` region wrote, `compute` the entry of u itself, which ran on for it. `allowed`
    lists the modes a user may pick instead; `compute` always may be picked where there is an exit to latch.
    `exit_scope = generated`: rows of the prompt never stop early.
    Example: `#lariat.own<missing = copy_last, allowed = [propagate]>`
  }];
  let parameters = (ins "::lariat::MissingMode":$missing,
                        OptionalArrayRefParameter<"::lariat::MissingMode">:$allowed,
                        DefaultValuedParameter<"::lariat::ExitScope", "::lariat::ExitScope::All">:$exit_scope);
  let assemblyFormat = "`<` `missing` `=` $missing (`,` struct(custom<Bracketed>($allowed), $exit_scope)^)? `>`";
}

def Lariat_FirstAttr : Lariat_PolicyAttr<"First", "first"> {
  let summary = "depth 0 writes, every depth reads slot 0";
  let description = "One slot. `append` at depth 0 writes it and does nothing deeper; a row at any depth sees the "
                    "entries of slot 0 (recursive sharing of Mixture-of-Recursions). Example: `#lariat.first`";
}

def Lariat_FirstThenSharedAttr : Lariat_PolicyAttr<"FirstThenShared", "first_then_shared"> {
  let summary = "slot min(d, n - 1)";
  let description = "Depths 0..n-2 have their own slots, deeper ones share slot n-1 and overwrite it. Inside one "
                    "prompt segment a row sees entries of its own depth, of other rows their final entry. "
                    "Example: `#lariat.first_then_shared<2, order = sequential>`";
  let parameters = (ins "int64_t":$slots, "::lariat::RowOrder":$order);
  let assemblyFormat = "`<` $slots `,` `order` `=` $order `>`";
  let genVerifyDecl = 1;
}

def Lariat_RingAttr : Lariat_PolicyAttr<"Ring", "ring"> {
  let summary = "slot d mod n";
  let description = "Depth d writes slot d mod n, overwriting depth d - n (Huginn's compress-s). "
                    "Example: `#lariat.ring<4, order = sequential>`";
  let parameters = (ins "int64_t":$slots, "::lariat::RowOrder":$order);
  let assemblyFormat = "`<` $slots `,` `order` `=` $order `>`";
  let genVerifyDecl = 1;
}

def Lariat_LastAttr : Lariat_PolicyAttr<"Last", "last"> {
  let summary = "one slot that every depth overwrites";
  let description = "A row sees the final entries of older rows; prompts depend on how they are cut. "
                    "Example: `#lariat.last<order = sequential>`";
  let parameters = (ins "::lariat::RowOrder":$order);
  let assemblyFormat = "`<` `order` `=` $order `>`";
  let genVerifyDecl = 1;
}

def Lariat_LatestAttr : Lariat_PolicyAttr<"Latest", "latest"> {
  let summary = "own slots, read at the newest depth";
  let description = "Depth d writes slot d; a row at depth d sees u's entry of the newest depth <= d (Huginn's "
                    "latest look-up). Example: `#lariat.latest`";
}

def Lariat_UnionAttr : Lariat_PolicyAttr<"Union", "union"> {
  let summary = "own slots, every depth up to d is read";
  let description = "Depth d writes slot d; a row at depth d sees every entry of depth <= d, in the order (position, "
                    "depth) (CoTFormer, TaH). Example: `#lariat.union`";
}

def Lariat_PhasedAttr : Lariat_PolicyAttr<"Phased", "phased", ["getForRows", "findExitScope"]> {
  let summary = "one policy for prompt positions, another for generated ones";
  let description = "A row writes as its own policy says, and sees an earlier row u as u's policy says. Whether a "
                    "position was generated is stored with the sequence, never a property of the call. Callers have no "
                    "choice of missing modes. Refused: parts that are phased themselves, allow modes or declare "
                    "`compute`, and an exit scope of generated rows. "
                    "Example: `#lariat.phased<prompt = #lariat.own<missing = skip>, generated = #lariat.first>`";
  let parameters = (ins "::lariat::KVPolicyAttrInterface":$prompt, "::lariat::KVPolicyAttrInterface":$generated);
  let assemblyFormat = "`<` `prompt` `=` $prompt `,` `generated` `=` $generated `>`";
  let genVerifyDecl = 1;
}

def Lariat_KVPolicy : Attr<CPred<"::llvm::isa<::lariat::KVPolicyAttrInterface>($_self)">, "KV policy"> {
  let storageType = "::mlir::Attribute";
  let returnType = "::lariat::KVPolicyAttrInterface";
  let convertFromStorage = "::llvm::cast<::lariat::KVPolicyAttrInterface>($_self)";
  let constBuilderCall = "$0";
}

//===----------------------------------------------------------------------===//
// Facts about a whole model, attributes of the module
//===----------------------------------------------------------------------===//

def Lariat_LoopsAttr : Lariat_Attr<"Loops", "loops"> {
  let summary = "how many loop steps a caller may ask for";
  let description = [{
    `default` steps unless the caller says otherwise, `with_exit` where rows may exit; a caller may ask for `min` to
    `max` steps, max = 0 meaning any number. `min` = `max` = `default` is a loop count that is not free.
    Example: `#lariat.loops<default = 4, min = 1, max = 8, with_exit = 8>`
  }];
  let parameters = (ins "int64_t":$defaultSteps, "int64_t":$minSteps, "int64_t":$maxSteps,
                        DefaultValuedParameter<"int64_t", "0">:$stepsWithExit);
  let assemblyFormat = "`<` `default` `=` $defaultSteps `,` `min` `=` $minSteps `,` `max` `=` $maxSteps "
                       "(`,` `with_exit` `=` $stepsWithExit^)? `>`";
  let genVerifyDecl = 1;
}

def Lariat_ExitAttr : Lariat_Attr<"Exit", "exit"> {
  let summary = "the exit rule a model declares";
  let description = [{
    `rule` names it for people; `low` and `high` bound the thresholds accepted; at `never` no row stops early. A caller
    who gives no threshold gets `default`, the one that the model declares, and `never` where it declares none or the
    caller switches exits off. `usual` is one that the rule's source names: people read it, nothing applies it. A rule
    that compares with nothing of a request is declared by its name alone, and rows stop by it in every request.
    Example: `#lariat.exit<"cumulative-hazard", never = 1.0, low = 0.0, high = 1.0>`, `#lariat.exit<"stop-bit">`
  }];
  let parameters = (ins "::mlir::StringAttr":$rule, OptionalParameter<"::mlir::FloatAttr">:$never,
                        OptionalParameter<"::mlir::FloatAttr">:$low, OptionalParameter<"::mlir::FloatAttr">:$high,
                        OptionalParameter<"::mlir::FloatAttr">:$declared,
                        OptionalParameter<"::mlir::FloatAttr">:$usual);
  let assemblyFormat = "`<` $rule (`,` `never` `=` $never^ `,` `low` `=` $low `,` `high` `=` $high "
                       "`` custom<Suggested>($declared, $usual))? `>`";
  let extraClassDeclaration = [{
    bool hasThreshold() const { return static_cast<bool>(getNever()); }
  }];
  let genVerifyDecl = 1;
}

def Lariat_ModelAttr : Lariat_Attr<"Model", "model"> {
  let summary = "facts about a model that no op carries";
  let description = [{
    `vocab` ids are 0..vocab-1; `context` is the largest number of positions of a sequence; `kind` is `decoder` or
    `encoder`; `eos` ids end a sequence. `shape` is a one-line description of the loop for people.
    Example: `#lariat.model<"ouro", kind = "decoder", vocab = 320, context = 512, eos = [257],
    shape = "4 layers x 4 loops">`
  }];
  let parameters = (ins "::mlir::StringAttr":$family, "::mlir::StringAttr":$kind, "int64_t":$vocab,
                        "int64_t":$contextSize, OptionalArrayRefParameter<"int64_t">:$eos,
                        OptionalParameter<"::mlir::StringAttr">:$shape);
  let assemblyFormat = "`<` $family `,` `kind` `=` $kind `,` `vocab` `=` $vocab `,` `context` `=` $contextSize "
                       "(`,` struct(custom<Bracketed>($eos), $shape)^)? `>`";
  let genVerifyDecl = 1;
}

#endif // LARIAT_ATTRS_TD
