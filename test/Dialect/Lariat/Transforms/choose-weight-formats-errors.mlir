// RUN: split-file %s %t
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=int8 2>&1 | FileCheck %s --check-prefix=FORMAT
// FORMAT: error: 'int8' is no format of weights, expected f32, bf16 or f16
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=mlp=bf16 2>&1 | FileCheck %s --check-prefix=CLASS
// CLASS: error: rule 'mlp=bf16' is for 'mlp', expected embed, head, attention, ffn, norm, other, @NAME or *
// RUN: not lariat-opt %t/tied.mlir '--lariat-choose-weight-formats=rules=@[=bf16' 2>&1 | FileCheck %s --check-prefix=PATTERN
// PATTERN: error: rule '@[=bf16' has a pattern that is none:
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=ffn=bf16,ffn=f32 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: error: rules 'ffn=bf16' and 'ffn=f32' are for the same weights
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=f32,*=bf16 2>&1 | FileCheck %s --check-prefix=ALL
// ALL: error: rules 'f32' and '*=bf16' are for the same weights
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=ffn=bf16 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: rule 'ffn=bf16' is for no weight of the model
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=@f=bf16 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: error: rule '@f=bf16' is for no weight of the model

// An embedding that is the head too has one format: rules that agree, or one for its name.
// RUN: not lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=embed=bf16,head=f32 2>&1 | FileCheck %s --check-prefix=TIED
// TIED: error: 'lariat.weight' op is of two classes, and rules 'embed=bf16' and 'head=f32' disagree about it, expected a rule for its name, such as '@e=f32'
// RUN: lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=embed=bf16,head=bf16 | FileCheck %s --check-prefix=AGREED
// RUN: lariat-opt %t/tied.mlir --lariat-choose-weight-formats=rules=embed=bf16,head=f32,@e=bf16 | FileCheck %s --check-prefix=AGREED
// AGREED: @e : tensor<32x8xf32> stored <bf16>

//--- tied.mlir
lariat.weight @e : tensor<32x8xf32> from <"e">
func.func @forward(%ids: tensor<?xi32, #lariat.of<"a">>)
    -> (tensor<?x32xf32, #lariat.of<"a">> {lariat.output = "logits"}) {
  %x = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  %logits = lariat.linear %x, @e : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
  return %logits : tensor<?x32xf32, #lariat.of<"a">>
}
