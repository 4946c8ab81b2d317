// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --mlir-print-op-generic | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --emit-bytecode | lariat-opt | FileCheck %s

// The ops of LariatWeightOps.td: printed, generic and bytecode form read back the same.

// CHECK: lariat.weight @w : tensor<16x8xf32> from <"w">
lariat.weight @w : tensor<16x8xf32> from <"w">
// CHECK: lariat.weight @rounded : tensor<16x8xf32> stored <bf16> from <"w">
lariat.weight @rounded : tensor<16x8xf32> stored #lariat.stored<bf16> from <"w">
// CHECK: lariat.weight @half : tensor<16x8xf32> stored <f16> from <"w">
lariat.weight @half : tensor<16x8xf32> stored #lariat.stored<f16> from <"w">
// CHECK: lariat.weight @as_it_is : tensor<16x8xf32> from <"w">
lariat.weight @as_it_is : tensor<16x8xf32> stored <f32> from <"w">
// CHECK: lariat.weight @row : tensor<8xf32> from <"row">
lariat.weight @row : tensor<8xf32> from <"row">
// CHECK: lariat.weight @out : tensor<16xf32> from <"b">
lariat.weight @out : tensor<16xf32> from <"b">
// CHECK: lariat.weight @one : tensor<1xf32> value dense<1.000000e+00> : tensor<1xf32>
lariat.weight @one : tensor<1xf32> value dense<1.0> : tensor<1xf32>
// CHECK: lariat.weight @a : tensor<2x8xf32> depths(2) from <stack = ["a0", "a1"]>
lariat.weight @a : tensor<2x8xf32> depths(2) from <stack = ["a0", "a1"]>
// The default of `beyond` is not printed.
// CHECK: lariat.weight @b : tensor<16x2xf32> depths(2) from <stack = ["b0", "b1"]>
lariat.weight @b : tensor<16x2xf32> depths(2, beyond = error) from <stack = ["b0", "b1"]>
// CHECK: lariat.weight @router : tensor<8xf32> depths(2, beyond = clamp) value dense<0.000000e+00> : tensor<2x8xf32>
lariat.weight @router : tensor<8xf32> depths(2, beyond = clamp) value dense<0.0> : tensor<2x8xf32>
// One depth needs no stack.
// CHECK: lariat.weight @single : tensor<8xf32> depths(1) from <"n">
lariat.weight @single : tensor<8xf32> depths(1) from <"n">
// CHECK: lariat.weight @scalar : tensor<f32> value dense<2.000000e+00> : tensor<f32> {lariat.hint.note = "kept"}
lariat.weight @scalar : tensor<f32> value dense<2.0> : tensor<f32> {lariat.hint.note = "kept"}
// CHECK: lariat.weight @e : tensor<320x8xf32> from <"embed">
lariat.weight @e : tensor<320x8xf32> from <"embed">
// CHECK: lariat.weight @head : tensor<4xf32> from <"head_norm">
lariat.weight @head : tensor<4xf32> from <"head_norm">

// CHECK-LABEL: @value_of
func.func @value_of() -> tensor<f32> {
  // CHECK: lariat.value_of @scalar : tensor<f32>
  %s = lariat.value_of @scalar : tensor<f32>
  return %s : tensor<f32>
}

// CHECK-LABEL: @value_of_by
func.func @value_of_by(%r: !lariat.rows<"a">) -> tensor<?x8xf32, #lariat.of<"a">> {
  // CHECK: lariat.value_of @router : tensor<?x8xf32, #of_a> by %{{.+}} : !lariat.rows<"a">
  %s = lariat.value_of @router : tensor<?x8xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
  return %s : tensor<?x8xf32, #lariat.of<"a">>
}

// CHECK-LABEL: @linear
func.func @linear(%x: tensor<?x8xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // CHECK: lariat.linear %{{.+}}, @w : tensor<?x8xf32, #of_a> to tensor<?x16xf32, #of_a>
  %0 = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  // CHECK: lariat.linear %{{.+}}, @w bias(@out) : tensor<?x8xf32, #of_a> to tensor<?x16xf32, #of_a>
  %1 = lariat.linear %x, @w bias(@out) : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  // CHECK: lariat.linear %{{.+}}, @w bias(@out) low_rank(@a, @b) scale(2.000000e+00) : tensor<?x8xf32, #of_a> to tensor<?x16xf32, #of_a> by %{{.+}} : {{.*}}<"a">
  %2 = lariat.linear %x, @w bias(@out) low_rank(@a, @b) scale(2.0) : tensor<?x8xf32, #lariat.of<"a">> to
      tensor<?x16xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
  // A weight of shape (in) gives one value per row.
  // CHECK: lariat.linear %{{.+}}, @row bias(@one) : tensor<?x8xf32, #of_a> to tensor<?xf32, #of_a>
  %3 = lariat.linear %x, @row bias(@one) : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">>
  // CHECK: lariat.linear %{{.+}}, @router : tensor<?x8xf32, #of_a> to tensor<?xf32, #of_a> by %{{.+}} : {{.*}}<"a">
  %4 = lariat.linear %x, @router : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">> by %r
      : !lariat.rows<"a">
  return
}

