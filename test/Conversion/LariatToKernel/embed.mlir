// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// Rows of a weight by id come out of its panels.
// CHECK: kernel.packed @"panels:e" panels ["e"] shape [320, 8] : f32
// CHECK-LABEL: func.func @embed
// CHECK: kernel.embed rows(%{{.*}}) ids(%{{.*}} : memref<?xi32>) @"panels:e" out
lariat.weight @e : tensor<320x8xf32> from <"e">
func.func @embed(%a: !lariat.rows, %ids: tensor<?xi32>) -> tensor<?x8xf32> {
  %x = lariat.embed %ids, @e : tensor<?xi32> to tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}

// -----

// Ids that a model computes are written before.
// CHECK-LABEL: func.func @computed
// CHECK: kernel.rowwise {{.*}} outs(%[[IDS:.*]] : memref<?xindex>)
// CHECK: kernel.embed {{.*}} ids(%[[IDS]] : memref<?xindex>)
lariat.weight @e : tensor<320x8xf32> from <"e">
func.func @computed(%a: !lariat.rows, %ids: tensor<?xindex>) -> tensor<?x8xf32> {
  %s = arith.addi %ids, %ids : tensor<?xindex>
  %x = lariat.embed %s, @e : tensor<?xindex> to tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}

// -----

// A product with the same weight reads the same panels.
// CHECK-COUNT-1: kernel.packed
// CHECK-NOT: kernel.packed
// CHECK-LABEL: func.func @tied
// CHECK: kernel.embed {{.*}} @"panels:e"
// CHECK: kernel.gemm {{.*}} weights [@"panels:e"]
lariat.weight @e : tensor<320x8xf32> from <"e">
func.func @tied(%a: !lariat.rows, %ids: tensor<?xi32>) -> tensor<?x320xf32> {
  %x = lariat.embed %ids, @e : tensor<?xi32> to tensor<?x8xf32>
  %z = lariat.linear %x, @e : tensor<?x8xf32> to tensor<?x320xf32>
  return %z : tensor<?x320xf32>
}
