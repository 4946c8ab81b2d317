// RUN: lariat-opt %s --lariat-derive-steps --split-input-file | FileCheck %s

// Everything live across a step is an argument of @core: the carried value, then what it takes from outside (threshold,
// injection); the record ends with the bound and what only the coda needs. Constants are computed again.
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = propagate>)
lariat.weight @e : tensor<16x8xf32> from <"e">

// The entry stays.
// CHECK-LABEL: func.func @forward(
// CHECK:         lariat.recur

// CHECK-LABEL: func.func @prelude(
// CHECK-SAME:      %[[rows:[^:]+]]: !lariat.rows<"all"> {lariat.input = "rows"}, %[[ids:[^:]+]]: tensor<?xi32, #of_all> {lariat.input = "ids"}
// CHECK-SAME:      %[[loops:[^:]+]]: tensor<?xindex, #of_all> {lariat.input = "loops"}, %[[q:[^:]+]]: tensor<?xf32, #of_all>
// CHECK-SAME:      -> (tensor<?xi1, #of_all>, tensor<?x8xf32, #of_all>, tensor<?xf32, #of_all>, tensor<?x8xf32, #of_all>, tensor<?xindex, #of_all>, tensor<?x8xf32, #of_all>)
// CHECK-SAME:      attributes {lariat.record = ["entered", "carried", "invariant", "invariant", "max", "coda"]}
// CHECK:         %[[x0:.+]] = lariat.embed %[[ids]], @e
// CHECK:         %[[inj:.+]] = arith.addf %[[x0]], %[[x0]]
// CHECK:         %[[true:.+]] = arith.constant true
// CHECK:         %[[entered:.+]] = lariat.spread %[[true]] at %[[rows]]
// CHECK:         return %[[entered]], %[[x0]], %[[q]], %[[inj]], %[[loops]], %[[x0]]

// CHECK-LABEL: func.func @core(
// CHECK-SAME:      %[[rows:[^:]+]]: !lariat.rows<"a">, %[[h:[^:]+]]: tensor<?x8xf32, #of_a>, %[[q:[^:]+]]: tensor<?xf32, #of_a>, %[[inj:[^:]+]]: tensor<?x8xf32, #of_a>)
// CHECK-SAME:      -> (tensor<?x8xf32, #of_a>, tensor<?xi1, #of_a>, tensor<?xi1, #of_a>)
// CHECK:         %[[half:.+]] = arith.constant 5.0
// CHECK:         lariat.append @kv[0] %[[h]], %[[h]] at %[[rows]]
// CHECK:         %[[y:.+]] = arith.addf %[[h]], %[[inj]]
// CHECK:         lariat.spread %[[half]]
// CHECK:         %[[stop:.+]] = arith.cmpf ogt, %[[q]],
// CHECK:         %[[true:.+]] = arith.constant true
// CHECK:         %[[kept:.+]] = lariat.spread %[[true]] at %[[rows]]
// CHECK:         return %[[y]], %[[kept]], %[[stop]]

// CHECK-LABEL: func.func @fill(
// CHECK-SAME:      %[[rows:[^:]+]]: !lariat.rows<"s">, %[[f:[^:]+]]: tensor<?x8xf32, #of_s>, %{{.+}}: tensor<?xf32, #of_s>, %[[inj:[^:]+]]: tensor<?x8xf32, #of_s>)
// CHECK:         lariat.append @kv[0] %[[f]], %[[inj]] at %[[rows]] filled
// CHECK-NEXT:    return

