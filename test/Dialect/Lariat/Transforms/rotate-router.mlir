// RUN: lariat-opt %s --lariat-rotate-router --split-input-file | FileCheck %s

// The first decision comes before the loop, each step ends with the next one. The score is used by the block too, so it
// is carried; the weight of the router may be asked for one depth too many.
// CHECK: lariat.weight @router : tensor<8xf32> depths(2, beyond = clamp)
lariat.weight @router : tensor<8xf32> depths(2) from <stack = ["r0", "r1"]>
lariat.weight @gate : tensor<8xf32> depths(2) from <stack = ["g0", "g1"]>
// CHECK: lariat.weight @gate : tensor<8xf32> depths(2) from
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)

// CHECK-LABEL: func.func @rotate(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x0:[^:]+]]: tensor<?x8xf32, #of_all>, %[[max:[^:]+]]: tensor<?xindex, #of_all>)
// CHECK:         %[[c0:.+]] = arith.constant 0 : index
// CHECK:         %[[first:.+]] = lariat.advance %[[all]] to %[[c0]]
// CHECK:         %[[z0:.+]] = lariat.linear %[[x0]], @router : {{.*}} by %[[first]]
// CHECK:         %[[go0:.+]] = arith.cmpf oge, %[[z0]]
// CHECK:         %[[in:.+]] = lariat.select %[[all]] where %[[go0]] : {{.*}} to {{.*}}<"chosen">
// CHECK:         %[[xin:.+]] = lariat.take %[[x0]] of %[[all]] at %[[in]]
// CHECK:         %[[zin:.+]] = lariat.take %[[z0]] of %[[all]] at %[[in]]
// CHECK:         %[[bound:.+]] = lariat.take %[[max]] of %[[all]] at %[[in]]
// CHECK:         %[[loop:.+]]:2, %[[steps:.+]] = lariat.recur max(%[[bound]] : {{.*}}) over %[[in]] : !lariat.rows<"chosen"> as %[[a:[^:]+]]: !lariat.rows<"a">
// CHECK-SAME:        carry(%[[x:.+]] = %[[xin]] : {{.*}}, %[[z:.+]] = %[[zin]] :
// CHECK-NOT:       lariat.select
// CHECK-NOT:       lariat.take
// CHECK:           lariat.append @kv[0] %[[x]], %[[x]] at %[[a]] : tensor<?x8xf32, #of_a>
// CHECK-NEXT:      %[[g:.+]] = lariat.linear %[[x]], @gate : {{.*}} by %[[a]]
// CHECK-NEXT:      %[[gz:.+]] = arith.mulf %[[g]], %[[z]]
// CHECK-NEXT:      %[[columns:.+]] = lariat.spread %[[gz]] at %[[a]]
// CHECK-NEXT:      %[[y:.+]] = arith.mulf %[[x]], %[[columns]]
// CHECK-NEXT:      %[[deeper:.+]] = lariat.advance %[[a]]
// CHECK:           %[[z1:.+]] = lariat.linear %[[y]], @router : {{.*}} by %[[deeper]]
// CHECK:           %[[go1:.+]] = arith.cmpf oge, %[[z1]]
// CHECK:           %[[stop:.+]] = arith.xori %[[go1]]
// CHECK:           lariat.next keep %[[a]] : !lariat.rows<"a"> carry(%[[y]], %[[z1]] : {{.*}}) stop(%[[stop]])
// CHECK:         %[[out:.+]] = lariat.put %[[loop]]#0 of %[[in]] into %[[x0]] of %[[all]]
// CHECK:         %[[none:.+]] = lariat.spread %{{.+}} at %[[all]]
// CHECK:         %[[count:.+]] = lariat.put %[[steps]] of %[[in]] into %[[none]] of %[[all]]
// CHECK:         return %[[out]], %[[count]]
func.func @rotate(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: tensor<?xindex, #lariat.of<"all">>)
    -> (tensor<?x8xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : tensor<?xindex, #lariat.of<"all">>) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %zero = arith.constant 0.0 : f32
    %z = lariat.linear %h, @router : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">> by %a : !lariat.rows<"a">
    %t = lariat.spread %zero at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
    %go = arith.cmpf oge, %z, %t : tensor<?xf32, #lariat.of<"a">>
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %hk = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    %zk = lariat.take %z of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.append @kv[0] %hk, %hk at %k : tensor<?x8xf32, #lariat.of<"k">>
    %g = lariat.linear %hk, @gate : tensor<?x8xf32, #lariat.of<"k">> to tensor<?xf32, #lariat.of<"k">> by %k : !lariat.rows<"k">
    %gz = arith.mulf %g, %zk : tensor<?xf32, #lariat.of<"k">>
    %c = lariat.spread %gz at %k : tensor<?xf32, #lariat.of<"k">> at !lariat.rows<"k"> to tensor<?x8xf32, #lariat.of<"k">>
    %y = arith.mulf %hk, %c : tensor<?x8xf32, #lariat.of<"k">>
    lariat.next keep %k : !lariat.rows<"k"> carry(%y : tensor<?x8xf32, #lariat.of<"k">>)
  }
  return %x, %steps : tensor<?x8xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>
}

// -----

// A choice made before the loop is compared with the next depth; what is taken from outside is taken again, not carried,
// and rows of a deeper selection stay as they are.
// CHECK-LABEL: func.func @choice(
// CHECK-SAME:      %[[all:[^:]+]]: !lariat.rows<"all">, %[[x0:[^:]+]]: {{.*}}, %[[e:[^:]+]]: tensor<?xindex, #of_all>
// CHECK:         %[[first:.+]] = lariat.advance %[[all]] to
// CHECK:         %[[d0:.+]] = lariat.depth_of %[[first]]
// CHECK:         %[[go0:.+]] = arith.cmpi uge, %[[e]], %[[d0]]
// CHECK:         lariat.select %[[all]] where %[[go0]]
// CHECK:         lariat.recur {{.*}} as %[[a:[^:]+]]: !lariat.rows<"a"> carry(%[[x:.+]] = %{{.+}} : tensor<?x8xf32, #of_chosen>)
// CHECK:           %[[ea:.+]] = lariat.take %[[e]] of %[[all]] at %[[a]]
// CHECK:           %[[bits:.+]] = arith.cmpi eq, %[[ea]], %[[ea]]
// CHECK:           %[[few:.+]] = lariat.select %[[a]] where %[[bits]] : {{.*}} to {{.*}}<"few">
// CHECK:           %[[y:.+]] = lariat.take %[[x]] of %[[a]] at %[[few]]
// CHECK:           %[[deeper:.+]] = lariat.advance %[[few]]
// CHECK:           %[[next:.+]] = lariat.take %[[e]] of %[[all]] at %[[deeper]]
// CHECK:           %[[d1:.+]] = lariat.depth_of %[[deeper]]
// CHECK:           arith.cmpi uge, %[[next]], %[[d1]]
// CHECK:           lariat.next keep %[[few]] : !lariat.rows<"few"> carry(%[[y]]
func.func @choice(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %e: tensor<?xindex, #lariat.of<"all">>,
                  %max: index) -> tensor<?x8xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %ea = lariat.take %e of %all at %a : tensor<?xindex, #lariat.of<"all">> at !lariat.rows<"a">
    %d = lariat.depth_of %a : !lariat.rows<"a">
    %go = arith.cmpi uge, %ea, %d : tensor<?xindex, #lariat.of<"a">>
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %hk = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    %ek = lariat.take %ea of %a at %k : tensor<?xindex, #lariat.of<"a">> at !lariat.rows<"k">
    %bits = arith.cmpi eq, %ek, %ek : tensor<?xindex, #lariat.of<"k">>
    %few = lariat.select %k where %bits : !lariat.rows<"k"> to !lariat.rows<"few">
    %y = lariat.take %hk of %k at %few : tensor<?x8xf32, #lariat.of<"k">> at !lariat.rows<"few">
    lariat.next keep %few : !lariat.rows<"few"> carry(%y : tensor<?x8xf32, #lariat.of<"few">>)
  }
  return %x : tensor<?x8xf32, #lariat.of<"all">>
}
