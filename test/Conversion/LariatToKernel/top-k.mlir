// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// The rows with the largest scores are those whose bit is set: a kernel sets the bits, and their lines are a table.
// CHECK-LABEL: func.func @top_k
// CHECK: %[[TABLE:.*]] = kernel.port 0
// CHECK: %[[N:.*]] = kernel.port_rows 0
// CHECK: %[[SCORES:.*]] = kernel.port 1
// CHECK: kernel.top_k rows(%[[N]]) at %[[TABLE]] scores %[[SCORES]] capacity [2, 1] over 3 to %[[BITS:.*]] : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
// CHECK: %[[M:.*]] = kernel.compact rows(%[[N]]) %[[TABLE]] where %[[BITS]] to %[[KEPT:.*]] :
// CHECK: kernel.lines rows(%[[M]]) %[[KEPT]] in %[[TABLE]]
// CHECK-NOT: kernel.generic
func.func @top_k(%a: !lariat.rows, %z: tensor<?xf32>, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 3>) : tensor<?xf32> to !lariat.rows
  %t = lariat.take %x of %a at %k : tensor<?x16xf32> at !lariat.rows
  return %t : tensor<?x16xf32>
}

// -----

// Numbers of rows that a request gives are read per row.
// CHECK-LABEL: func.func @counts
// CHECK: kernel.top_k {{.*}} capacity [2, 1] over 3 counts(%{{.*}} : memref<?x2xi32, strided<[16, 1]>>) to
func.func @counts(%a: !lariat.rows, %z: tensor<?xf32>, %c: tensor<?x2xi32>) -> !lariat.rows {
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 3>) counts(%c : tensor<?x2xi32>) : tensor<?xf32> to !lariat.rows
  return %k : !lariat.rows
}

// -----

// Scores are written before they are compared.
// CHECK-LABEL: func.func @computed
// CHECK: kernel.rowwise {{.*}} outs(%[[SCORES:.*]] : memref<?xbf16>)
// CHECK: kernel.top_k {{.*}} scores %[[SCORES]]
func.func @computed(%a: !lariat.rows, %z: tensor<?xf32>) -> !lariat.rows {
  %h = arith.truncf %z : tensor<?xf32> to tensor<?xbf16>
  %k = lariat.top_k %h of %a capacity(<[1] over 2>) : tensor<?xbf16> to !lariat.rows
  return %k : !lariat.rows
}

// -----

// Scores that f32 does not hold are compared on the generic path.
// CHECK-LABEL: func.func @wide
// CHECK: kernel.generic @generic_0
// CHECK: lariat.top_k
func.func @wide(%a: !lariat.rows, %z: tensor<?xf64>) -> !lariat.rows {
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf64> to !lariat.rows
  return %k : !lariat.rows
}
