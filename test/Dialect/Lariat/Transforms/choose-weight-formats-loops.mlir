// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=head=bf16 | FileCheck %s

// Logits that a loop carries out of its step are logits.
// CHECK: lariat.weight @h : tensor<32x8xf32> stored <bf16> from
lariat.weight @h : tensor<32x8xf32> from <"h">
func.func @forward(%all: !lariat.rows<"all">, %x: tensor<?x8xf32, #lariat.of<"all">>,
                   %l: tensor<?x32xf32, #lariat.of<"all">>, %max: index)
    -> (tensor<?x32xf32, #lariat.of<"all">> {lariat.output = "logits"}) {
  %y, %logits, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?x8xf32, #lariat.of<"all">>, %before = %l : tensor<?x32xf32, #lariat.of<"all">>) {
    %now = lariat.linear %h, @h : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a">
        carry(%h, %now : tensor<?x8xf32, #lariat.of<"a">>, tensor<?x32xf32, #lariat.of<"a">>)
  }
  return %logits : tensor<?x32xf32, #lariat.of<"all">>
}

// -----

// What no rule is for keeps the format that it declares.
// CHECK: lariat.weight @h : tensor<32x8xf32> stored <bf16> from
// CHECK: lariat.weight @kept : tensor<8xf32> stored <bf16> from
// CHECK: lariat.weight @wide : tensor<8xf32> from
lariat.weight @h : tensor<32x8xf32> from <"h">
lariat.weight @kept : tensor<8xf32> stored <bf16> from <"kept">
lariat.weight @wide : tensor<8xf32> from <"wide">
func.func @forward(%x: tensor<?x8xf32, #lariat.of<"a">>) -> (tensor<?x32xf32, #lariat.of<"a">> {lariat.output = "logits"}) {
  %logits = lariat.linear %x, @h : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
  return %logits : tensor<?x32xf32, #lariat.of<"a">>
}
