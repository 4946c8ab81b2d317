// RUN: lariat-opt %s --split-input-file --lariat-normalize-row-ops --lariat-verify-row-mixing --canonicalize | FileCheck %s

// Elementwise work, with a value per row, a vector, a constant and two results.
// CHECK-LABEL: func.func @elementwise
// CHECK-NOT: linalg
// CHECK: %[[C:.*]] = lariat.spread %{{.*}} at %arg0 : f32
// CHECK: %[[M:.*]] = lariat.spread %arg2 at %arg0 : tensor<?xf32, #of_a>
// CHECK: %[[S:.*]] = arith.subf %arg1, %[[M]]
// CHECK: %[[V:.*]] = lariat.spread %arg3 at %arg0 : tensor<4xf32>
// CHECK: %[[T:.*]] = arith.mulf %[[S]], %[[V]]
// CHECK: %[[U:.*]] = arith.addf %[[T]], %[[C]]
// CHECK: return %[[S]], %[[U]]
#whole = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#column = affine_map<(d0, d1) -> (d1)>
func.func @elementwise(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %m: tensor<?xf32, #lariat.of<"a">>,
                       %v: tensor<4xf32>) -> (tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) {
  %n = lariat.count %a : !lariat.rows<"a">
  %i = tensor.empty(%n) : tensor<?x4xf32, #lariat.of<"a">>
  %y, %z = linalg.generic {indexing_maps = [#whole, #row, #column, #whole, #whole], iterator_types = ["parallel", "parallel"]}
      ins(%x, %m, %v : tensor<?x4xf32, #lariat.of<"a">>, tensor<?xf32, #lariat.of<"a">>, tensor<4xf32>)
      outs(%i, %i : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) {
  ^bb0(%p: f32, %q: f32, %r: f32, %o: f32, %u: f32):
    %c = arith.constant 2.0 : f32
    %s = arith.subf %p, %q : f32
    %t = arith.mulf %s, %r : f32
    %w = arith.addf %t, %c : f32
    linalg.yield %s, %w : f32, f32
  } -> (tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>)
  return %y, %z : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// A slice of columns is a copy; the number of rows is not asked for any more.
// CHECK: #[[FROM:.*]] = affine_map<(d0, d1) -> (d0, d1 + 2)>
// CHECK-LABEL: func.func @slice
// CHECK-NOT: tensor.dim
// CHECK: %[[I:.*]] = lariat.spread %{{.*}} at %arg0
// CHECK: linalg.generic {indexing_maps = [#[[FROM]], #{{.*}}], {{.*}}} ins(%arg1 : {{.*}}) outs(%[[I]] :
func.func @slice(%a: !lariat.rows<"a">, %x: tensor<?x8xf32, #lariat.of<"a">>) -> tensor<?x3xf32, #lariat.of<"a">> {
  %zero = arith.constant 0 : index
  %n = tensor.dim %x, %zero : tensor<?x8xf32, #lariat.of<"a">>
  %y = tensor.extract_slice %x[0, 2] [%n, 3] [1, 1] : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x3xf32, #lariat.of<"a">>
  return %y : tensor<?x3xf32, #lariat.of<"a">>
}

// -----

// Columns side by side are `concat`, and so is a tensor with some columns replaced.
// CHECK-LABEL: func.func @join
// CHECK: %[[Y:.*]] = lariat.concat %arg1, %arg1
// CHECK: %[[BEFORE:.*]] = linalg.generic
// CHECK: %[[BEHIND:.*]] = linalg.generic
// CHECK: lariat.concat %[[BEFORE]], %arg1, %[[BEHIND]]
func.func @join(%a: !lariat.rows<"a">, %x: tensor<?x2xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %n = lariat.count %a : !lariat.rows<"a">
  %y = tensor.concat dim(1) %x, %x : (tensor<?x2xf32, #lariat.of<"a">>, tensor<?x2xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  %z = tensor.insert_slice %x into %y[0, 1] [%n, 2] [1, 1] : tensor<?x2xf32, #lariat.of<"a">> into tensor<?x4xf32, #lariat.of<"a">>
  return %z : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// Dimensions behind that of rows may be one or several.
// CHECK: #[[FLAT:.*]] = affine_map<(d0, d1, d2) -> (d0, d1 * 2 + d2)>
// CHECK-LABEL: func.func @reshape
// CHECK: linalg.generic {indexing_maps = [#[[FLAT]], #{{.*}}]
// CHECK: arith.negf
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[FLAT]]]
func.func @reshape(%a: !lariat.rows<"a">, %x: tensor<?x6xf32, #lariat.of<"a">>) -> tensor<?x6xf32, #lariat.of<"a">> {
  %n = lariat.count %a : !lariat.rows<"a">
  %e = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 3, 2] : tensor<?x6xf32, #lariat.of<"a">> into tensor<?x3x2xf32, #lariat.of<"a">>
  %m = arith.negf %e : tensor<?x3x2xf32, #lariat.of<"a">>
  %y = tensor.collapse_shape %m [[0], [1, 2]] : tensor<?x3x2xf32, #lariat.of<"a">> into tensor<?x6xf32, #lariat.of<"a">>
  return %y : tensor<?x6xf32, #lariat.of<"a">>
}

// -----

// A softmax over columns, in ops that become one kernel.
// CHECK-LABEL: func.func @softmax
// CHECK: lariat.row_reduce max
// CHECK: arith.subf
// CHECK: math.exp
// CHECK: lariat.row_reduce sum
// CHECK: arith.divf
func.func @softmax(%a: !lariat.rows<"a">, %x: tensor<?x6xf32, #lariat.of<"a">>) -> tensor<?x6xf32, #lariat.of<"a">> {
  %n = lariat.count %a : !lariat.rows<"a">
  %i = tensor.empty(%n) : tensor<?x6xf32, #lariat.of<"a">>
  %y = linalg.softmax dimension(1) ins(%x : tensor<?x6xf32, #lariat.of<"a">>) outs(%i : tensor<?x6xf32, #lariat.of<"a">>) -> tensor<?x6xf32, #lariat.of<"a">>
  return %y : tensor<?x6xf32, #lariat.of<"a">>
}

// -----

// A product is a linalg.generic, whichever way it was written.
// CHECK-LABEL: func.func @matmul
// CHECK-NOT: linalg.matmul
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
func.func @matmul(%a: !lariat.rows<"a">, %x: tensor<?x6xf32, #lariat.of<"a">>, %w: tensor<6x3xf32>) -> tensor<?x3xf32, #lariat.of<"a">> {
  %n = lariat.count %a : !lariat.rows<"a">
  %i = tensor.empty(%n) : tensor<?x3xf32, #lariat.of<"a">>
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%i : tensor<?x3xf32, #lariat.of<"a">>) -> tensor<?x3xf32, #lariat.of<"a">>
  %y = linalg.matmul ins(%x, %w : tensor<?x6xf32, #lariat.of<"a">>, tensor<6x3xf32>) outs(%z : tensor<?x3xf32, #lariat.of<"a">>) -> tensor<?x3xf32, #lariat.of<"a">>
  return %y : tensor<?x3xf32, #lariat.of<"a">>
}
