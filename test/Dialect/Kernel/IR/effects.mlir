// RUN: lariat-opt %s --canonicalize | FileCheck %s

// A check has no result and writes no buffer, but it may end the call.
// CHECK-LABEL: func.func @check
// CHECK-NEXT: kernel.check_depths
func.func @check(%n: index, %t: memref<?x6xindex>) {
  kernel.check_depths rows(%n) at %t weight(0) end(4) : memref<?x6xindex>
  return
}

// A number of rows that nobody asks for is not read.
// CHECK-LABEL: func.func @count
// CHECK-NEXT: return
func.func @count() {
  %n = kernel.port_rows 0
  return
}
