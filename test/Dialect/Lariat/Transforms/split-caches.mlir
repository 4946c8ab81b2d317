// RUN: lariat-opt %s --lariat-split-caches --split-input-file | FileCheck %s

// Layers written one after the other, each before it is attended to, stay together.
// CHECK-LABEL: lariat.cache @kv layers(2)
// CHECK:         lariat.attend @kv[1]
lariat.cache @kv layers(2) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)
func.func @together(%all: !lariat.rows<"all">, %x: tensor<?x4xf32, #lariat.of<"all">>) -> tensor<?x4xf32, #lariat.of<"all">> {
  lariat.append @kv[0] %x, %x at %all : tensor<?x4xf32, #lariat.of<"all">>
  %y = lariat.attend @kv[0] %x at %all heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"all">>
  lariat.append @kv[1] %y, %y at %all : tensor<?x4xf32, #lariat.of<"all">>
  %z = lariat.attend @kv[1] %y at %all heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"all">>
  return %z : tensor<?x4xf32, #lariat.of<"all">>
}

// -----

// Layer 1 is attended to when only layer 0 has its entries.
// CHECK-DAG:   lariat.cache @kv.0 layers(1) heads(1) dim(4) depths(2) : f32 policy(#lariat.union)
// CHECK-DAG:   lariat.cache @kv.1 layers(1) heads(1) dim(4) depths(2) : f32 policy(#lariat.union)
// CHECK-LABEL: func.func @early(
// CHECK:         lariat.append @kv.0[0]
// CHECK:         lariat.attend @kv.1[0]
// CHECK:         lariat.append @kv.1[0]
lariat.cache @kv layers(2) heads(1) dim(4) depths(2) : f32 policy(#lariat.union)
func.func @early(%all: !lariat.rows<"all">, %x: tensor<?x4xf32, #lariat.of<"all">>) -> tensor<?x4xf32, #lariat.of<"all">> {
  lariat.append @kv[0] %x, %x at %all : tensor<?x4xf32, #lariat.of<"all">>
  %y = lariat.attend @kv[1] %x at %all heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"all">>
  lariat.append @kv[1] %y, %y at %all : tensor<?x4xf32, #lariat.of<"all">>
  return %y : tensor<?x4xf32, #lariat.of<"all">>
}

// -----

// Rows that only one layer gets, and the layer of a branch.
// CHECK:       lariat.cache @some.0
// CHECK:       lariat.cache @some.1
// CHECK-LABEL: func.func @part(
lariat.cache @some layers(2) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)
func.func @part(%all: !lariat.rows<"all">, %x: tensor<?x4xf32, #lariat.of<"all">>, %bit: i1) -> tensor<?x4xf32, #lariat.of<"all">> {
  lariat.append @some[1] %x, %x at %all : tensor<?x4xf32, #lariat.of<"all">>
  scf.if %bit {
    lariat.append @some[0] %x, %x at %all : tensor<?x4xf32, #lariat.of<"all">>
  }
  %y = lariat.attend @some[0] %x at %all heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"all">>
  return %y : tensor<?x4xf32, #lariat.of<"all">>
}

// -----

// A name that is taken.
// CHECK:       lariat.cache @[[first:kv\.0_[0-9]+]] layers(1)
// CHECK:       lariat.cache @kv.1 layers(1)
// CHECK:       lariat.append @[[first]][0]
lariat.weight @kv.0 : tensor<4xf32> from <"w">
lariat.cache @kv layers(2) heads(1) dim(4) : f32 policy(#lariat.own<missing = skip>)
func.func @taken(%all: !lariat.rows<"all">, %x: tensor<?x4xf32, #lariat.of<"all">>) -> tensor<?x4xf32, #lariat.of<"all">> {
  lariat.append @kv[0] %x, %x at %all : tensor<?x4xf32, #lariat.of<"all">>
  %y = lariat.attend @kv[1] %x at %all heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"all">>
  return %y : tensor<?x4xf32, #lariat.of<"all">>
}
