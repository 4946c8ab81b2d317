// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// Every op of the kernel level prints what it reads.

// CHECK: kernel.packed @w panels ["q", "k"] shape [32, 16] offset(4096) : bf16
kernel.packed @w panels ["q", "k"] shape [32, 16] offset(4096) : bf16
// CHECK: kernel.packed @wide panels ["w"] shape [32, 16] panel_columns(32) : f32
kernel.packed @wide panels ["w"] shape [32, 16] panel_columns(32) : f32
// CHECK: kernel.packed @half panels ["w"] shape [32, 16] : f16
kernel.packed @half panels ["w"] shape [32, 16] : f16
// CHECK: kernel.packed @v vector [] shape [3] value(dense<[0, 1, 2]> : tensor<3xi32>) : i32
kernel.packed @v vector [] shape [3] value(dense<[0, 1, 2]> : tensor<3xi32>) : i32
// CHECK: kernel.packed @n vector ["n"] shape [16] depths(3) : f32
kernel.packed @n vector ["n"] shape [16] depths(3) : f32
// CHECK: kernel.rope_table @r [1.000000e+00, 5.000000e-01] positions(64) angles(f32)
kernel.rope_table @r [1.0, 0.5] positions(64) angles(f32)
// CHECK: kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
// CHECK: kernel.cache @turned number(1) layers(2) heads(1) dim(16) keys_by entries transient : f32
kernel.cache @turned number(1) layers(2) heads(1) dim(16) keys_by entries transient : f32

// CHECK-LABEL: func.func @storage
func.func @storage() {
  // CHECK: kernel.port_rows 0
  %n = kernel.port_rows 0
  // CHECK: kernel.port 0 : memref<?x6xindex>
  %table = kernel.port 0 : memref<?x6xindex>
  // CHECK: kernel.buffer offset(64) : memref<?x32xf32>
  %x = kernel.buffer offset(64) : memref<?x32xf32>
  // CHECK: kernel.columns %{{.*}} from 16 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  %c = kernel.columns %x from 16 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  // CHECK: kernel.state_memory 0 : memref<?x?x?x8xf32>
  %s = kernel.state_memory 0 : memref<?x?x?x8xf32>
  // CHECK: kernel.set_port_rows 2, %{{.*}}
  kernel.set_port_rows 2, %n
  return
}

// CHECK-LABEL: func.func @kernels
func.func @kernels(%n: index, %bits: memref<?xi1>, %table: memref<?x6xindex>, %ids: memref<?xi32>, %x: memref<?x16xf32>, %y: memref<?x32xf32>,
                   %lines: memref<?xindex>, %places: memref<?x2xindex>, %seen: memref<?x4xindex>, %s: memref<?xf32>) {
  // CHECK: kernel.parallel {
  kernel.parallel {
    // CHECK: kernel.embed rows(%{{.*}}) ids(%{{.*}} : memref<?xi32>) @w out(%{{.*}} : memref<?x16xf32>)
    kernel.embed rows(%n) ids(%ids : memref<?xi32>) @w out(%x : memref<?x16xf32>)
    // CHECK: kernel.barrier
    kernel.barrier
    // CHECK: kernel.rowwise rows(%{{.*}}) width(16) at %{{.*}} : memref<?x6xindex> ins(%{{.*}} : memref<?x16xf32>) vectors [@n] outs(%{{.*}} : memref<?xf32>) indices(%{{.*}} : memref<?xindex>) gather [0] scatter [-1]
    kernel.rowwise rows(%n) width(16) at %table : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors [@n]
        outs(%s : memref<?xf32>) indices(%lines : memref<?xindex>) gather [0] scatter [-1] {
    ^bb0(%e: f32, %w: f32):
      %p = arith.mulf %e, %w : f32
      // CHECK: kernel.reduce sum
      %sum = kernel.reduce sum %p : f32
      // CHECK: kernel.argmax
      %place = kernel.argmax %p
      // CHECK: kernel.fact depth
      %depth = kernel.fact depth
      kernel.yield %sum : f32
    }
    // CHECK: kernel.gemm rows(%{{.*}}) k(16) n(32) ins(%{{.*}} : memref<?x16xf32>) vectors [] weights [@w] extras(%{{.*}} : memref<?xf32>) epilogue_vectors [] outs(%{{.*}} : memref<?x32xf32>) gather [-1, -1] scatter [-1] prologue {
    kernel.gemm rows(%n) k(16) n(32) ins(%x : memref<?x16xf32>) vectors [] weights [@w] extras(%s : memref<?xf32>)
        epilogue_vectors [] outs(%y : memref<?x32xf32>) gather [-1, -1] scatter [-1] prologue {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    // CHECK: } epilogue {
    } epilogue {
    ^bb0(%sum: f32, %g: f32):
      %p = arith.mulf %sum, %g : f32
      kernel.yield %p : f32
    }
    // CHECK: kernel.gemm rows(%{{.*}}) k(16) n(32) at %{{.*}} : memref<?x6xindex> ins(%{{.*}} : memref<?x16xf32>) vectors [] weights [@w] low_rank(%{{.*}} : memref<?x16xf32>) weights [@w] of [0] epilogue_vectors [] outs(%{{.*}} : memref<?x32xf32>) gather [-1] scatter [-1] prologue {
    kernel.gemm rows(%n) k(16) n(32) at %table : memref<?x6xindex> ins(%x : memref<?x16xf32>) vectors [] weights [@w]
        low_rank(%x : memref<?x16xf32>) weights [@w] of [0] epilogue_vectors [] outs(%y : memref<?x32xf32>) gather [-1]
        scatter [-1] prologue {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    } epilogue {
    ^bb0(%sum: f32):
      kernel.yield %sum : f32
    }
    // CHECK: kernel.rotate rows(%{{.*}}) at %{{.*}} <@r, dims = 4, interleaved = false> heads(1)
    kernel.rotate rows(%n) at %table <@r, dims = 4, interleaved = false> heads(1) %x to %x
        : memref<?x6xindex>, memref<?x16xf32>, memref<?x16xf32>
    // CHECK: kernel.top_k rows(%{{.*}}) at %{{.*}} scores %{{.*}} capacity [2, 1] over 3 to
    kernel.top_k rows(%n) at %table scores %s capacity [2, 1] over 3 to %bits
        : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
    // CHECK: kernel.append rows(%{{.*}}) at %{{.*}} entries %{{.*}} %{{.*}}, %{{.*}} into @kv[1] rope <@r, dims = 4, interleaved = true>
    kernel.append rows(%n) at %table entries %places %x, %x into @kv[1] rope <@r, dims = 4, interleaved = true>
        : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
    // The order of sums that a kernel has anyway is not printed.
    // CHECK: kernel.attend {{.*}} <causal> : memref
    kernel.attend rows(%n) at %table views %seen %x to %x from @kv[1] heads(1) scale(0.25) <causal>
        sum(<segments, size = 64>) : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
    // CHECK: kernel.attend rows(%{{.*}}) at %{{.*}} views %{{.*}} %{{.*}} to %{{.*}} from @kv[1] heads(1) scale(2.500000e-01) softcap(3.000000e+01) <window, size = 8> sinks @n
    kernel.attend rows(%n) at %table views %seen %x to %x from @kv[1] heads(1) scale(0.25) softcap(30.0) <window, size = 8>
        sinks @n : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  }
  return
}