// CHECK-LABEL: @embed
func.func @embed(%ids: tensor<?xi32, #lariat.of<"a">>, %indices: tensor<?xindex>) {
  // CHECK: lariat.embed %{{.+}}, @e : tensor<?xi32, #of_a> to tensor<?x8xf32, #of_a>
  %0 = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  // CHECK: lariat.embed %{{.+}}, @e : tensor<?xindex> to tensor<?x8xf32>
  %1 = lariat.embed %indices, @e : tensor<?xindex> to tensor<?x8xf32>
  return
}

// CHECK-LABEL: @norm
func.func @norm(%x: tensor<?x8xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // CHECK: lariat.norm rms %{{.+}} eps(1.000000e-05) : tensor<?x8xf32, #of_a>
  %0 = lariat.norm rms %x eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">>
  // CHECK: lariat.norm layer %{{.+}} weight(@row) bias(@row) eps(0.000000e+00) : tensor<?x8xf32, #of_a>
  %1 = lariat.norm layer %x weight(@row) bias(@row) eps(0.0) : tensor<?x8xf32, #lariat.of<"a">>
  // Defaults are not printed.
  // CHECK: lariat.norm l2 %{{.+}} eps({{.+}}) : tensor<?x8xf32, #of_a>
  %2 = lariat.norm l2 %x eps(1.0e-05) groups(1) weight_order(after_cast) : tensor<?x8xf32, #lariat.of<"a">>
  // CHECK: lariat.norm rms %{{.+}} weight(@head) eps({{.+}}) groups(2) weight_order(before_cast) : tensor<?x8xf32, #of_a>
  %3 = lariat.norm rms %x weight(@head) eps(1.0e-05) groups(2) weight_order(before_cast)
      : tensor<?x8xf32, #lariat.of<"a">>
  // CHECK: lariat.norm rms %{{.+}} weight(@single) eps({{.+}}) : tensor<?x8xf32, #of_a> by %{{.+}} : {{.*}}<"a">
  %4 = lariat.norm rms %x weight(@single) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
  return
}

// CHECK-LABEL: @rope
func.func @rope(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // CHECK: lariat.rope %{{.+}} at %{{.+}} heads(2) theta(1.000000e+04) : tensor<?x64xf32, #of_a>
  %0 = lariat.rope %q at %r heads(2) theta(10000.0) style(half) : tensor<?x64xf32, #lariat.of<"a">>
  // CHECK:      lariat.rope %{{.+}} at %{{.+}} heads(2) theta(5.000000e+05) dims(16) style(interleaved)
  // CHECK-SAME:   scaling(<linear, factor = 4.000000e+00 : f64>) angles(bf16) : tensor<?x64xf32, #of_a>
  %1 = lariat.rope %q at %r heads(2) theta(500000.0) dims(16) style(interleaved) scaling(<linear, factor = 4.0>)
      angles(bf16) : tensor<?x64xf32, #lariat.of<"a">>
  // CHECK: lariat.rope %{{.+}} at %{{.+}} heads(2) frequencies(@frequencies) : tensor<?x64xf32, #of_a>
  %2 = lariat.rope %q at %r heads(2) frequencies(@frequencies) : tensor<?x64xf32, #lariat.of<"a">>
  // CHECK:      lariat.rope %{{.+}} at %{{.+}} heads(2) frequencies(array<f64: 1.000000e+00, 5.000000e-01>)
  // CHECK-SAME:   magnitude(1.250000e+00) dims(4) : tensor<?x64xf32, #of_a>
  %3 = lariat.rope %q at %r heads(2) frequencies(array<f64: 1.0, 0.5>) magnitude(1.25) dims(4)
      : tensor<?x64xf32, #lariat.of<"a">>
  return
}
lariat.weight @frequencies : tensor<16xf32> from <"frequencies">
