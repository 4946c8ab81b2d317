// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// An op without a kernel is a function on tensors and a call of it; equal functions are one.
// CHECK-LABEL: func.func @twice
// CHECK: kernel.generic @generic_0 ins(%{{.*}}, %{{.*}} : memref<?xf32>, memref<?x6xindex>) rows(%[[N:.*]], %[[N]])
// CHECK: kernel.generic @generic_0
// CHECK: func.func private @generic_0(%[[X:.*]]: tensor<?xf32>, %[[A:.*]]: !lariat.rows) -> tensor<?xf32> attributes {kernel.generic_body}
// CHECK-NEXT: lariat.seq_reduce mean %[[X]] at %[[A]]
// CHECK-NOT: @generic_1
func.func @twice(%a: !lariat.rows, %x: tensor<?xf32>, %y: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %m = lariat.seq_reduce mean %x at %a : tensor<?xf32>
  %n = lariat.seq_reduce mean %y at %a : tensor<?xf32>
  return %m, %n : tensor<?xf32>, tensor<?xf32>
}

// -----

// So is a joint whose parts do not start at panels.
// CHECK-LABEL: func.func @concat
// CHECK: kernel.generic @generic_0
// CHECK: func.func private @generic_0
// CHECK-NEXT: lariat.concat
func.func @concat(%a: !lariat.rows, %x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x16xf32> {
  %c = lariat.concat %x, %y : tensor<?x8xf32>, tensor<?x8xf32> to tensor<?x16xf32>
  return %c : tensor<?x16xf32>
}

// -----

// So is arithmetic that no row region has.
// CHECK-LABEL: func.func @pow
// CHECK: kernel.generic @generic_0
// CHECK: func.func private @generic_0
// CHECK-NEXT: math.ipowi
func.func @pow(%a: !lariat.rows, %x: tensor<?x4xi32>) -> tensor<?x4xi32> {
  %y = math.ipowi %x, %x : tensor<?x4xi32>
  return %y : tensor<?x4xi32>
}

// -----

// The states that a body names stay in the module.
// CHECK: lariat.state @s layers(1) width(4) : f32
// CHECK-LABEL: func.func @state
// CHECK: kernel.generic @generic_0
// CHECK: lariat.shift @s[0]
lariat.state @s layers(1) width(4) : f32
func.func @state(%a: !lariat.rows, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = lariat.shift @s[0] %x at %a : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Weights are handed over behind the other operands, as vectors, and columns of several dimensions as one.
// CHECK: kernel.packed @"vector:v" vector ["v"] shape [6] : f32
// CHECK-LABEL: func.func @weight
// CHECK: kernel.generic @generic_0 ins(%{{.*}}, %{{.*}} : memref<?x6xf32, strided<[16, 1]>>, index) {{.*}} packed [@"vector:v"]
// CHECK: func.func private @generic_0(%[[X:.*]]: tensor<?x6xf32>, %{{.*}}: index, %[[V:.*]]: tensor<6xf32>) -> tensor<?x6xf32>
// CHECK: %[[X3:.*]] = tensor.expand_shape %[[X]] {{.*}} into tensor<?x2x3xf32>
// CHECK: %[[V2:.*]] = tensor.expand_shape %[[V]] {{.*}} into tensor<2x3xf32>
// CHECK: linalg.generic {{.*}} ins(%[[X3]], %[[V2]] :
// CHECK: tensor.collapse_shape {{.*}} into tensor<?x6xf32>
#rows = affine_map<(r, c, d) -> (r, c, d)>
#weight = affine_map<(r, c, d) -> (c, d)>
lariat.weight @v : tensor<2x3xf32> from <"v">
func.func @weight(%a: !lariat.rows, %x: tensor<?x2x3xf32>) -> tensor<?x2x3xf32> {
  %v = lariat.value_of @v : tensor<2x3xf32>
  %n = lariat.count %a : !lariat.rows
  %e = tensor.empty(%n) : tensor<?x2x3xf32>
  %y = linalg.generic {indexing_maps = [#rows, #weight, #rows], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %v : tensor<?x2x3xf32>, tensor<2x3xf32>) outs(%e : tensor<?x2x3xf32>) {
  ^bb0(%in: f32, %w: f32, %out: f32):
    %s = arith.mulf %in, %w : f32
    linalg.yield %s : f32
  } -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}
