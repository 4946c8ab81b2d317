// RUN: lariat-opt %s --split-input-file --kernel-mark-streamed-weights=cached-bytes=4096 | FileCheck %s
// Panels are streamed where kernels read as much as the caches hold in all, whichever is large. Of @table, which would be so much
// alone, a few lines are read.

// CHECK: kernel.packed @block panels {{.*}} streamed : f32
kernel.packed @block panels ["block"] shape [16, 16] : f32
// CHECK: kernel.packed @head panels {{.*}} streamed : f32
kernel.packed @head panels ["head"] shape [48, 16] : f32
// CHECK: kernel.packed @norm vector ["norm"] shape [16] : f32
kernel.packed @norm vector ["norm"] shape [16] : f32

func.func @core(%n: index, %x: memref<?x16xf32>, %y: memref<?x16xf32>) {
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@block] epilogue_vectors []
    outs(%y : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}

func.func @coda(%n: index, %x: memref<?x16xf32>, %y: memref<?x48xf32>) {
  kernel.gemm rows(%n) k(16) n(48) ins(%x : memref<?x16xf32>) vectors [] weights [@head] epilogue_vectors []
    outs(%y : memref<?x48xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}

// -----

// CHECK: kernel.packed @small panels ["small"] shape [16, 16] : f32
kernel.packed @small panels ["small"] shape [16, 16] : f32
// CHECK: kernel.packed @table panels ["table"] shape [1024, 16] : f32
kernel.packed @table panels ["table"] shape [1024, 16] : f32

func.func @forward(%n: index, %ids: memref<?xi32>, %x: memref<?x16xf32>, %y: memref<?x16xf32>) {
  kernel.embed rows(%n) ids(%ids : memref<?xi32>) @table out(%x : memref<?x16xf32>)
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@small] epilogue_vectors []
    outs(%y : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}

// -----

// Low-rank weights are streamed too: 1024 of @base, 2048 of @b and 1024 of @c.
// CHECK: kernel.packed @base panels {{.*}} streamed : f32
kernel.packed @base panels ["base"] shape [16, 16] : f32
// CHECK: kernel.packed @b panels {{.*}} streamed : f32
kernel.packed @b panels ["b"] shape [16, 16] depths(2) : f32
// CHECK: kernel.packed @c panels {{.*}} streamed : f32
kernel.packed @c panels ["c"] shape [16, 16] : f32

func.func @adapted(%n: index, %t: memref<?x6xindex>, %x: memref<?x16xf32>, %y: memref<?x16xf32>) {
  kernel.gemm rows(%n) k(16) n(16) at %t : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors [] weights [@base]
    low_rank(%x, %x : memref<?x16xf32>, memref<?x16xf32>) weights [@b, @c] of [0, 0] epilogue_vectors []
    outs(%y : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  }
  return
}
