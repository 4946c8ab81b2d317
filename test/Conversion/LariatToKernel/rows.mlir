// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// Chosen rows are a table of their own and a count; lines of them are looked up in the table that they come from.
// CHECK-LABEL: func.func @select
// CHECK: %[[M:.*]] = kernel.compact rows(%[[N:.*]]) %[[ALL:.*]] where %{{.*}} to %[[PART:.*]] :
// CHECK: kernel.lines rows(%[[M]]) %[[PART]] in %[[ALL]] rows(%[[N]])
// CHECK: kernel.rowwise rows(%[[M]])
func.func @select(%a: !lariat.rows, %m: tensor<?xi1>, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %k = lariat.select %a where %m : !lariat.rows to !lariat.rows
  %t = lariat.take %x of %a at %k : tensor<?x16xf32> at !lariat.rows
  return %t : tensor<?x16xf32>
}

// -----

// Lines are looked up once for all tensors that rows are taken of.
// CHECK-LABEL: func.func @lines_once
// CHECK: kernel.lines {{.*}} to %[[LINES:.*]] :
// CHECK-NOT: kernel.lines
// CHECK: kernel.rowwise {{.*}} width(16) {{.*}} indices(%[[LINES]] :
// CHECK: kernel.rowwise {{.*}} width(8) {{.*}} indices(%[[LINES]] :
func.func @lines_once(%a: !lariat.rows, %x: tensor<?x16xf32>, %y: tensor<?x8xf32>) -> (tensor<?x16xf32>, tensor<?x8xf32>) {
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %t = lariat.take %x of %a at %w : tensor<?x16xf32> at !lariat.rows
  %u = lariat.take %y of %a at %w : tensor<?x8xf32> at !lariat.rows
  return %t, %u : tensor<?x16xf32>, tensor<?x8xf32>
}

// -----

// Advanced rows are the same rows in another table: at their next depth, or all at one.
// CHECK-LABEL: func.func @advance
// CHECK: kernel.advance rows(%[[N:.*]]) %{{.*}} to %[[B:.*]] :
// CHECK: kernel.advance rows(%[[N]]) %[[B]] depth(%{{.*}}) to %[[C:.*]] :
// CHECK: kernel.rowwise rows(%[[N]]) width(1) at %[[C]] :
// CHECK: kernel.fact depth
func.func @advance(%a: !lariat.rows, %x: tensor<?xindex>) -> (!lariat.rows, tensor<?xindex>) {
  %two = arith.constant 2 : index
  %b = lariat.advance %a : !lariat.rows
  %c = lariat.advance %b to %two : !lariat.rows
  %d = lariat.depth_of %c : !lariat.rows
  return %c, %d : !lariat.rows, tensor<?xindex>
}

// -----

// Depths of rows are checked once, against the weight that has the fewest, where it comes first.
// CHECK-LABEL: func.func @depths
// CHECK: kernel.check_depths {{.*}} weight(0) end(2)
// CHECK-NOT: kernel.check_depths
lariat.weight @w : tensor<8xf32> depths(2, beyond = error) from <stack = ["w0", "w1"]>
lariat.weight @v : tensor<8xf32> depths(3, beyond = error) from <stack = ["v0", "v1", "v2"]>
func.func @depths(%a: !lariat.rows, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = lariat.norm rms %x weight(@w) eps(1.0e-05) : tensor<?x8xf32> by %a : !lariat.rows
  %z = lariat.norm rms %y weight(@v) eps(1.0e-05) : tensor<?x8xf32> by %a : !lariat.rows
  return %z : tensor<?x8xf32>
}

// -----

// An element that the host needs is read from a buffer, behind the kernel that writes it.
// CHECK-LABEL: func.func @element
// CHECK: kernel.rowwise {{.*}} outs(%[[Y:.*]] : memref<?xindex>)
// CHECK: %[[FIRST:.*]] = memref.load %[[Y]]
// CHECK: kernel.rowwise {{.*}} ins(%{{.*}}, %[[FIRST]] : memref<?xindex>, index)
func.func @element(%a: !lariat.rows, %x: tensor<?xindex>) -> tensor<?xindex> {
  %zero = arith.constant 0 : index
  %y = arith.addi %x, %x : tensor<?xindex>
  %first = tensor.extract %y[%zero] : tensor<?xindex>
  %s = lariat.spread %first at %a : index at !lariat.rows to tensor<?xindex>
  %z = arith.addi %x, %s : tensor<?xindex>
  return %z : tensor<?xindex>
}