// CHECK-LABEL: func.func @coda(
// CHECK-SAME:      %[[rows:[^:]+]]: !lariat.rows<"all"> {lariat.input = "rows"}
// CHECK-SAME:      %{{[^:]+}}: tensor<?xi1, #of_all>, %[[x:[^:]+]]: tensor<?x8xf32, #of_all>, %[[steps:[^:]+]]: tensor<?xi32, #of_all>, %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>)
// CHECK-SAME:      {lariat.output = "logits"}
// CHECK:         %[[sum:.+]] = arith.addf %[[x]], %[[x0]]
// CHECK:         %[[wanted:.+]] = lariat.last %[[rows]]
// CHECK:         %[[logits:.+]] = lariat.take %[[sum]] of %[[rows]] at %[[wanted]]
// CHECK:         return %[[logits]], %[[steps]]
func.func @forward(%all: !lariat.rows<"all"> {lariat.input = "rows"}, %ids: tensor<?xi32, #lariat.of<"all">> {lariat.input = "ids"},
                   %loops: tensor<?xindex, #lariat.of<"all">> {lariat.input = "loops"},
                   %q: tensor<?xf32, #lariat.of<"all">> {lariat.input = "threshold"})
    -> (tensor<?x8xf32, #lariat.of<"wanted">> {lariat.output = "logits"}, tensor<?xi32, #lariat.of<"all">> {lariat.output = "steps"}) {
  %half = arith.constant 0.5 : f32
  %wanted = lariat.last %all : !lariat.rows<"all"> to !lariat.rows<"wanted">
  %x0 = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"all">> to tensor<?x8xf32, #lariat.of<"all">>
  %inj = arith.addf %x0, %x0 : tensor<?x8xf32, #lariat.of<"all">>
  %x, %steps = lariat.recur max(%loops : tensor<?xindex, #lariat.of<"all">>) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    %t = lariat.take %q of %all at %a : tensor<?xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %i = lariat.take %inj of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %y = arith.addf %h, %i : tensor<?x8xf32, #lariat.of<"a">>
    %l = lariat.spread %half at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    %stop = arith.cmpf ogt, %t, %l : tensor<?xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x8xf32, #lariat.of<"a">>) stop(%stop)
  } fill(%s : !lariat.rows<"s">, %f) {
    %i = lariat.take %inj of %all at %s : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"s">
    lariat.append @kv[0] %f, %i at %s : tensor<?x8xf32, #lariat.of<"s">>
    lariat.end
  }
  %sum = arith.addf %x, %x0 : tensor<?x8xf32, #lariat.of<"all">>
  %logits = lariat.take %sum of %all at %wanted : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"wanted">
  return %logits, %steps : tensor<?x8xf32, #lariat.of<"wanted">>, tensor<?xi32, #lariat.of<"all">>
}

// -----

// Where only some rows enter, the record has zeros for the others, and the coda selects those that entered. Rows that a
// step does not keep get back what they came in with.
// CHECK-LABEL: func.func @prelude(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>, %[[go:[^:]+]]: tensor<?xi1, #of_all>
// CHECK:         %[[e:.+]] = lariat.select %[[all]] where %[[go]]
// CHECK:         %[[xe:.+]] = lariat.take %[[x0]] of %[[all]] at %[[e]]
// CHECK:         %[[true:.+]] = arith.constant true
// CHECK:         %[[ones:.+]] = lariat.spread %[[true]] at %[[e]]
// CHECK:         %[[entered:.+]] = lariat.put %[[ones]] of %[[e]] into %{{.+}} of %[[all]]
// CHECK:         %[[zero:.+]] = arith.constant 0.000000e+00
// CHECK:         %[[zeros:.+]] = lariat.spread %[[zero]] at %[[all]]
// CHECK:         %[[x:.+]] = lariat.put %[[xe]] of %[[e]] into %[[zeros]] of %[[all]]
// CHECK:         %[[bound:.+]] = lariat.spread %{{.+}} at %[[e]]
// CHECK:         %[[max:.+]] = lariat.put %[[bound]] of %[[e]] into %{{.+}} of %[[all]]
// CHECK:         return %[[entered]], %[[x]], %[[max]]

// CHECK-LABEL: func.func @core(
// CHECK-SAME:      %[[a:[^:]+]]: !lariat.rows<"a">, %[[h:[^:]+]]: tensor<?x8xf32, #of_a>)
// CHECK:         %[[bits:.+]] = arith.cmpi
// CHECK:         %[[k:.+]] = lariat.select %[[a]] where %[[bits]]
// CHECK:         %[[y:.+]] = lariat.take %[[h]] of %[[a]] at %[[k]]
// CHECK:         %[[none:.+]] = lariat.spread %{{.+}} at %[[a]]
// CHECK:         %[[ones:.+]] = lariat.spread %{{.+}} at %[[k]]
// CHECK:         %[[kept:.+]] = lariat.put %[[ones]] of %[[k]] into %[[none]] of %[[a]]
// CHECK:         return %{{.+}}, %[[kept]], %[[none]]

// CHECK-LABEL: func.func @coda(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>, %{{[^:]+}}: tensor<?xi1, #of_all>, %[[entered:[^:]+]]: tensor<?xi1, #of_all>, %[[final:[^:]+]]: tensor<?x8xf32, #of_all>,
// CHECK:         %[[e:.+]] = lariat.select %[[all]] where %[[entered]] : {{.*}} to {{.*}}<"e">
// CHECK:         %[[x:.+]] = lariat.take %[[final]] of %[[all]] at %[[e]]
// CHECK:         %[[out:.+]] = lariat.put %[[x]] of %[[e]] into %[[x0]] of %[[all]]
// CHECK:         return %[[out]]
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %go: tensor<?xi1, #lariat.of<"all">>)
    -> tensor<?x8xf32, #lariat.of<"all">> {
  %max = arith.constant 3 : index
  %e = lariat.select %all where %go : !lariat.rows<"all"> to !lariat.rows<"e">
  %xe = lariat.take %x0 of %all at %e : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"e">
  %x, %steps = lariat.recur max(%max : index) over %e : !lariat.rows<"e"> as %a : !lariat.rows<"a">
      carry(%h = %xe : tensor<?x8xf32, #lariat.of<"e">>) {
    %d = lariat.depth_of %a : !lariat.rows<"a">
    %m = arith.cmpi eq, %d, %d : tensor<?xindex, #lariat.of<"a">>
    %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
    %y = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?x8xf32, #lariat.of<"k">>)
  }
  %out = lariat.put %x of %e into %x0 of %all : tensor<?x8xf32, #lariat.of<"e">> into tensor<?x8xf32, #lariat.of<"all">>
  return %out : tensor<?x8xf32, #lariat.of<"all">>
}

