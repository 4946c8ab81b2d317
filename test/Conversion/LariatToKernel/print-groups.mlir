// RUN: lariat-opt %s --split-input-file --lariat-print-groups -o %t | FileCheck %s
// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel --remarks-filter=convert-lariat-to-kernel \
// RUN:   --remark-format=emitRemark -o %t 2>&1 | FileCheck %s --check-prefix=REMARK

// The ops of a product by role. Products that lie side by side are one, of the columns of each in turn.
// CHECK-LABEL: @roles
// CHECK-NEXT: group 0: gemm of rows %arg0, 16 to 32 + 16 columns
// CHECK-NEXT:   prologue %0 = lariat.norm
// CHECK-NEXT:   product %1 = lariat.linear
// CHECK-NEXT:   product %2 = lariat.linear
// CHECK-NEXT:   ends, as 'lariat.append' reads it from a buffer
// CHECK-NEXT: group 1: gemm of rows %arg0, 16 to 8 columns
// CHECK-NEXT:   product %3 = lariat.linear
// CHECK-NEXT:   epilogue %4 = math.tanh
// CHECK-NEXT:   ends, as the block ends
// REMARK: print-groups.mlir:[[@LINE+9]]:{{.*}} Function=roles {{.*}}"the kernel of 'lariat.linear' ends here, as 'lariat.append' reads it from a buffer"
// REMARK: print-groups.mlir:[[@LINE+11]]:{{.*}} Function=roles {{.*}}"the kernel of 'math.tanh' ends here, as the block ends"
lariat.weight @q : tensor<32x16xf32> from <"q">
lariat.weight @k : tensor<16x16xf32> from <"k">
lariat.weight @g : tensor<8x16xf32> from <"g">
lariat.cache @kv layers(1) heads(1) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @roles(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x32xf32>, tensor<?x8xf32>) {
  %h = lariat.norm rms %x eps(1.0e-05) : tensor<?x16xf32>
  %q = lariat.linear %h, @q : tensor<?x16xf32> to tensor<?x32xf32>
  %k = lariat.linear %h, @k : tensor<?x16xf32> to tensor<?x16xf32>
  lariat.append @kv[0] %k, %k at %a : tensor<?x16xf32>
  %g = lariat.linear %x, @g : tensor<?x16xf32> to tensor<?x8xf32>
  %t = math.tanh %g : tensor<?x8xf32>
  return %q, %t : tensor<?x32xf32>, tensor<?x8xf32>
}

// -----

