// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// A norm is spelt out: sums over columns, then arithmetic on each.
// CHECK-LABEL: func.func @norm
// CHECK: kernel.rowwise {{.*}} width(16) {{.*}} vectors [@"vector:n"]
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[N:.*]]: f32):
// CHECK: %[[SUM:.*]] = kernel.reduce sum %[[X]]
// CHECK: %[[MEAN:.*]] = arith.divf %[[SUM]]
// CHECK: %[[CENTRED:.*]] = arith.subf %[[X]], %[[MEAN]]
// CHECK: %[[SQUARE:.*]] = arith.mulf %[[CENTRED]], %[[CENTRED]]
// CHECK: kernel.reduce sum %[[SQUARE]]
// CHECK: math.sqrt
// CHECK: %[[SCALED:.*]] = arith.mulf %{{.*}}, %[[N]]
// CHECK: arith.addf %[[SCALED]], %[[N]]
lariat.weight @n : tensor<16xf32> from <"n">
func.func @norm(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = lariat.norm layer %x weight(@n) bias(@n) eps(1.0e-05) : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// A norm that treats parts of a row apart is a kernel that goes over each of them.
// CHECK-LABEL: func.func @grouped_norm
// CHECK: kernel.rowwise {{.*}} width(8) ins(%{{.*}} : memref<?x16xf32>) {{.*}} attributes {groups = 2 : i64}
func.func @grouped_norm(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = lariat.norm rms %x eps(1.0e-05) groups(2) : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Reductions stand among the arithmetic on what they give.
// CHECK-LABEL: func.func @reductions
// CHECK: kernel.rowwise
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32):
// CHECK-NEXT: %[[E:.*]] = math.exp %[[X]]
// CHECK-NEXT: %[[SUM:.*]] = kernel.reduce sum %[[E]]
// CHECK-NEXT: %[[MAX:.*]] = kernel.reduce max %[[E]]
// CHECK-NEXT: %[[Y:.*]] = arith.divf %[[MAX]], %[[SUM]]
// CHECK-NEXT: kernel.yield %[[Y]]
func.func @reductions(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?xf32> {
  %y = math.exp %x : tensor<?x16xf32>
  %s = lariat.row_reduce sum %y : tensor<?x16xf32>
  %m = lariat.row_reduce max %y : tensor<?x16xf32>
  %z = arith.divf %m, %s : tensor<?xf32>
  return %z : tensor<?xf32>
}

// -----

// The second largest is the largest where two columns have it.
// CHECK-LABEL: func.func @second_max
// CHECK: %[[MAX:.*]] = kernel.reduce max %[[X:.*]] :
// CHECK: arith.cmpf oeq, %[[X]], %[[MAX]]
// CHECK: arith.cmpf olt, %[[X]], %[[MAX]]
// CHECK: %[[COUNT:.*]] = kernel.reduce sum
// CHECK: %[[BELOW:.*]] = kernel.reduce max
// CHECK: %[[TWICE:.*]] = arith.cmpf ogt, %[[COUNT]]
// CHECK: arith.select %[[TWICE]], %[[MAX]], %[[BELOW]]
func.func @second_max(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?xf32> {
  %y = lariat.row_reduce second_max %x : tensor<?x16xf32>
  return %y : tensor<?xf32>
}

// -----

// The column of the largest value is a reduction too.
// CHECK-LABEL: func.func @argmax
// CHECK: kernel.rowwise {{.*}} outs(%{{.*}} : memref<?xi32>)
// CHECK: kernel.argmax
func.func @argmax(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?xi32> {
  %y = lariat.argmax %x : tensor<?x16xf32>
  return %y : tensor<?xi32>
}

// -----

// A weight of one row gives a value per row: a sum over columns, not a product.
// CHECK-LABEL: func.func @dot
// CHECK: kernel.rowwise {{.*}} vectors [@"vector:w"] outs(%{{.*}} : memref<?xf32>)
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[W:.*]]: f32):
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[X]], %[[W]]
// CHECK-NEXT: %[[S:.*]] = kernel.reduce sum %[[P]]
// CHECK-NEXT: kernel.yield %[[S]]
lariat.weight @w : tensor<16xf32> from <"w">
func.func @dot(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Its bias, a vector of one column, is added by a second kernel, which has one column.
// CHECK-LABEL: func.func @biased_dot
// CHECK: kernel.rowwise {{.*}} width(16) {{.*}} vectors [@"vector:w"] outs(%[[SUMS:.*]] : memref<?xf32>)
// CHECK: kernel.rowwise {{.*}} width(1) {{.*}} ins(%[[SUMS]] : memref<?xf32>) vectors [@"vector:b"]
lariat.weight @w : tensor<16xf32> from <"w">
lariat.weight @b : tensor<1xf32> from <"b">
func.func @biased_dot(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?xf32> {
  %y = lariat.linear %x, @w bias(@b) : tensor<?x16xf32> to tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Facts of rows are read from the row table; whether a row was generated is a bit of its flags.
// CHECK-LABEL: func.func @facts
// CHECK: kernel.rowwise {{.*}} at %{{.*}} : memref<?x6xindex>
// CHECK: kernel.fact depth
// CHECK: kernel.fact position
// CHECK: %[[FLAGS:.*]] = kernel.fact flags
// CHECK: arith.andi %[[FLAGS]]
func.func @facts(%a: !lariat.rows) -> tensor<?xindex> {
  %d = lariat.depth_of %a : !lariat.rows
  %p = lariat.position_of %a : !lariat.rows
  %g = lariat.generated_of %a : !lariat.rows
  %s = arith.addi %d, %p : tensor<?xindex>
  %t = arith.muli %s, %g : tensor<?xindex>
  return %t : tensor<?xindex>
}

// -----

// A weight that rows choose by their depth is a vector that is read by the table.
// CHECK: kernel.packed @"vector:v" vector ["v"] shape [8] depths(2)
// CHECK-LABEL: func.func @choice
// CHECK: kernel.rowwise {{.*}} at %{{.*}} : memref<?x6xindex> {{.*}} vectors [@"vector:v"]
lariat.weight @v : tensor<8xf32> depths(2) from <stack = ["v0", "v1"]>
func.func @choice(%a: !lariat.rows, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %v = lariat.value_of @v : tensor<?x8xf32> by %a : !lariat.rows
  %y = arith.mulf %x, %v : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Arithmetic on weights alone is done again in each row.
// CHECK-LABEL: func.func @weight_arithmetic
// CHECK: ^bb0(%[[X:.*]]: f32, %[[V:.*]]: f32):
// CHECK: %[[W:.*]] = arith.addf %[[V]]
// CHECK-NEXT: arith.mulf %[[X]], %[[W]]
lariat.weight @v : tensor<8xf32> from <"v">
func.func @weight_arithmetic(%a: !lariat.rows, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %v = lariat.value_of @v : tensor<8xf32>
  %one = arith.constant dense<1.0> : tensor<8xf32>
  %w = arith.addf %v, %one : tensor<8xf32>
  %s = lariat.spread %w at %a : tensor<8xf32> at !lariat.rows to tensor<?x8xf32>
  %y = arith.mulf %x, %s : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A value per row in all columns is read per row.
// CHECK-LABEL: func.func @per_row
// CHECK: kernel.rowwise {{.*}} ins(%{{.*}}, %{{.*}} : memref<?x8xf32, strided<[16, 1]>>, memref<?xf32>)
func.func @per_row(%a: !lariat.rows, %x: tensor<?x8xf32>, %g: tensor<?xf32>) -> tensor<?x8xf32> {
  %s = lariat.spread %g at %a : tensor<?xf32> at !lariat.rows to tensor<?x8xf32>
  %y = arith.mulf %x, %s : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
