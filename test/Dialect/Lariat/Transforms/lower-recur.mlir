// RUN: lariat-opt %s --lariat-lower-recur --split-input-file --allow-unregistered-dialect | FileCheck %s

// Rows below their own max enter; values and steps are kept for all rows, the active ones shrink.
// CHECK-LABEL: @per_row_max
// CHECK-SAME:    %[[all:.+]]: !lariat.rows, %[[x0:.+]]: tensor<?x4xf32>, %[[max:.+]]: tensor<?xindex>
// CHECK:         %[[below:.+]] = arith.cmpi slt
// CHECK:         %[[entering:.+]] = lariat.select %[[all]] where %[[below]]
// CHECK:         %[[loop:.+]]:4 = scf.while (%[[cur:.+]] = %[[entering]], %[[d:.+]] = %{{.+}}, %[[x:.+]] = %[[x0]], %[[steps:.+]] = %{{.+}})
// CHECK:           %[[count:.+]] = lariat.count %[[cur]]
// CHECK:           %[[more:.+]] = arith.cmpi ne, %[[count]]
// CHECK:           scf.condition(%[[more]])
// CHECK:         } do {
// CHECK:         ^bb0(%[[cur:.+]]: !lariat.rows, %[[d:.+]]: index, %[[x:.+]]: tensor<?x4xf32>, %[[steps:.+]]: tensor<?xi32>):
// CHECK:           %[[rows:.+]] = lariat.advance %[[cur]] to %[[d]]
// CHECK:           %[[h:.+]] = lariat.take %[[x]] of %[[all]] at %[[rows]]
// CHECK:           %[[y:.+]] = arith.addf %[[h]], %[[h]]
// CHECK:           %[[goes:.+]] = arith.cmpi slt
// CHECK:           %[[next:.+]] = lariat.select %[[rows]] where %[[goes]]
// CHECK:           %[[x1:.+]] = lariat.put %[[y]] of %[[rows]] into %[[x]] of %[[all]]
// CHECK:           %[[steps1:.+]] = lariat.put %{{.+}} of %[[rows]] into %[[steps]] of %[[all]]
// CHECK:           scf.yield %[[next]], %{{.+}}, %[[x1]], %[[steps1]]
// CHECK:         return %[[loop]]#2, %[[loop]]#3
func.func @per_row_max(%all: !lariat.rows, %x0: tensor<?x4xf32>, %max: tensor<?xindex>)
    -> (tensor<?x4xf32>, tensor<?xi32>) {
  %x, %steps = lariat.recur max(%max : tensor<?xindex>) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?x4xf32>) {
    %y = arith.addf %h, %h : tensor<?x4xf32>
    lariat.next keep %a : !lariat.rows carry(%y : tensor<?x4xf32>)
  }
  return %x, %steps : tensor<?x4xf32>, tensor<?xi32>
}

// -----

// A stop bit takes its row out after this step; rows that are not kept leave their line alone.
// CHECK-LABEL: @stop
// CHECK:         scf.while
// CHECK:           %[[kept:.+]] = lariat.select
// CHECK:           %[[yes:.+]] = lariat.spread %true at %[[kept]]
// CHECK:           %[[stays:.+]] = arith.xori %{{.+}}, %[[yes]]
// CHECK:           %[[on:.+]] = arith.andi %{{.+}}, %[[stays]]
// CHECK:           lariat.select %[[kept]] where %[[on]]
// CHECK:           lariat.put %{{.+}} of %[[kept]] into
func.func @stop(%all: !lariat.rows, %x0: tensor<?xf32>, %max: index, %limit: f32) -> tensor<?xf32> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?xf32>) {
    %l = lariat.spread %limit at %a : f32 at !lariat.rows to tensor<?xf32>
    %small = arith.cmpf olt, %h, %l : tensor<?xf32>
    %k = lariat.select %a where %small : !lariat.rows to !lariat.rows
    %hk = lariat.take %h of %a at %k : tensor<?xf32> at !lariat.rows
    %y = arith.addf %hk, %hk : tensor<?xf32>
    %lk = lariat.spread %limit at %k : f32 at !lariat.rows to tensor<?xf32>
    %done = arith.cmpf ogt, %y, %lk : tensor<?xf32>
    lariat.next keep %k : !lariat.rows carry(%y : tensor<?xf32>) stop(%done)
  }
  return %x : tensor<?xf32>
}

