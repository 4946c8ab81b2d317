// RUN: lariat-opt %s --split-input-file --convert-kernel-to-llvm --canonicalize | FileCheck %s

// Layers share functions: what differs is the place of a layer in a page, a literal of the record (here 8192 bytes per
// layer: 2 heads of keys and values, 64 entries of 8 columns). Records of appends end in the layer's place and that of the
// rope table; those of attends have sinks between the two.
// CHECK:      @lariat_layers_records_0(dense<[
// CHECK-SAME: {{ *}}0, 1, 14, 0, 3, 0, 4, 0, 6, 0, 6, 0, 0, 131072,
// CHECK-SAME: {{^ *}}1, 1, 15, 0, 3, 0, 7, 0, 5, 0, 8, 0, 0, 65536, 131072,
// CHECK-SAME: {{^ *}}0, 1, 14, 0, 3, 0, 4, 0, 6, 0, 6, 0, 8192, 131072,
// CHECK-SAME: {{^ *}}1, 0, 15, 0, 3, 0, 7, 0, 5, 0, 8, 0, 8192, 65536, 131072]>
// CHECK:     llvm.func internal @kernel_append_0(
// CHECK:     llvm.func internal @kernel_attend_1(
// CHECK-NOT: @kernel_a{{.*}}_2(
kernel.packed @sinks vector ["s"] shape [4] offset(65536) : f32
kernel.rope_table @rope [1.0, 0.1] positions(64) angles(f32) offset(131072)
kernel.cache @kv number(0) layers(2) heads(2) dim(8) : f32
func.func @lariat_layers() {
  %n = kernel.port_rows 0
  %table = kernel.port 0 : memref<?x6xindex>
  %entries = kernel.port 1 : memref<?x2xindex>
  %x = kernel.port 2 : memref<?x32xf32>
  %k = kernel.port 3 : memref<?x16xf32>
  %views = kernel.port 4 : memref<?x4xindex>
  %y = kernel.port 5 : memref<?x32xf32>
  kernel.parallel {
    kernel.append rows(%n) at %table entries %entries %k, %k into @kv[0] rope <@rope, dims = 4, interleaved = false>
      : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
    kernel.barrier
    kernel.attend rows(%n) at %table views %views %x to %y from @kv[0] heads(4) scale(5.0e-01) <causal> sinks @sinks
      rope <@rope, dims = 4, interleaved = false>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x32xf32>, memref<?x32xf32>
    kernel.barrier
    kernel.append rows(%n) at %table entries %entries %k, %k into @kv[1] rope <@rope, dims = 4, interleaved = false>
      : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
    kernel.barrier
    kernel.attend rows(%n) at %table views %views %x to %y from @kv[1] heads(4) scale(5.0e-01) <causal> sinks @sinks
      rope <@rope, dims = 4, interleaved = false>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x32xf32>, memref<?x32xf32>
  }
  kernel.set_port_rows 5, %n
  return
}

// -----

// Another mask is another function; so is another size of one.
// CHECK: @kernel_attend_0(
// CHECK: @kernel_attend_1(
// CHECK: @kernel_attend_2(
kernel.cache @kv number(0) layers(1) heads(1) dim(16) : bf16
func.func @lariat_masks() {
  %n = kernel.port_rows 0
  %table = kernel.port 0 : memref<?x6xindex>
  %views = kernel.port 1 : memref<?x4xindex>
  %x = kernel.port 2 : memref<?x16xf32>
  %y = kernel.port 3 : memref<?x16xf32>
  kernel.parallel {
    kernel.attend rows(%n) at %table views %views %x to %y from @kv[0] heads(1) scale(2.5e-01) <causal>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
    kernel.attend rows(%n) at %table views %views %x to %y from @kv[0] heads(1) scale(2.5e-01) <window, size = 8>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
    kernel.attend rows(%n) at %table views %views %x to %y from @kv[0] heads(1) scale(2.5e-01) <window, size = 9>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  }
  kernel.set_port_rows 3, %n
  return
}

// -----

// Token ids and rotated heads.
// CHECK-DAG: dense<[0, 1, 9, 0, 4, 0, 5, 0, 4096, 1, 0, 11, 0, 3, 0, 5, 0, 5, 0, 65536]>
// CHECK-DAG: llvm.func internal @kernel_embed_0(
// CHECK-DAG: llvm.func internal @kernel_rotate_1(
kernel.packed @w panels ["w"] shape [100, 32] offset(4096) : bf16
kernel.rope_table @rope [1.0, 0.1] positions(64) angles(f32) offset(65536)
func.func @lariat_rows() {
  %n = kernel.port_rows 0
  %table = kernel.port 0 : memref<?x6xindex>
  %ids = kernel.port 1 : memref<?xi32>
  %x = kernel.port 2 : memref<?x32xf32>
  kernel.parallel {
    kernel.embed rows(%n) ids(%ids : memref<?xi32>) @w out(%x : memref<?x32xf32>)
    kernel.barrier
    kernel.rotate rows(%n) at %table <@rope, dims = 4, interleaved = true> heads(4) %x to %x
      : memref<?x6xindex>, memref<?x32xf32>, memref<?x32xf32>
  }
  kernel.set_port_rows 2, %n
  return
}
