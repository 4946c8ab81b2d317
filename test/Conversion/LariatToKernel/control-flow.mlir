// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// A tensor that a loop carries is a buffer that each step writes again.
// CHECK-LABEL: func.func @loop
// CHECK: kernel.rowwise {{.*}} outs(%[[H:.*]] : memref<?x16xf32>)
// CHECK: scf.for
// CHECK: kernel.rowwise {{.*}} ins(%[[H]] : memref<?x16xf32>) vectors [] outs(%[[G:.*]] : memref<?x16xf32>)
// CHECK: math.tanh
// CHECK: kernel.rowwise {{.*}} ins(%[[G]] : memref<?x16xf32>) vectors [] outs(%[[H]] : memref<?x16xf32>)
func.func @loop(%a: !lariat.rows, %x: tensor<?x16xf32>, %n: tensor<?xindex>) -> tensor<?x16xf32> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %ten = arith.constant 10 : index
  %y = scf.for %i = %zero to %ten step %one iter_args(%h = %x) -> tensor<?x16xf32> {
    %g = math.tanh %h : tensor<?x16xf32>
    scf.yield %g : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}

// -----

// What is made from other variables is kept before any of them changes.
// CHECK-LABEL: func.func @swap
// CHECK: kernel.rowwise {{.*}} outs(%[[H:.*]] : memref<?x16xf32>)
// CHECK: kernel.rowwise {{.*}} outs(%[[G:.*]] : memref<?x16xf32>)
// CHECK: scf.for
// CHECK: kernel.rowwise {{.*}} ins(%[[G]] : memref<?x16xf32>) vectors [] outs(%[[KEPT_G:.*]] : memref<?x16xf32>)
// CHECK: kernel.rowwise {{.*}} ins(%[[H]] : memref<?x16xf32>) vectors [] outs(%[[KEPT_H:.*]] : memref<?x16xf32>)
// CHECK: kernel.rowwise {{.*}} ins(%[[KEPT_G]] : memref<?x16xf32>) vectors [] outs(%[[H]] : memref<?x16xf32>)
// CHECK: kernel.rowwise {{.*}} ins(%[[KEPT_H]] : memref<?x16xf32>) vectors [] outs(%[[G]] : memref<?x16xf32>)
func.func @swap(%a: !lariat.rows, %x: tensor<?x16xf32>, %y: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %ten = arith.constant 10 : index
  %p:2 = scf.for %i = %zero to %ten step %one iter_args(%h = %x, %g = %y) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
    scf.yield %g, %h : tensor<?x16xf32>, tensor<?x16xf32>
  }
  return %p#0, %p#1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Both branches write the buffer of a result.
// CHECK-LABEL: func.func @branch
// CHECK: %[[Y:.*]] = kernel.buffer
// CHECK: scf.if
// CHECK: kernel.rowwise {{.*}} outs(%[[Y]] : memref<?x16xf32>)
// CHECK: } else {
// CHECK: kernel.rowwise {{.*}} outs(%[[Y]] : memref<?x16xf32>)
func.func @branch(%a: !lariat.rows, %x: tensor<?x16xf32>, %c: tensor<?xi1>) -> tensor<?x16xf32> {
  %zero = arith.constant 0 : index
  %b = tensor.extract %c[%zero] : tensor<?xi1>
  %y = scf.if %b -> tensor<?x16xf32> {
    %n = arith.negf %x : tensor<?x16xf32>
    scf.yield %n : tensor<?x16xf32>
  } else {
    scf.yield %x : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}

// -----

// Of a row set that a loop carries, the table is a buffer and the count a value.
// CHECK-LABEL: func.func @rows
// CHECK: %[[TABLE:.*]] = kernel.buffer : memref<?x6xindex>
// CHECK: scf.while (%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : (index, i1) -> (index, i1)
// CHECK: ^bb0(%[[N:.*]]: index, %{{.*}}: i1):
// CHECK: %[[M:.*]] = kernel.last rows(%[[N]]) %[[TABLE]] to
// CHECK: scf.yield %[[M]], %{{.*}} : index, i1
func.func @rows(%a: !lariat.rows, %m: tensor<?xi1>) -> !lariat.rows {
  %zero = arith.constant 0 : index
  %more = arith.constant true
  %k:2 = scf.while (%r = %a, %c = %more) : (!lariat.rows, i1) -> (!lariat.rows, i1) {
    scf.condition(%c) %r, %c : !lariat.rows, i1
  } do {
  ^bb0(%r: !lariat.rows, %c: i1):
    %w = lariat.last %r : !lariat.rows to !lariat.rows
    %n = lariat.count %w : !lariat.rows
    %d = arith.cmpi ne, %n, %zero : index
    scf.yield %w, %d : !lariat.rows, i1
  }
  return %k#0 : !lariat.rows
}