// CHECK-LABEL: func.func @services
func.func @services(%n: index, %table: memref<?x6xindex>, %out: memref<?x6xindex>, %bits: memref<?xi1>,
                    %slots: memref<?xindex>, %places: memref<?x2xindex>, %seen: memref<?x4xindex>, %x: memref<?x16xf32>) {
  // CHECK: kernel.compact rows(%{{.*}}) %{{.*}} where %{{.*}} to %{{.*}}
  %m = kernel.compact rows(%n) %table where %bits to %out : memref<?x6xindex>, memref<?xi1>, memref<?x6xindex>
  // CHECK: kernel.last rows(%{{.*}}) %{{.*}} to %{{.*}}
  %l = kernel.last rows(%n) %table to %out : memref<?x6xindex>, memref<?x6xindex>
  // CHECK: kernel.advance rows(%{{.*}}) %{{.*}} depth(%{{.*}}) to %{{.*}}
  kernel.advance rows(%n) %table depth(%l) to %out : memref<?x6xindex>, memref<?x6xindex>
  // CHECK: kernel.advance rows(%{{.*}}) %{{.*}} to %{{.*}}
  kernel.advance rows(%n) %table to %out : memref<?x6xindex>, memref<?x6xindex>
  // CHECK: kernel.check_depths rows(%{{.*}}) at %{{.*}} weight(1) end(4)
  kernel.check_depths rows(%n) at %table weight(1) end(4) : memref<?x6xindex>
  // CHECK: kernel.lines rows(%{{.*}}) %{{.*}} in %{{.*}} rows(%{{.*}}) to %{{.*}}
  kernel.lines rows(%m) %out in %table rows(%n) to %slots : memref<?x6xindex>, memref<?x6xindex>, memref<?xindex>
  // CHECK: kernel.copy_rows rows(%{{.*}}) %{{.*}} to %{{.*}} : memref<?x6xindex>, memref<?x6xindex>
  kernel.copy_rows rows(%n) %table to %out : memref<?x6xindex>, memref<?x6xindex>
  // CHECK: kernel.slots rows(%{{.*}}) at %{{.*}} <own below 0> to %{{.*}}
  kernel.slots rows(%n) at %table <own below 0> to %slots : memref<?x6xindex>, memref<?xindex>
  // CHECK: kernel.slots rows(%{{.*}}) at %{{.*}} <ring of 2> generated <shared of 3> to %{{.*}}
  kernel.slots rows(%n) at %table <ring of 2> generated <shared of 3> to %slots : memref<?x6xindex>, memref<?xindex>
  // CHECK: kernel.fill rows(%{{.*}}) %{{.*}} to %{{.*}} : memref<?xindex>
  kernel.fill rows(%n) %m to %slots : memref<?xindex>
  // CHECK: kernel.reserve rows(%{{.*}}) at %{{.*}} slots %{{.*}} of @kv filled true to %{{.*}}
  kernel.reserve rows(%n) at %table slots %slots of @kv filled true to %places
      : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
  // CHECK: kernel.view rows(%{{.*}}) at %{{.*}} slots %{{.*}} of @kv newest_at_most ahead false to %{{.*}}
  kernel.view rows(%n) at %table slots %slots of @kv newest_at_most ahead false to %seen
      : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
  // CHECK: kernel.view rows(%{{.*}}) at %{{.*}} slots %{{.*}} of @kv exact generated(%{{.*}} : memref<?xindex>, first) ahead true to %{{.*}}
  kernel.view rows(%n) at %table slots %slots of @kv exact generated(%slots : memref<?xindex>, first) ahead true to %seen
      : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
  // CHECK: kernel.generic @body ins(%{{.*}} : memref<?x16xf32>) rows(%{{.*}}) outs(%{{.*}} : memref<?x16xf32>) : index
  %c = kernel.generic @body ins(%x : memref<?x16xf32>) rows(%n) outs(%x : memref<?x16xf32>) : index
  return
}
func.func private @body(%x: tensor<?x16xf32>) -> tensor<?x16xf32>
