// RUN: lariat-opt %s --kernel-form-parallel --kernel-plan-arena --split-input-file | FileCheck %s

// A buffer takes the place of one that nothing reads any more.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: kernel.arena_row_bytes = 128
// CHECK: %[[A:.*]] = kernel.buffer offset([[FIRST:.*]]) :
// CHECK: kernel.buffer offset({{.*}}) :
// CHECK: kernel.buffer offset([[FIRST]]) :
func.func @chain(%n: index) {
  %a = kernel.buffer : memref<?x16xf32>
  %b = kernel.buffer : memref<?x16xf32>
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%b : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  %z = arith.constant 0 : index
  scf.for %i = %z to %n step %n {
    %c = kernel.buffer : memref<?x16xf32>
    kernel.rowwise rows(%n) width(16) ins(%b : memref<?x16xf32>) vectors [] outs(%c : memref<?x16xf32>) gather [-1] scatter [-1] {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    }
  }
  return
}

// -----

// Kernels without a barrier between them run at the same time: the second may not write where the first still reads.
// CHECK-LABEL: func.func @beside
// CHECK-SAME: kernel.arena_row_bytes = 192
func.func @beside(%n: index, %out: memref<?x16xf32>) {
  %a = kernel.buffer : memref<?x16xf32>
  %b = kernel.buffer : memref<?x16xf32>
  %c = kernel.buffer : memref<?x16xf32>
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%b : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  kernel.rowwise rows(%n) width(16) vectors [] outs(%c : memref<?x16xf32>) gather [] scatter [-1] {
    %e = arith.constant 1.0 : f32
    kernel.yield %e : f32
  }
  return
}

// -----

// A buffer that a loop enters with is alive through all of it.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: kernel.arena_row_bytes = 132
func.func @loop(%n: index) {
  %z = arith.constant 0 : index
  %a = kernel.buffer : memref<?x16xf32>
  scf.for %i = %z to %n step %n {
    %b = kernel.buffer : memref<?x16xf32>
    kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%b : memref<?x16xf32>) gather [-1] scatter [-1] {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    }
    %c = kernel.buffer : memref<?xf32>
    kernel.rowwise rows(%n) width(16) vectors [] outs(%c : memref<?xf32>) gather [] scatter [-1] {
      %e = arith.constant 1.0 : f32
      kernel.yield %e : f32
    }
  }
  return
}