// Of several groups that an op reads it joins the one of a product, and the others end.
// CHECK-LABEL: @later
// CHECK-NEXT: group 0: rowwise of rows %arg0, 16 columns
// CHECK-NEXT:   member %0 = math.exp
// CHECK-NEXT:   ends, as 'arith.addf' joined the group of another operand
// CHECK-NEXT: group 1: gemm of rows %arg0, 16 to 16 columns
// CHECK-NEXT:   product %1 = lariat.linear
// CHECK-NEXT:   epilogue %2 = arith.addf
// CHECK-NEXT:   ends, as the block ends
lariat.weight @w : tensor<16x16xf32> from <"w">
func.func @later(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %e = math.exp %x : tensor<?x16xf32>
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = arith.addf %e, %y : tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @whole_rows
// CHECK: product %0 = lariat.linear
// CHECK-NEXT: ends, as 'lariat.norm' needs whole rows, of which a product has a tile
lariat.weight @w : tensor<16x16xf32> from <"w">
func.func @whole_rows(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = lariat.norm rms %y eps(1.0e-05) : tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @side_by_side
// CHECK: product %1 = lariat.linear
// CHECK-NEXT: ends, as its products lie side by side, without arithmetic
lariat.weight @w : tensor<16x16xf32> from <"w">
lariat.weight @v : tensor<16x16xf32> from <"v">
func.func @side_by_side(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = lariat.linear %x, @v : tensor<?x16xf32> to tensor<?x16xf32>
  %n = lariat.norm rms %y eps(1.0e-05) : tensor<?x16xf32>
  return %n, %z : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @others_read
// CHECK: member %0 = lariat.norm
// CHECK-NEXT: ends, as others than 'lariat.linear' read it too
lariat.weight @w : tensor<16x16xf32> from <"w">
func.func @others_read(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %h = lariat.norm rms %x eps(1.0e-05) : tensor<?x16xf32>
  %y = lariat.linear %h, @w : tensor<?x16xf32> to tensor<?x16xf32>
  return %y, %h : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @two_products
// CHECK: member %0 = math.exp
// CHECK-NEXT: ends, as 2 products read it
lariat.weight @w : tensor<16x16xf32> from <"w">
lariat.weight @v : tensor<8x16xf32> from <"v">
func.func @two_products(%a: !lariat.rows, %x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x8xf32>) {
  %h = math.exp %x : tensor<?x16xf32>
  %y = lariat.linear %h, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = lariat.linear %h, @v : tensor<?x16xf32> to tensor<?x8xf32>
  return %y, %z : tensor<?x16xf32>, tensor<?x8xf32>
}

// -----

// CHECK-LABEL: @low_rank
// CHECK: member %0 = math.exp
// CHECK-NEXT: ends, as 'lariat.linear' reads it for its low-rank pair too
lariat.weight @w : tensor<16x16xf32> from <"w">
lariat.weight @down : tensor<4x16xf32> from <"down">
lariat.weight @up : tensor<16x4xf32> from <"up">
func.func @low_rank(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %h = math.exp %x : tensor<?x16xf32>
  %y = lariat.linear %h, @w low_rank(@down, @up) scale(1.0) : tensor<?x16xf32> to tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @product_of_a_product
// CHECK: product %0 = lariat.linear
// CHECK-NEXT: ends, as 'lariat.linear' reads a product
lariat.weight @w : tensor<16x16xf32> from <"w">
func.func @product_of_a_product(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = lariat.linear %x, @w : tensor<?x16xf32> to tensor<?x16xf32>
  %z = lariat.linear %y, @w : tensor<?x16xf32> to tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @columns
// CHECK: group 0: rowwise of rows %arg0, 8 columns
// CHECK-NEXT: member %0 = lariat.row_reduce
// CHECK-NEXT: ends, as 'arith.addf' has 16 columns, the group 8
func.func @columns(%a: !lariat.rows, %x: tensor<?x8xf32>, %y: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %s = lariat.row_reduce sum %x : tensor<?x8xf32>
  %w = lariat.spread %s at %a : tensor<?xf32> at !lariat.rows to tensor<?x16xf32>
  %z = arith.addf %w, %y : tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @lines
// CHECK: member %1 = math.exp
// CHECK-NEXT: ends, as 'arith.negf' is of other rows
func.func @lines(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %e = math.exp %x : tensor<?x16xf32>
  %t = lariat.take %e of %a at %w : tensor<?x16xf32> at !lariat.rows
  %y = arith.negf %t : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @same_lines
// CHECK: member %0 = math.exp
// CHECK-NEXT: ends, as 'arith.negf' takes lines of it
func.func @same_lines(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %e = math.exp %x : tensor<?x16xf32>
  %t = lariat.take %e of %a at %a : tensor<?x16xf32> at !lariat.rows
  %y = arith.negf %t : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Rows that advanced have the same lines, but not the same depth.
// CHECK-LABEL: @other_depth
// CHECK: member %1 = math.exp
// CHECK-NEXT: ends, as 'lariat.norm' chooses weights by the depth of other rows
lariat.weight @n : tensor<16xf32> depths(2) from <stack = ["n0", "n1"]>
func.func @other_depth(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %b = lariat.advance %a : !lariat.rows
  %e = math.exp %x : tensor<?x16xf32>
  %y = lariat.norm rms %e weight(@n) eps(1.0e-05) : tensor<?x16xf32> by %b : !lariat.rows
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @other_facts
// CHECK: member %{{.*}} = arith.addi
// CHECK-NEXT: ends, as 'arith.muli' reads 'lariat.depth_of' of other rows
func.func @other_facts(%a: !lariat.rows, %x: tensor<?xindex>) -> tensor<?xindex> {
  %b = lariat.advance %a : !lariat.rows
  %d = lariat.depth_of %b : !lariat.rows
  %e = arith.addi %x, %x : tensor<?xindex>
  %y = arith.muli %e, %d : tensor<?xindex>
  return %y : tensor<?xindex>
}

// -----

// CHECK-LABEL: @parts
// CHECK: group 0: rowwise of rows %arg0, 8 columns in each of 2 parts
// CHECK-NEXT: member %0 = lariat.norm
// CHECK-NEXT: ends, as its norm treats 2 parts of a row apart
func.func @parts(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n = lariat.norm rms %x eps(1.0e-05) groups(2) : tensor<?x16xf32>
  %y = math.exp %n : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @changed_lines
// CHECK: member %0 = math.exp
// CHECK-NEXT: ends, as 'lariat.put' may change lines that it reads
func.func @changed_lines(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %e = math.exp %x : tensor<?x16xf32>
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %t = lariat.take %x of %a at %w : tensor<?x16xf32> at !lariat.rows
  %z = lariat.put %t of %w into %x of %a : tensor<?x16xf32> into tensor<?x16xf32>
  %y = arith.addf %e, %z : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: @loop
// CHECK: member %0 = math.exp
// CHECK-NEXT: ends, as 'scf.for' begins
func.func @loop(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %e = math.exp %x : tensor<?x16xf32>
  %y = scf.for %i = %zero to %one step %one iter_args(%h = %x) -> tensor<?x16xf32> {
    %s = arith.addf %h, %e : tensor<?x16xf32>
    scf.yield %s : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
