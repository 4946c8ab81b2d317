// RUN: lariat-opt %s --split-input-file --lariat-erase-row-sets --lariat-lower-recur --canonicalize --convert-lariat-to-kernel | FileCheck %s --implicit-check-not=memref.load --implicit-check-not=memref.store

// Rows write the slot of their depth, and look up from it.
// CHECK-LABEL: func.func @own
// CHECK: kernel.slots rows(%{{.*}}) at %{{.*}} <own> to %[[WRITTEN:.*]] :
// CHECK: kernel.reserve {{.*}} slots %[[WRITTEN]] of @kv filled false
// CHECK: kernel.slots rows(%{{.*}}) at %{{.*}} <own> to %[[SEEN:.*]] :
// CHECK: kernel.view {{.*}} slots %[[SEEN]] of @kv
lariat.cache @kv layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.own<missing = skip>)
func.func @own(%a: !lariat.rows<"a">, %q: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"a">> {
  lariat.append @kv[0] %q, %q at %a : tensor<?x16xf32, #lariat.of<"a">>
  %o = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x16xf32, #lariat.of<"a">>
  return %o : tensor<?x16xf32, #lariat.of<"a">>
}

// -----

// Only rows at depth 0 write the slot that all look up from.
// CHECK-LABEL: func.func @first
// CHECK: kernel.slots {{.*}} <first below 1> to %[[WRITTEN:.*]] :
// CHECK: kernel.reserve {{.*}} slots %[[WRITTEN]]
// CHECK: kernel.slots {{.*}} <first> to %[[SEEN:.*]] :
// CHECK: kernel.view {{.*}} slots %[[SEEN]]
lariat.cache @kv layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.first)
func.func @first(%a: !lariat.rows<"a">, %q: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"a">> {
  lariat.append @kv[0] %q, %q at %a : tensor<?x16xf32, #lariat.of<"a">>
  %o = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x16xf32, #lariat.of<"a">>
  return %o : tensor<?x16xf32, #lariat.of<"a">>
}

// -----

// Depths that share slots: the last of them, or in turn.
// CHECK-LABEL: func.func @shared
// CHECK: kernel.slots {{.*}} <shared of 3> to
// CHECK: kernel.slots {{.*}} <ring of 2> to
lariat.cache @s layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.first_then_shared<3, order = atomic>)
lariat.cache @r layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.ring<2, order = atomic>)
func.func @shared(%a: !lariat.rows<"a">, %q: tensor<?x16xf32, #lariat.of<"a">>) {
  lariat.append @s[0] %q, %q at %a : tensor<?x16xf32, #lariat.of<"a">>
  lariat.append @r[0] %q, %q at %a : tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

// Rows that had stopped write where the policy propagates, and nothing where it does not.
// CHECK-LABEL: func.func @filled
// CHECK: kernel.slots {{.*}} <own> to %[[ALL:.*]] :
// CHECK: kernel.reserve {{.*}} slots %[[ALL]] of @p filled true
// CHECK: kernel.slots {{.*}} <own below 0> to %[[NONE:.*]] :
// CHECK: kernel.reserve {{.*}} slots %[[NONE]] of @k filled true
lariat.cache @p layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.own<missing = propagate>)
lariat.cache @k layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.own<missing = skip>)
func.func @filled(%a: !lariat.rows<"a">, %q: tensor<?x16xf32, #lariat.of<"a">>) {
  lariat.append @p[0] %q, %q at %a filled : tensor<?x16xf32, #lariat.of<"a">>
  lariat.append @k[0] %q, %q at %a filled : tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

// A slot by hand is that of all rows.
// CHECK-LABEL: func.func @explicit
// CHECK: kernel.fill rows(%{{.*}}) %[[TWO:.*]] to %[[WRITTEN:.*]] : memref<?xindex>
// CHECK: kernel.reserve {{.*}} slots %[[WRITTEN]] explicit
lariat.cache @kv layers(1) heads(1) dim(16) depths(4) : f32 policy(#lariat.own<missing = skip>)
func.func @explicit(%a: !lariat.rows<"a">, %q: tensor<?x16xf32, #lariat.of<"a">>) {
  %two = arith.constant 2 : index
  lariat.append @kv[0] %q, %q at %a slot(%two) : tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

// Row sets that a loop carries are copied whole.
// CHECK-LABEL: func.func @carried
// CHECK: kernel.copy_rows rows(%{{.*}}) %{{.*}} to %[[VARIABLE:.*]] : memref<?x6xindex>, memref<?x6xindex>
// CHECK: scf.while
// CHECK: kernel.copy_rows rows(%{{.*}}) %{{.*}} to %[[VARIABLE]] :
// CHECK-NOT: scf.for
func.func @carried(%all: !lariat.rows<"all">, %x: tensor<?x16xf32, #lariat.of<"all">>, %max: tensor<?xindex, #lariat.of<"all">>)
    -> tensor<?x16xf32, #lariat.of<"all">> {
  %h, %steps = lariat.recur max(%max : tensor<?xindex, #lariat.of<"all">>) over %all : !lariat.rows<"all"> as %a: !lariat.rows<"a">
      carry(%y = %x : tensor<?x16xf32, #lariat.of<"all">>) {
    %z = arith.addf %y, %y : tensor<?x16xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%z : tensor<?x16xf32, #lariat.of<"a">>)
  }
  return %h : tensor<?x16xf32, #lariat.of<"all">>
}
