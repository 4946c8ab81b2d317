// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --mlir-print-op-generic | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --emit-bytecode | lariat-opt | FileCheck %s

// The ops of LariatLoopOps.td: printed, generic and bytecode form read back the same.

// The shortest loop carries nothing, stops at one bound and gives only steps.
// CHECK-LABEL: @carry_nothing
// CHECK-SAME:    %[[all:.+]]: !lariat.rows<"all">, %[[max:.+]]: index
func.func @carry_nothing(%all: !lariat.rows<"all">, %max: index) -> tensor<?xi32, #lariat.of<"all">> {
  // CHECK:      %[[steps:.+]] = lariat.recur max(%[[max]] : index) over %[[all]] : !lariat.rows<"all"> as %[[a:.+]]: !lariat.rows<"a"> {
  // CHECK-NEXT:   lariat.next keep %[[a]] : !lariat.rows<"a">
  // CHECK-NEXT: }
  %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  // CHECK-NEXT: return %[[steps]]
  return %steps : tensor<?xi32, #lariat.of<"all">>
}

// Every clause at once: a bound per row, a first depth, two carried values of different rank, a selection that `next`
// keeps, stop bits, a fill region and a hint.
// CHECK-LABEL: @every_clause
// CHECK-SAME:    %[[all:[^:]+]]: !lariat.rows<"all">, %[[max:[^:]+]]: tensor<?xindex, #of_all>, %[[from:[^:]+]]: index, %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>, %[[p0:[^:]+]]: tensor<?xf32, #of_all>
func.func @every_clause(%all: !lariat.rows<"all">, %max: tensor<?xindex, #lariat.of<"all">>, %from: index,
                        %x0: tensor<?x8xf32, #lariat.of<"all">>, %p0: tensor<?xf32, #lariat.of<"all">>,
                        %limit: f32) -> tensor<?x8xf32, #lariat.of<"all">> {
  // CHECK:      %[[x:.+]]:2, %[[steps:.+]] = lariat.recur max(%[[max]] : tensor<?xindex, #of_all>) from(%[[from]])
  // CHECK-SAME:   over %[[all]] : !lariat.rows<"all"> as %[[a:[^:]+]]: !lariat.rows<"a">
  // CHECK-SAME:   carry(%[[h:.+]] = %[[x0]] : tensor<?x8xf32, #of_all>, %[[p:.+]] = %[[p0]] : tensor<?xf32, #of_all>)
  // CHECK-SAME:   attributes {lariat.hint.block = "one"} {
  %x, %q, %steps = lariat.recur max(%max : tensor<?xindex, #lariat.of<"all">>) from(%from) over %all
      : !lariat.rows<"all"> as %a : !lariat.rows<"a"> carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>,
                                                            %p = %p0 : tensor<?xf32, #lariat.of<"all">>)
      attributes {lariat.hint.block = "one"} {
    %l = lariat.spread %limit at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    %go = arith.cmpf olt, %p, %l : tensor<?xf32, #lariat.of<"a">>
    // CHECK:    %[[k:.+]] = lariat.select %[[a]]
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %hk = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    %pk = lariat.take %p of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
    // CHECK:    %[[done:.+]] = arith.cmpf
    %done = arith.cmpf ogt, %pk, %pk : tensor<?xf32, #lariat.of<"k">>
    // CHECK:    lariat.next keep %[[k]] : !lariat.rows<"k"> carry(%{{.+}}, %{{.+}} : tensor<?x8xf32, #of_k>, tensor<?xf32, #of_k>) stop(%[[done]])
    lariat.next keep %k : !lariat.rows<"k"> carry(%hk, %pk : tensor<?x8xf32, #lariat.of<"k">>,
                                                           tensor<?xf32, #lariat.of<"k">>) stop(%done)
  // CHECK-NEXT: } fill(%[[s:[^:]+]]: !lariat.rows<"s">, %[[sx:.+]], %[[sp:.+]]) {
  } fill(%s : !lariat.rows<"s">, %sx, %sp) {
    // CHECK-NEXT: arith.addf %[[sp]], %[[sp]] : tensor<?xf32, #of_s>
    %twice = arith.addf %sp, %sp : tensor<?xf32, #lariat.of<"s">>
    // CHECK-NEXT: lariat.end
    lariat.end
  }
  return %x : tensor<?x8xf32, #lariat.of<"all">>
}

// A loop in a loop runs over rows of its own; the inner one may enter with the outer step's values.
// CHECK-LABEL: @nested
func.func @nested(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %outer: index, %inner: index) {
  // CHECK: lariat.recur
  // CHECK:   as %[[a:[^:]+]]: !lariat.rows<"a"> carry(%[[h:.+]] =
  %x, %steps = lariat.recur max(%outer : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    // CHECK: %[[y:.+]], %{{.+}} = lariat.recur {{.*}} over %[[a]] : !lariat.rows<"a"> as %{{[^:]+}}: !lariat.rows<"b"> carry(%{{.+}} = %[[h]] :
    %y, %n = lariat.recur max(%inner : index) over %a : !lariat.rows<"a"> as %b : !lariat.rows<"b">
        carry(%g = %h : tensor<?x8xf32, #lariat.of<"a">>) {
      lariat.next keep %b : !lariat.rows<"b"> carry(%g : tensor<?x8xf32, #lariat.of<"b">>)
    }
    // CHECK: lariat.next keep %[[a]] : !lariat.rows<"a"> carry(%[[y]] :
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

// Outer row tensors enter as the source of take and the destination of put.
// CHECK-LABEL: @capture
func.func @capture(%all: !lariat.rows<"all">, %e: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %e : tensor<?x8xf32, #lariat.of<"all">>) {
    // CHECK: lariat.take %{{.+}} of %{{.+}} at %{{.+}} : tensor<?x8xf32, #of_all> at {{.*}}<"a">
    %i = lariat.take %e of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    // CHECK: lariat.put %{{.+}} of %{{.+}} into %{{.+}} of %{{.+}} : tensor<?x8xf32, #of_a> into tensor<?x8xf32, #of_all>
    %p = lariat.put %i of %a into %e of %all : tensor<?x8xf32, #lariat.of<"a">> into tensor<?x8xf32, #lariat.of<"all">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%i : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

// Without labels the same text holds, with plain tensors and without checks on sets.
// CHECK-LABEL: @erased
func.func @erased(%all: !lariat.rows, %x0: tensor<?x8xf32>, %max: index) -> tensor<?x8xf32> {
  // CHECK:      %[[x:.+]], %{{.+}} = lariat.recur max(%{{.+}} : index) over %{{.+}} : !lariat.rows as %[[a:.+]]: !lariat.rows
  // CHECK-SAME:   carry(%[[h:.+]] = %{{.+}} : tensor<?x8xf32>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?x8xf32>) {
    // CHECK-NEXT: lariat.next keep %[[a]] : !lariat.rows carry(%[[h]] : tensor<?x8xf32>)
    lariat.next keep %a : !lariat.rows carry(%h : tensor<?x8xf32>)
  }
  return %x : tensor<?x8xf32>
}

// Selections may follow each other, and `advance` keeps the set.
// CHECK-LABEL: @keep_a_chain
func.func @keep_a_chain(%all: !lariat.rows<"all">, %z0: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%z = %z0 : tensor<?xf32, #lariat.of<"all">>) {
    // CHECK: %[[k:.+]] = lariat.top_k
    %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
    %zk = lariat.take %z of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
    %m = arith.cmpf ogt, %zk, %zk : tensor<?xf32, #lariat.of<"k">>
    // CHECK: %[[j:.+]] = lariat.select %[[k]]
    %j = lariat.select %k where %m : !lariat.rows<"k"> to !lariat.rows<"j">
    // CHECK: %[[i:.+]] = lariat.advance %[[j]]
    %i = lariat.advance %j : !lariat.rows<"j">
    %zj = lariat.take %zk of %k at %j : tensor<?xf32, #lariat.of<"k">> at !lariat.rows<"j">
    // CHECK: lariat.next keep %[[i]] : !lariat.rows<"j">
    lariat.next keep %i : !lariat.rows<"j"> carry(%zj : tensor<?xf32, #lariat.of<"j">>)
  }
  return
}
