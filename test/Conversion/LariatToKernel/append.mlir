// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// Layers that are written together share the entries of their rows.
// CHECK: kernel.cache @kv number(0) layers(2) heads(2) dim(16) : bf16
// CHECK-LABEL: func.func @layer
// CHECK: kernel.reserve {{.*}} of @kv filled false to %[[ENTRIES:.*]] :
// CHECK-NOT: kernel.reserve
// CHECK: kernel.append {{.*}} entries %[[ENTRIES]] %[[K:.*]], %[[K]] into @kv[0]
// CHECK: kernel.append {{.*}} entries %[[ENTRIES]] %[[K]], %[[K]] into @kv[1]
lariat.cache @kv layers(2) heads(2) dim(16) depths(3) : bf16 policy(#lariat.own<missing = skip>)
func.func @layer(%a: !lariat.rows, %k: tensor<?x32xf32>) -> tensor<?x32xf32> {
  lariat.append @kv[0] %k, %k at %a : tensor<?x32xf32>
  lariat.append @kv[1] %k, %k at %a : tensor<?x32xf32>
  return %k : tensor<?x32xf32>
}

// -----

// Entries of rows that had stopped before are reserved as such.
// CHECK-LABEL: func.func @filled
// CHECK: kernel.reserve {{.*}} filled true
lariat.cache @kv layers(1) heads(2) dim(16) depths(3) : f32 policy(#lariat.own<missing = skip>)
func.func @filled(%a: !lariat.rows, %k: tensor<?x32xf32>) -> tensor<?x32xf32> {
  lariat.append @kv[0] %k, %k at %a filled : tensor<?x32xf32>
  return %k : tensor<?x32xf32>
}

// -----

// A slot that the model names is one in which every row writes.
// CHECK-LABEL: func.func @explicit
// CHECK: kernel.reserve {{.*}} explicit of @kv
lariat.cache @kv layers(1) heads(2) dim(16) depths(3) : f32 policy(#lariat.own<missing = skip>)
func.func @explicit(%a: !lariat.rows, %k: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %slot = arith.constant 2 : index
  lariat.append @kv[0] %k, %k at %a slot(%slot) : tensor<?x32xf32>
  return %k : tensor<?x32xf32>
}

// -----

// Keys that are values too are rotated before: append rotates keys alone.
// CHECK-LABEL: func.func @rotated_elsewhere
// CHECK: kernel.rotate {{.*}} to %[[R:.*]] :
// CHECK: kernel.append {{.*}} %[[R]], %[[R]] into @kv[0] :
lariat.cache @kv layers(1) heads(2) dim(16) depths(3) : f32 policy(#lariat.own<missing = skip>)
func.func @rotated_elsewhere(%a: !lariat.rows, %k: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %r = lariat.rope %k at %a heads(2) theta(10000.0) : tensor<?x32xf32>
  lariat.append @kv[0] %r, %r at %a : tensor<?x32xf32>
  return %k : tensor<?x32xf32>
}
