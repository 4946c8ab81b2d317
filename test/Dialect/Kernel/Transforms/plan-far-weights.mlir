// RUN: lariat-opt %s --split-input-file --kernel-plan-weights | FileCheck %s
// Panels are far where products read 16 MiB and more in all, whichever is large. Of @table, which would be so much alone,
// a few lines are read.

// CHECK: kernel.packed @block panels {{.*}} offset(0) far : f32
kernel.packed @block panels ["block"] shape [512, 512] : f32
// CHECK: kernel.packed @head panels {{.*}} offset(1048576) far : f32
kernel.packed @head panels ["head"] shape [32768, 512] : f32
// CHECK: kernel.packed @norm vector {{.*}} offset(68157440) : f32
kernel.packed @norm vector ["norm"] shape [512] : f32

func.func @core(%n: index, %x: memref<?x512xf32>, %y: memref<?x512xf32>) {
  kernel.gemm rows(%n) k(512) n(512) ins(%x : memref<?x512xf32>) vectors [] weights [@block] epilogue_vectors [] outs(%y : memref<?x512xf32>)
    gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}

func.func @coda(%n: index, %x: memref<?x512xf32>, %y: memref<?x32768xf32>) {
  kernel.gemm rows(%n) k(512) n(32768) ins(%x : memref<?x512xf32>) vectors [] weights [@head] epilogue_vectors [] outs(%y : memref<?x32768xf32>)
    gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}

// -----

// CHECK: kernel.packed @small panels {{.*}} offset(0) : f32
kernel.packed @small panels ["small"] shape [512, 512] : f32
// CHECK: kernel.packed @table panels {{.*}} offset(1048576) : f32
kernel.packed @table panels ["table"] shape [32768, 512] : f32

func.func @forward(%n: index, %ids: memref<?xi32>, %x: memref<?x512xf32>, %y: memref<?x512xf32>) {
  kernel.embed rows(%n) ids(%ids : memref<?xi32>) @table out(%x : memref<?x512xf32>)
  kernel.gemm rows(%n) k(512) n(512) ins(%x : memref<?x512xf32>) vectors [] weights [@small] epilogue_vectors [] outs(%y : memref<?x512xf32>)
    gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}
