// RUN: split-file %s %t
// RUN: lariat-opt %t/compute.mlir --lariat-resolve-kv-policy=missing=compute | FileCheck %t/compute.mlir
// RUN: lariat-opt %t/declared.mlir --lariat-resolve-kv-policy | FileCheck %t/declared.mlir
// RUN: lariat-opt %t/picked.mlir --lariat-resolve-kv-policy=missing=propagate | FileCheck %t/picked.mlir
// RUN: lariat-opt %t/first.mlir --lariat-resolve-kv-policy | FileCheck %t/first.mlir
// RUN: lariat-opt %t/scope.mlir --lariat-resolve-kv-policy | FileCheck %t/scope.mlir
// RUN: lariat-opt %t/phased.mlir --lariat-resolve-kv-policy | FileCheck %t/phased.mlir

//--- compute.mlir

// Rows run on to max: the stop bit sets a latch, behind which results and steps stay as they were; fill goes. A result
// that nobody uses (%c) has no latched copy. The cache outside the loop keeps its mode.
// CHECK: lariat.cache @kv {{.*}} policy(#lariat.own<missing = compute>)
// CHECK: lariat.cache @out {{.*}} policy(#lariat.own<missing = skip>)
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = copy_last>)
lariat.cache @out layers(1) heads(1) dim(8) depths(1) : f32 policy(#lariat.own<missing = skip>)

// CHECK-LABEL: func.func @latch(
// CHECK-SAME:      %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>, %[[c0:[^:]+]]: tensor<?xf32, #of_all>
// CHECK:         %[[false:.+]] = arith.constant false
// CHECK:         %[[open:.+]] = lariat.spread %[[false]]
// CHECK:         %[[none:.+]] = lariat.spread %{{.+}} : i32 at
// CHECK:         %[[loop:.+]]:5, %{{.+}} = lariat.recur
// CHECK-SAME:        carry(%[[x:.+]] = %[[x0]] : {{.*}}, %[[c:.+]] = %[[c0]] : {{.*}}, %[[was:.+]] = %[[open]] : {{.*}}, %[[steps:.+]] = %[[none]] : {{.*}}, %[[z:.+]] = %[[x0]] :
// CHECK:           %[[y:.+]] = arith.addf %[[x]], %[[x]]
// CHECK:           %[[stop:.+]] = arith.cmpf ogt
// CHECK:           %[[done:.+]] = arith.ori %[[was]], %[[stop]]
// CHECK:           %[[depth:.+]] = lariat.depth_of
// CHECK:           %[[cast:.+]] = arith.index_cast %[[depth]]
// CHECK:           %[[reached:.+]] = arith.addi %[[cast]]
// CHECK:           %[[newsteps:.+]] = arith.select %[[was]], %[[steps]], %[[reached]]
// CHECK:           %[[columns:.+]] = lariat.spread %[[was]]
// CHECK:           %[[newz:.+]] = arith.select %[[columns]], %[[z]], %[[y]]
// CHECK:           lariat.next keep %{{.+}} carry(%[[y]], %[[c]], %[[done]], %[[newsteps]], %[[newz]] :
// CHECK-NOT:       stop
// CHECK-NOT:       fill
// CHECK:         return %[[loop]]#4, %[[loop]]#3
func.func @latch(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>,
                 %c0: tensor<?xf32, #lariat.of<"all">>, %max: index)
    -> (tensor<?x8xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>) {
  lariat.append @out[0] %x0, %x0 at %all : tensor<?x8xf32, #lariat.of<"all">>
  %x, %c, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>, %g = %c0 : tensor<?xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    %y = arith.addf %h, %h : tensor<?x8xf32, #lariat.of<"a">>
    %done = arith.cmpf ogt, %g, %g : tensor<?xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y, %g : tensor<?x8xf32, #lariat.of<"a">>,
        tensor<?xf32, #lariat.of<"a">>) stop(%done)
  } fill(%s : !lariat.rows<"s">, %f, %d) {
    lariat.append @kv[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return %x, %steps : tensor<?x8xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>
}

//--- declared.mlir

// Without an option each cache keeps its mode; only propagate needs the fill region, and only its own appends in it.
lariat.cache @skip layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
lariat.cache @fill layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = propagate>)

// CHECK-LABEL: func.func @declared(
// CHECK:         } fill(%[[rows:[^:]+]]: !lariat.rows<"s">, %[[x:.+]]) {
// CHECK-NEXT:      lariat.append @fill[0] %[[x]], %[[x]] at %[[rows]]
// CHECK-NEXT:      lariat.end
func.func @declared(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @skip[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.append @fill[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    %n = arith.addf %f, %f : tensor<?x8xf32, #lariat.of<"s">>
    lariat.append @skip[0] %n, %n at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.append @fill[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}

//--- picked.mlir

// An allowed mode takes the place of the declared one.
// CHECK: lariat.cache @kv {{.*}} policy(#lariat.own<missing = propagate, allowed = [propagate]>)
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip, allowed = [propagate]>)

// CHECK-LABEL: func.func @picked(
// CHECK:         } fill(
func.func @picked(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    lariat.append @kv[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}

//--- first.mlir

// Depth 0 writes: keys, values and what only they need are computed for rows at depth 0. The norm is also used by the
// query, so it stays and its rows are taken; the append stays before the attend.
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.first)
lariat.weight @w : tensor<8x8xf32> from <"w">

// CHECK-LABEL: func.func @first(
// CHECK:         lariat.recur {{.*}} as %[[rows:[^:]+]]: !lariat.rows<"a"> carry(%[[x:.+]] =
// CHECK:           %[[depth:.+]] = lariat.depth_of %[[rows]]
// CHECK:           %[[at0:.+]] = arith.cmpi eq, %[[depth]]
// CHECK:           %[[writing:.+]] = lariat.select %[[rows]] where %[[at0]] : {{.*}} to {{.*}}<"writing">
// CHECK:           %[[n:.+]] = lariat.norm rms %[[x]]
// CHECK:           %[[wn:.+]] = lariat.take %[[n]] of %[[rows]] at %[[writing]]
// CHECK:           %[[q:.+]] = lariat.linear %[[n]], @w
// CHECK-NEXT:      %[[k:.+]] = lariat.linear %[[wn]], @w
// CHECK-NEXT:      %[[kr:.+]] = lariat.rope %[[k]] at %[[writing]]
// CHECK-NEXT:      %[[v:.+]] = lariat.linear %[[wn]], @w
// CHECK-NEXT:      lariat.append @kv[0] %[[kr]], %[[v]] at %[[writing]]
// CHECK-NEXT:      lariat.attend @kv[0] %[[q]] at %[[rows]]
func.func @first(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %n = lariat.norm rms %h eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">>
    %q = lariat.linear %n, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
    %k = lariat.linear %n, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
    %kr = lariat.rope %k at %a heads(1) theta(10000.0) : tensor<?x8xf32, #lariat.of<"a">>
    %v = lariat.linear %n, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
    lariat.append @kv[0] %kr, %v at %a : tensor<?x8xf32, #lariat.of<"a">>
    %o = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%o : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

//--- scope.mlir

// Rows of the prompt stay in the loop: their stop bit is never set.
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip, exit_scope = generated>)

// CHECK-LABEL: func.func @scope
// CHECK:         lariat.recur {{.*}} as %[[rows:[^:]+]]: {{.*}}<"a">
// CHECK:           %[[stop:.+]] = lariat.take
// CHECK:           %[[generated:.+]] = lariat.generated_of %[[rows]]
// CHECK:           %[[one:.+]] = arith.constant 1 : index
// CHECK:           %[[ones:.+]] = lariat.spread %[[one]] at %[[rows]]
// CHECK:           %[[is:.+]] = arith.cmpi eq, %[[generated]], %[[ones]]
// CHECK:           %[[both:.+]] = arith.andi %[[stop]], %[[is]]
// CHECK:           lariat.next keep %[[rows]] {{.*}} stop(%[[both]])
func.func @scope(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                 %bits: tensor<?xi1, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    %stop = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>) stop(%stop)
  }
  return
}

//--- phased.mlir

// The fill region stays where rows of one kind propagate; which rows it writes for is decided when it is lowered.
lariat.cache @some layers(1) heads(1) dim(8) : f32
    policy(#lariat.phased<prompt = #lariat.own<missing = propagate>, generated = #lariat.first>)
lariat.cache @none layers(1) heads(1) dim(8) : f32
    policy(#lariat.phased<prompt = #lariat.latest, generated = #lariat.last<order = atomic>>)

// CHECK-LABEL: func.func @phased
// CHECK:         fill(%[[rows:[^:]+]]: {{.*}}<"s">, %[[x:.+]]) {
// CHECK-NEXT:      lariat.append @some[0] %[[x]], %[[x]] at %[[rows]]
// CHECK-NEXT:      lariat.end
func.func @phased(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @some[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.append @none[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  } fill(%s : !lariat.rows<"s">, %f) {
    lariat.append @some[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.append @none[0] %f, %f at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  return
}