// -----

// A bit that settles everything that is used of the loop once it is set is the latch: what comes after the loop may run
// while the row runs on. Here the carried %x is not used.
// CHECK-LABEL: func.func @core(
// CHECK-SAME:      -> (tensor<?x8xf32, #of_a>, tensor<?xi1, #of_a> {lariat.output = "latch"}, tensor<?x8xf32, #of_a>, tensor<?xi1, #of_a>, tensor<?xi1, #of_a>)
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %open: tensor<?xi1, #lariat.of<"all">>,
                   %s: tensor<?xi1, #lariat.of<"all">>) -> tensor<?x8xf32, #lariat.of<"all">> {
  %max = arith.constant 3 : index
  %x, %done, %z, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>, %was = %open : tensor<?xi1, #lariat.of<"all">>,
            %old = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %y = arith.addf %h, %h : tensor<?x8xf32, #lariat.of<"a">>
    %stop = lariat.take %s of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    %either = arith.ori %was, %stop : tensor<?xi1, #lariat.of<"a">>
    %columns = lariat.spread %was at %a : tensor<?xi1, #lariat.of<"a">> at !lariat.rows<"a"> to tensor<?x8xi1, #lariat.of<"a">>
    %kept = arith.select %columns, %old, %y : tensor<?x8xi1, #lariat.of<"a">>, tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y, %either, %kept : tensor<?x8xf32, #lariat.of<"a">>,
        tensor<?xi1, #lariat.of<"a">>, tensor<?x8xf32, #lariat.of<"a">>)
  }
  return %z : tensor<?x8xf32, #lariat.of<"all">>
}

// -----

// Steps still count while the row runs on, so there is no latch where they are used.
// CHECK-LABEL: func.func @core(
// CHECK-NOT:     "latch"
// CHECK:         return
func.func @forward(%all: !lariat.rows<"all">, %open: tensor<?xi1, #lariat.of<"all">>, %s: tensor<?xi1, #lariat.of<"all">>)
    -> (tensor<?xi1, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>) {
  %max = arith.constant 3 : index
  %done, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%was = %open : tensor<?xi1, #lariat.of<"all">>) {
    %stop = lariat.take %s of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    %either = arith.ori %was, %stop : tensor<?xi1, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%either : tensor<?xi1, #lariat.of<"a">>)
  }
  return %done, %steps : tensor<?xi1, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>
}
