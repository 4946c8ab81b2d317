// RUN: lariat-opt %s --lariat-expand-strided-copies | FileCheck %s

// A copy of some columns is written as loops; one of whole memory stays.
// CHECK-LABEL: func.func @copies
// CHECK: linalg.generic
// CHECK-NOT: memref.copy %arg0
// CHECK: memref.copy %arg1, %arg1
func.func @copies(%from: memref<?x2xf32, strided<[8, 1], offset: ?>>, %to: memref<?x2xf32>) {
  memref.copy %from, %to : memref<?x2xf32, strided<[8, 1], offset: ?>> to memref<?x2xf32>
  memref.copy %to, %to : memref<?x2xf32> to memref<?x2xf32>
  return
}
