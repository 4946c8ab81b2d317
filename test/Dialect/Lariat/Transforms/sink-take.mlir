// RUN: lariat-opt %s --lariat-sink-take --split-input-file | FileCheck %s

// Not moved: what has another use and would run twice, and what is indexed by a depth that the taken rows do not have.
lariat.weight @deep : tensor<8x8xf32> depths(2) from <stack = ["d0", "d1"]>
// CHECK-LABEL: func.func @keep(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x:[^:]+]]: tensor<?x8xf32, #of_all>)
// CHECK:         %[[twice:.+]] = arith.addf %[[x]], %[[x]]
// CHECK:         lariat.take %[[twice]]
// CHECK:         %[[deep:.+]] = lariat.linear %[[x]], @deep
// CHECK:         lariat.take %[[deep]]
func.func @keep(%all: !lariat.rows<"all">, %x: tensor<?x8xf32, #lariat.of<"all">>)
    -> (tensor<?x8xf32, #lariat.of<"all">>, tensor<?x8xf32, #lariat.of<"w">>, tensor<?x8xf32, #lariat.of<"w">>) {
  %w = lariat.last %all : !lariat.rows<"all"> to !lariat.rows<"w">
  %deeper = lariat.advance %all : !lariat.rows<"all">
  %y = arith.addf %x, %x : tensor<?x8xf32, #lariat.of<"all">>
  %yw = lariat.take %y of %all at %w : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"w">
  %d = lariat.linear %x, @deep : tensor<?x8xf32, #lariat.of<"all">> to tensor<?x8xf32, #lariat.of<"all">> by %deeper : !lariat.rows<"all">
  %dw = lariat.take %d of %all at %w : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"w">
  return %y, %yw, %dw : tensor<?x8xf32, #lariat.of<"all">>, tensor<?x8xf32, #lariat.of<"w">>, tensor<?x8xf32, #lariat.of<"w">>
}

// -----

// The head runs on the wanted rows only; a value used twice is taken once.
lariat.weight @n : tensor<8xf32> from <"n">
lariat.weight @out : tensor<16x8xf32> from <"out">
// CHECK-LABEL: func.func @head(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x:[^:]+]]: tensor<?x8xf32, #of_all>)
// CHECK:         %[[w:.+]] = lariat.last %[[all]]
// CHECK:         %[[xw:.+]] = lariat.take %[[x]] of %[[all]] at %[[w]]
// CHECK-NEXT:    %[[s:.+]] = arith.mulf %[[xw]], %[[xw]] : tensor<?x8xf32, #of_w>
// CHECK-NEXT:    %[[r:.+]] = lariat.rope %[[s]] at %[[w]]
// CHECK-NEXT:    %[[h:.+]] = lariat.norm rms %[[r]]
// CHECK-NEXT:    %[[logits:.+]] = lariat.linear %[[h]], @out : tensor<?x8xf32, #of_w> to tensor<?x16xf32, #of_w>
// CHECK-NEXT:    return %[[logits]]
func.func @head(%all: !lariat.rows<"all">, %x: tensor<?x8xf32, #lariat.of<"all">>) -> tensor<?x16xf32, #lariat.of<"w">> {
  %s = arith.mulf %x, %x : tensor<?x8xf32, #lariat.of<"all">>
  %r = lariat.rope %s at %all heads(1) theta(10000.0) : tensor<?x8xf32, #lariat.of<"all">>
  %h = lariat.norm rms %r weight(@n) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"all">>
  %l = lariat.linear %h, @out : tensor<?x8xf32, #lariat.of<"all">> to tensor<?x16xf32, #lariat.of<"all">>
  %w = lariat.last %all : !lariat.rows<"all"> to !lariat.rows<"w">
  %logits = lariat.take %l of %all at %w : tensor<?x16xf32, #lariat.of<"all">> at !lariat.rows<"w">
  return %logits : tensor<?x16xf32, #lariat.of<"w">>
}
