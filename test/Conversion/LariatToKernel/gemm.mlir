// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// A bias is a vector that the epilogue adds.
// CHECK: kernel.packed @"vector:b" vector ["b"] shape [32] : f32
// CHECK-LABEL: func.func @bias
// CHECK: kernel.gemm {{.*}} weights [@"panels:w"] epilogue_vectors [@"vector:b"] outs
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.addf %[[SUM]], %[[BIAS]]
// CHECK-NEXT: kernel.yield %[[Y]]
lariat.weight @w : tensor<32x16xf32> from <"w">
lariat.weight @b : tensor<32xf32> from <"b">
func.func @bias(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %y = lariat.linear %x, @w bias(@b) : tensor<?x16xf32> to tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// Elementwise ops on a product are its epilogue; what else they read is an extra.
// CHECK-LABEL: func.func @residual
// CHECK: %[[X:.*]] = kernel.port 1
// CHECK: kernel.gemm {{.*}} extras(%[[X]] : memref<?x16xf32>)
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[OLD:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.addf %[[OLD]], %[[SUM]]
// CHECK-NEXT: kernel.yield %[[Y]]
// CHECK-NOT: kernel.rowwise
lariat.weight @w : tensor<16x16xf32> from <"w">
func.func @residual(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = arith.addf %x, %y : tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// -----

// A weight of each depth is read by the table of the rows that choose it.
// CHECK: kernel.packed @"panels:w" panels ["w"] shape [32, 16] depths(2)
// CHECK-LABEL: func.func @by_depth
// CHECK: %[[TABLE:.*]] = kernel.port 0
// CHECK: kernel.gemm {{.*}} at %[[TABLE]] : memref<?x6xindex> ins
lariat.weight @w : tensor<32x16xf32> depths(2) from <stack = ["w0", "w1"]>
func.func @by_depth(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x32xf32> by %a : !lariat.rows
  return %y : tensor<?x32xf32>
}

// -----

// A product of chosen rows reads their lines where they are.
// CHECK-LABEL: func.func @chosen_rows
// CHECK: kernel.lines {{.*}} to %[[LINES:.*]] :
// CHECK: kernel.gemm {{.*}} indices(%[[LINES]] : memref<?xindex>) gather [0] scatter [-1]
lariat.weight @w : tensor<32x16xf32> from <"w">
func.func @chosen_rows(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %t = lariat.take %x of %a at %w : tensor<?x16xf32> at !lariat.rows
  %y = lariat.linear %t, @w : tensor<?x16xf32> to tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// A norm that something else reads too is written, and the product reads it from its buffer.
// CHECK-LABEL: func.func @prologue_read_twice
// CHECK: kernel.rowwise {{.*}} outs(%[[H:.*]] : memref<?x16xf32>)
// CHECK: kernel.gemm {{.*}} ins(%[[H]] : memref<?x16xf32>)
lariat.weight @w : tensor<32x16xf32> from <"w">
func.func @prologue_read_twice(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %h = lariat.norm rms %x eps(1.0e-05) : tensor<?x16xf32>
  %y = lariat.linear %h, @w : tensor<?x16xf32> to tensor<?x32xf32>
  return %y, %h : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// A norm of a product is a kernel of its own: a tile of the product has not all columns of a row.
// CHECK-LABEL: func.func @norm_after
// CHECK: kernel.gemm {{.*}} outs(%[[Y:.*]] : memref<?x32xf32>)
// CHECK: kernel.rowwise {{.*}} ins(%[[Y]] : memref<?x32xf32>)
lariat.weight @w : tensor<32x16xf32> from <"w">
func.func @norm_after(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x32xf32>
  %z = lariat.norm rms %y eps(1.0e-05) : tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}

// -----

// A norm that only products read is their prologue; products of one input without arithmetic of their own lie side by side.
// CHECK: kernel.packed @"panels:q+k" panels ["q", "k"] shape [48, 16] : f32
// CHECK-LABEL: func.func @side_by_side
// CHECK: kernel.gemm {{.*}} k(16) n(48) {{.*}} vectors [@"vector:n"] weights [@"panels:q+k"]
// CHECK: kernel.reduce sum
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: kernel.yield %[[SUM]]
lariat.weight @n : tensor<16xf32> from <"n">
lariat.weight @q : tensor<32x16xf32> from <"q">
lariat.weight @k : tensor<16x16xf32> from <"k">
func.func @side_by_side(%a: !lariat.rows, %x: tensor<?x16xf32>)
    -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %h = lariat.norm rms %x weight(@n) eps(1.0e-05) : tensor<?x16xf32>
  %q = lariat.linear %h, @q : tensor<?x16xf32> to tensor<?x32xf32>
  %k = lariat.linear %h, @k : tensor<?x16xf32> to tensor<?x16xf32>
  return %q, %k : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// Panels have the format of their weights, and weights of unlike formats do not lie side by side.
// CHECK-DAG: kernel.packed @"panels:q" panels ["q"] shape [32, 16] : bf16
// CHECK-DAG: kernel.packed @"panels:k" panels ["k"] shape [16, 16] : f16
// CHECK-LABEL: func.func @unlike_formats
lariat.weight @q : tensor<32x16xf32> stored <bf16> from <"q">
lariat.weight @k : tensor<16x16xf32> stored <f16> from <"k">
func.func @unlike_formats(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %q = lariat.linear %x, @q : tensor<?x16xf32> to tensor<?x32xf32>
  %k = lariat.linear %x, @k : tensor<?x16xf32> to tensor<?x16xf32>
  return %q, %k : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// Gate and up meet in arithmetic: one kernel with two sums per column and an epilogue.
// CHECK-LABEL: func.func @paired
// CHECK: kernel.gemm {{.*}} weights [@"panels:g", @"panels:u"]
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[G]]
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[T]], %[[U]]
// CHECK-NEXT: kernel.yield %[[Y]]
// CHECK-NOT: kernel.rowwise
lariat.weight @g : tensor<32x16xf32> from <"g">
lariat.weight @u : tensor<32x16xf32> from <"u">
func.func @paired(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %g = lariat.linear %x, @g : tensor<?x16xf32> to tensor<?x32xf32>
  %u = lariat.linear %x, @u : tensor<?x16xf32> to tensor<?x32xf32>
  %t = math.tanh %g : tensor<?x32xf32>
  %y = arith.mulf %t, %u : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// A of a low-rank pair is a product of its own, scaled; the product of the shared weight goes on with B.
// CHECK-LABEL: func.func @low_rank
// CHECK: %[[INNER:.*]] = kernel.buffer : memref<?x4xf32, strided<[16, 1]>>
// CHECK: kernel.gemm rows(%{{.*}}) k(16) n(4) at %[[TABLE:[^ ]*]] {{.*}} weights [@"panels:a"] epilogue_vectors [] outs(%[[INNER]] :
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: %[[SCALE:.*]] = arith.constant 2.0
// CHECK-NEXT: %[[SCALED:.*]] = arith.mulf %[[SUM]], %[[SCALE]]
// CHECK-NEXT: kernel.yield %[[SCALED]]
// CHECK: kernel.gemm rows(%{{.*}}) k(16) n(32) at %[[TABLE]] {{.*}} weights [@"panels:w"] low_rank(%[[INNER]] : memref<?x4xf32, strided<[16, 1]>>) weights [@"panels:b"] of [0]
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: kernel.yield %[[SUM]]
lariat.weight @w : tensor<32x16xf32> from <"w">
lariat.weight @a : tensor<4x16xf32> depths(2) from <stack = ["a0", "a1"]>
lariat.weight @b : tensor<32x4xf32> depths(2) from <stack = ["b0", "b1"]>
func.func @low_rank(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %y = lariat.linear %x, @w low_rank(@a, @b) scale(2.0) : tensor<?x16xf32> to tensor<?x32xf32> by %a : !lariat.rows
  return %y : tensor<?x32xf32>
}