// -----

// The fill of a depth comes before the body of that depth, for stopped rows below their max, its appends are marked,
// and the loop goes on until the largest max even where no row is active.
// CHECK-LABEL: @fill
// CHECK:         scf.while
// CHECK:           %[[active:.+]] = arith.cmpi ne
// CHECK:           %[[owed:.+]] = arith.cmpi slt
// CHECK:           arith.ori %[[active]], %[[owed]]
// CHECK:         } do {
// CHECK:           %[[stopped:.+]] = lariat.advance %{{.+}} to
// CHECK:           lariat.append @kv[0] %{{.+}}, %{{.+}} at %[[stopped]] filled
// CHECK:           %[[rows:.+]] = lariat.advance
// CHECK:           lariat.append @kv[0] %{{.+}}, %{{.+}} at %[[rows]] :
// CHECK:           scf.yield
lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.own<missing = propagate>)
func.func @fill(%all: !lariat.rows, %x0: tensor<?x4xf32>, %max: index, %done: tensor<?xi1>) -> tensor<?x4xf32> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?x4xf32>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x4xf32>
    %d = lariat.take %done of %all at %a : tensor<?xi1> at !lariat.rows
    lariat.next keep %a : !lariat.rows carry(%h : tensor<?x4xf32>) stop(%d)
  } fill(%s : !lariat.rows, %f) {
    lariat.append @kv[0] %f, %f at %s : tensor<?x4xf32>
    lariat.end
  }
  return %x : tensor<?x4xf32>
}

// -----

// A loop in a loop: memory goes by the steps of both, arithmetic by those of the inner one.
// CHECK-LABEL: @nested
// CHECK:         ^bb0(%{{.+}}: !lariat.rows, %[[outer:[^:]+]]: index, %{{.+}}: tensor<?x4xf32>, %{{.+}}: tensor<?xi32>):
// CHECK:         ^bb0(%{{.+}}: !lariat.rows, %[[inner:[^:]+]]: index, %{{.+}}: tensor<?x4xf32>, %{{.+}}: tensor<?xi32>):
// CHECK:           %[[first:.+]] = arith.muli %[[outer]], %c3
// CHECK:           %[[rows:.+]] = lariat.advance %{{.+}} to %[[inner]]
// CHECK-NEXT:      %[[key:.+]] = arith.addi %[[first]], %[[inner]]
// CHECK-NEXT:      %[[keyed:.+]] = lariat.advance %[[rows]] to %[[key]]
// CHECK:           lariat.shift @s[0] %{{.+}} at %[[keyed]]
// CHECK:           lariat.depth_of %[[rows]]
// CHECK:           lariat.append @kv[0] %{{.+}}, %{{.+}} at %[[keyed]]
lariat.state @s layers(1) width(4) : f32
lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)
func.func @nested(%all: !lariat.rows, %x0: tensor<?x4xf32>, %max: index) -> tensor<?x4xf32> {
  %three = arith.constant 3 : index
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows as %a : !lariat.rows
      carry(%h = %x0 : tensor<?x4xf32>) {
    %y, %inner = lariat.recur max(%three : index) over %a : !lariat.rows as %b : !lariat.rows
        carry(%g = %h : tensor<?x4xf32>) {
      %before = lariat.shift @s[0] %g at %b : tensor<?x4xf32>
      %d = lariat.depth_of %b : !lariat.rows
      "test.use"(%d) : (tensor<?xindex>) -> ()
      lariat.append @kv[0] %before, %before at %b : tensor<?x4xf32>
      lariat.next keep %b : !lariat.rows carry(%before : tensor<?x4xf32>)
    }
    lariat.next keep %a : !lariat.rows carry(%y : tensor<?x4xf32>)
  }
  return %x : tensor<?x4xf32>
}
