// RUN: lariat-opt %s --split-input-file --lariat-erase-row-sets --convert-lariat-to-kernel | FileCheck %s
// RUN: lariat-opt %s --split-input-file --lariat-erase-row-sets --convert-lariat-to-kernel \
// RUN:   --mlir-elide-elementsattrs-if-larger=2 | FileCheck %s --check-prefix=ELIDED

// Constants are told apart by value: a flag of the printer, under which both have the same text, changes nothing.
// CHECK: kernel.packed @[[C:.+]] vector [] shape [4] value(dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]>
// CHECK: kernel.packed @[[D:.+]] vector [] shape [4] value(dense<[5.000000e+00, 6.000000e+00, 7.000000e+00, 8.000000e+00]>
// CHECK-LABEL: func.func @two_constants
// CHECK: kernel.rowwise {{.*}} vectors [@[[C]], @[[D]]]
// CHECK: ^bb0(%[[X:.*]]: f32, %[[CV:.*]]: f32, %[[DV:.*]]: f32):
// CHECK: %[[Y:.*]] = arith.mulf %[[X]], %[[CV]]
// CHECK: arith.addf %[[Y]], %[[DV]]
// ELIDED-COUNT-2: kernel.packed
// ELIDED-LABEL: func.func @two_constants
// ELIDED: %[[Y:.*]] = arith.mulf %{{.*}}, %[[CV:.*]] :
// ELIDED-NOT: arith.addf %[[Y]], %[[CV]]
// ELIDED: arith.addf %[[Y]],
func.func @two_constants(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %d = arith.constant dense<[5.0, 6.0, 7.0, 8.0]> : tensor<4xf32>
  %cs = lariat.spread %c at %a : tensor<4xf32> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  %ds = lariat.spread %d at %a : tensor<4xf32> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  %y = arith.mulf %x, %cs : tensor<?x4xf32, #lariat.of<"a">>
  %z = arith.addf %y, %ds : tensor<?x4xf32, #lariat.of<"a">>
  return %z : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// Equal data is declared once: one constant for two functions.
// CHECK-COUNT-1: kernel.packed
// CHECK-NOT: kernel.packed
// CHECK-LABEL: func.func @first
// CHECK-LABEL: func.func @second
func.func @first(%a: !lariat.rows<"a">, %x: tensor<?x2xf32, #lariat.of<"a">>) -> tensor<?x2xf32, #lariat.of<"a">> {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %cs = lariat.spread %c at %a : tensor<2xf32> at !lariat.rows<"a"> to tensor<?x2xf32, #lariat.of<"a">>
  %y = arith.mulf %x, %cs : tensor<?x2xf32, #lariat.of<"a">>
  return %y : tensor<?x2xf32, #lariat.of<"a">>
}
func.func @second(%a: !lariat.rows<"a">, %x: tensor<?x2xf32, #lariat.of<"a">>) -> tensor<?x2xf32, #lariat.of<"a">> {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %cs = lariat.spread %c at %a : tensor<2xf32> at !lariat.rows<"a"> to tensor<?x2xf32, #lariat.of<"a">>
  %y = arith.addf %x, %cs : tensor<?x2xf32, #lariat.of<"a">>
  return %y : tensor<?x2xf32, #lariat.of<"a">>
}

// -----

// Names of weights that read alike when put together.
// CHECK-DAG: kernel.packed @"panels:p+q" panels ["p", "q"]
// CHECK-DAG: kernel.packed @"panels:p+q_1" panels ["p+q"]
lariat.weight @p : tensor<16x4xf32> from <"p">
lariat.weight @q : tensor<16x4xf32> from <"q">
lariat.weight @"p+q" : tensor<16x4xf32> from <"r">
func.func @names(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %y: tensor<?x4xf32, #lariat.of<"a">>)
    -> (tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>) {
  %u = lariat.linear %x, @p : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  %v = lariat.linear %x, @q : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  %w = lariat.linear %y, @"p+q" : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return %u, %v, %w : tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>
}
