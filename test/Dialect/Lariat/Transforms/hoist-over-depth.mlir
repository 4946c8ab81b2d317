// RUN: lariat-opt %s --lariat-hoist-over-depth --split-input-file | FileCheck %s

lariat.weight @w : tensor<8x8xf32> from <"w">
lariat.weight @deep : tensor<8x8xf32> depths(2) from <stack = ["d0", "d1"]>

// Not moved: what depends on a carried value, what is indexed by depth, and what only spreads a value.
// CHECK-LABEL: func.func @no_hoist(
// CHECK-NOT:     lariat.linear
// CHECK-NOT:     lariat.spread
// CHECK:         lariat.recur
// CHECK:           lariat.linear %{{.+}}, @deep
// CHECK:           lariat.spread
// CHECK:           lariat.linear %{{.+}}, @w
// CHECK:           lariat.next
func.func @no_hoist(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %e: tensor<?x8xf32, #lariat.of<"all">>,
                    %g: tensor<?xf32, #lariat.of<"all">>, %max: index) -> tensor<?x8xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %ea = lariat.take %e of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %ga = lariat.take %g of %all at %a : tensor<?xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %d = lariat.linear %ea, @deep : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">> by %a : !lariat.rows<"a">
    %s = lariat.spread %ga at %a : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"a"> to tensor<?x8xf32, #lariat.of<"a">>
    %u = arith.addf %d, %s : tensor<?x8xf32, #lariat.of<"a">>
    %v = arith.addf %u, %h : tensor<?x8xf32, #lariat.of<"a">>
    %y = lariat.linear %v, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x8xf32, #lariat.of<"all">>
}

// -----

lariat.weight @w : tensor<8x8xf32> from <"w">

// A chain moves op by op, with the constants it needs and at the positions of the outer rows; the step takes its end.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %{{[^:]+}}: {{.*}}, %[[e:[^:]+]]: tensor<?x8xf32, #of_all>
// CHECK:         %[[p:.+]] = lariat.linear %[[e]], @w : tensor<?x8xf32, #of_all> to tensor<?x8xf32, #of_all>
// CHECK:         %[[half:.+]] = arith.constant 5.0
// CHECK:         %[[columns:.+]] = lariat.spread %[[half]] at %[[all]]
// CHECK:         %[[m:.+]] = arith.mulf %[[p]], %[[columns]]
// CHECK:         %[[r:.+]] = lariat.rope %[[m]] at %[[all]]
// CHECK:         lariat.recur {{.*}} as %[[a:[^:]+]]: !lariat.rows<"a"> carry(%[[h:.+]] =
// CHECK-NEXT:      %[[ra:.+]] = lariat.take %[[r]] of %[[all]] at %[[a]]
// CHECK-NEXT:      %[[y:.+]] = arith.addf %[[h]], %[[ra]]
// CHECK-NEXT:      lariat.next keep %[[a]] : {{.*}} carry(%[[y]]
func.func @chain(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %e: tensor<?x8xf32, #lariat.of<"all">>,
                 %max: index) -> tensor<?x8xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %ea = lariat.take %e of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %p = lariat.linear %ea, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
    %half = arith.constant 0.5 : f32
    %s = lariat.spread %half at %a : f32 at !lariat.rows<"a"> to tensor<?x8xf32, #lariat.of<"a">>
    %m = arith.mulf %p, %s : tensor<?x8xf32, #lariat.of<"a">>
    %r = lariat.rope %m at %a heads(1) theta(10000.0) : tensor<?x8xf32, #lariat.of<"a">>
    %y = arith.addf %h, %r : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x8xf32, #lariat.of<"all">>
}

// -----

// Out of two loops, an op on what both take from outside leaves both.
// CHECK-LABEL: func.func @nested(
// CHECK-SAME:      %{{[^:]+}}: {{.*}}, %[[e:[^:]+]]: tensor<?x8xf32, #of_all>
// CHECK:         arith.addf %[[e]], %[[e]]
// CHECK:         lariat.recur
// CHECK-NOT:     arith.addf
// CHECK:         return
func.func @nested(%all: !lariat.rows<"all">, %e: tensor<?x8xf32, #lariat.of<"all">>, %max: index) -> tensor<?x8xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %e : tensor<?x8xf32, #lariat.of<"all">>) {
    %ea = lariat.take %e of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %u, %inner = lariat.recur max(%max : index) over %a : !lariat.rows<"a"> as %b : !lariat.rows<"b">
        carry(%g = %h : tensor<?x8xf32, #lariat.of<"a">>) {
      %eb = lariat.take %ea of %a at %b : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"b">
      %f = arith.addf %eb, %eb : tensor<?x8xf32, #lariat.of<"b">>
      lariat.next keep %b : !lariat.rows<"b"> carry(%f : tensor<?x8xf32, #lariat.of<"b">>)
    }
    lariat.next keep %a : !lariat.rows<"a"> carry(%u : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x8xf32, #lariat.of<"all">>
}
